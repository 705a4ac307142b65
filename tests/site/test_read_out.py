"""A screen reader says a PDF whole, a program reads its data, and the same data make the same file."""

import json
import logging
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pydyf
import pypdfium2
import pytest
import weasyprint
from weasyprint.formatting_structure import boxes
from weasyprint.pdf import generate_pdf
from weasyprint.pdf.fonts import Font
from weasyprint.pdf.stream import Stream

from assessments.documents import snapshot
from assessments.documents.kinds import KINDS
from assessments.models import Office
from assessments.printing import pdf, scripts
from assessments.printing.contract import DocumentError
from assessments.printing.data import Snapshot
from tests.paper.cases import SCRIPTS, captions, in_all_scripts, of_kind, of_the_demo, photos, printed
from tests.paper.tagged import Element, Tagged

from .test_paper import ESTIMATE, FULL

SCHEMAS = Path(__file__).parents[2] / "docs"


def read(content: Snapshot, folder: Path) -> Tagged:
    return Tagged(printed(content, folder))


def write(html: str, folder: Path) -> Path:
    path = folder / "out.pdf"
    pdf.write(f'<html lang="en"><title>A test</title>{html}', folder, path, logging.NullHandler())
    return path


def said(head: Element, table: Element) -> list[str]:
    heads = {each.name: each.words for each in table.all("TH")}
    return [heads[name] for name in head.heads]


# Words and heads ------------------------------------------------------------------------------------------------------


def test_a_figure_is_read_out_with_its_column_its_group_and_its_line(tmp_path: Path) -> None:
    table = next(each for each in read(ESTIMATE, tmp_path).top.all("Table") if "Parts" in each.text)
    # The price of the line stands before the sum of its group.
    price, _ = (cell for cell in table.all("TD") if cell.words == "6 845.20")
    assert said(price, table) == ["Parts", "New parts (N)", "Bonnet less betterment 684.52"]
    empty = next(cell for cell in table.all("TD") if "Paint" in said(cell, table) and not cell.words)
    assert said(empty, table) == ["Labour", "Paint", "Outwork", "New parts (N)", "Bonnet less betterment 684.52"]


def test_a_fact_has_one_label(tmp_path: Path) -> None:
    (table, *_) = read(FULL, tmp_path).top.all("Table")
    labels = {cell.words: said(cell, table) for cell in table.all("TD")}
    assert labels["PMI-448120"] == ["Claim number"]
    assert labels["Coastal Panelbeaters"] == ["Repairer"]


def test_tables_that_only_arrange_are_not_read_out_as_tables(tmp_path: Path) -> None:
    top = read(replace(FULL, photos=photos(tmp_path, captions(6), sections=1)), tmp_path).top
    assert not [each for table in top.all("Table") for each in table.all("Figure", "H2")]
    assert [each.words for each in top.all("P")][:2] == ["Bay Assessors", "12 Marine Drive Durban"]


def test_the_link_of_a_section_says_its_name(tmp_path: Path) -> None:
    album = of_kind("photos-pdf", FULL, photos=photos(tmp_path, captions(3)))
    found = read(album, tmp_path)
    assert found.links == ["Exterior 360", "Damage", "Accessories"]
    assert [each.words for each in found.top.all("Link")] == found.links
    contents = found.top.all("Table")[1]
    assert [cell.words for cell in contents.all("TD")][1::2] == ["2", "2", "2"]


def test_a_long_address_is_copied_whole(tmp_path: Path) -> None:
    address = "https://example.org/claims?" + "&".join(f"part{number}=value{number}" for number in range(90))
    content = replace(FULL, notes=f"See {address} there.")
    assert f"See {address} there." in read(content, tmp_path).top.text.replace("\n", "")
    with pypdfium2.PdfDocument(tmp_path / "report.pdf") as document:
        copied = "".join(page.get_textpage().get_text_range() for page in document)
    assert address in "".join(copied.split())


# Languages and letters ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scripts_read(tmp_path_factory: pytest.TempPathFactory) -> Tagged:
    folder = tmp_path_factory.mktemp("scripts")
    return read(in_all_scripts("report", folder), folder)


@pytest.mark.parametrize("script", [name for name in SCRIPTS if name != "Hangul"])
def test_text_in_another_script_is_read_as_it_was_typed_and_says_its_script(script: str, scripts_read: Tagged) -> None:
    text, language = SCRIPTS[script]
    spans = [each for each in scripts_read.top.all("Span") if each.words == text]
    # In the notes twice, the description of the incident, the condition, a tyre, an accessory, and more.
    assert len(spans) > 5
    assert {each.language for each in spans} == {language}
    assert scripts_read.top.language == "en"


def test_words_from_right_to_left_keep_their_place_among_others(scripts_read: Tagged) -> None:
    assert f"Left door: {SCRIPTS['Arabic'][0]} (left)" in [each.words for each in scripts_read.top.all("P")]


def test_a_letter_that_no_font_has_is_replaced_by_the_sign_for_that(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write("<p>One \ue123, two \u0378, three \U0010fffd.</p>", tmp_path)
    assert Tagged(path).top.words == "One \ufffd, two \ufffd, three \ufffd."
    assert "notdef" not in caplog.text


def test_what_people_typed_has_the_language_of_the_office(tmp_path: Path) -> None:
    content = replace(FULL, language="af", notes="Die deur is stukkend.")
    top = read(content, tmp_path).top
    assert [each.language for each in top.all("P") if each.words == "Die deur is stukkend."] == ["af", "af"]
    assert {each.language for each in top.all("H1", "H2", "TH")} == {"en"}


def test_a_snapshot_has_the_language_of_the_settings(settings: Any, assessment: Any) -> None:
    settings.PAPER_LANGUAGE = "af"
    with_data = snapshot.with_data(KINDS["report"]).get(pk=assessment.pk)
    assert snapshot.of(with_data, KINDS["report"], Office.current()).language == "af"


@pytest.mark.parametrize(
    ("text", "language", "read_in"),
    [
        ("The door", "en", "en"),
        ("The door", "ar", "und-Latn"),
        (SCRIPTS["Arabic"][0], "ar", "ar"),
        (f"VIN {SCRIPTS['Arabic'][0]}", "en", "und-Arab"),
        ("12 345.67 \u20ac", "ar", "ar"),
        ("\U0001f697", "en", "en"),
    ],
)
def test_a_text_in_the_script_of_the_language_is_in_that_language(text: str, language: str, read_in: str) -> None:
    assert scripts.language_of(text, language) == read_in


# Documents that would say nothing -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "html",
    [
        '<p>Text</p><img src="in.svg">',
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>',
        "<ul><li>One</li></ul>",
    ],
    ids=["a picture without words", "a drawing without a title", "a list"],
)
def test_what_cannot_be_read_out_fails_the_document(html: str, tmp_path: Path) -> None:
    (tmp_path / "in.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    with pytest.raises(DocumentError):
        write(html, tmp_path)


def test_the_private_parts_of_the_libraries_are_there() -> None:
    """The structure leans on these names. Another version of a library may lack them, or mean something else."""
    assert (weasyprint.VERSION, pydyf.VERSION) == ("70.0", "0.13.0")
    assert "add_tags" in generate_pdf.__code__.co_names
    assert {"_tags", "stream"} <= {*Stream.__init__.__code__.co_names, *pydyf.Stream.__init__.__code__.co_names}
    assert {"to_unicode", "bitmap", "hash"} <= set(Font.__init__.__code__.co_names)
    assert boxes.TableRowGroupBox.is_header is False
    assert "at_keyword" in boxes.MarginBox.__init__.__code__.co_names
    assert "_page_box" in weasyprint.Page.__init__.__code__.co_names
    assert pydyf._to_bytes(1.50) == b"1.5"
    assert isinstance(vars(pydyf.Stream)["data"], property)


# The data inside ----------------------------------------------------------------------------------------------------


def data_of(content: Snapshot, folder: Path) -> dict[str, Any]:
    found = read(content, folder)
    (name,) = found.files
    assert name == f"{content.kind}.json"
    assert found.relations == ["/Data"]
    data: dict[str, Any] = json.loads(found.files[name])
    schema = json.loads((SCHEMAS / f"{content.kind}.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(data)
    return data


def test_the_estimate_carries_its_data(tmp_path: Path) -> None:
    data = data_of(ESTIMATE, tmp_path)
    assert (data["assessment"], data["version"], data["made_on"]) == ("ASM-2026-001", 3, "2026-11-12")
    assert (data["currency"], data["total"], data["net_payable"]) == ("ZAR", "16029.69", "11029.69")
    bonnet = next(line for line in data["lines"] if line["description"] == "Bonnet")
    assert (bonnet["part"], bonnet["strip"], bonnet["betterment"], bonnet["total"]) == (
        *("6845.20", "600.00", "684.52", "6760.68"),
    )
    assert {"label": "Subtotal", "amount": "13800.85"} in data["breakdown"]


def test_the_report_carries_its_facts(tmp_path: Path) -> None:
    data = data_of(FULL, tmp_path)
    assert data["vehicle"]["Make and model"] == "Toyota Corolla"
    assert data["vehicle"]["Colour"] is None
    assert data["tyres"][0]["tread"] == "5.50"
    assert data["values"][0] == {"label": "Base value", "trade": "189500.00", "market": None, "retail": "221900.00"}


@pytest.mark.parametrize("kind", ["report", "estimate"])
def test_amounts_in_the_data_have_the_decimals_of_their_currency(kind: str, tmp_path: Path) -> None:
    # By hand: see test_amounts_have_the_decimals_of_their_currency.
    assert data_of(of_kind(kind, FULL, currency="JPY"), tmp_path)["total"] == "16029"
    assert data_of(of_kind(kind, FULL, currency="KWD"), tmp_path)["total"] == "16029.688"


# The same bytes -----------------------------------------------------------------------------------------------------


def digests(content: list[Snapshot], folder: Path, seed: str, zone: str) -> list[str]:
    folder.mkdir()
    (folder / "content").write_bytes(pickle.dumps(content))
    program = (
        "import hashlib, pickle, sys; from pathlib import Path; from django.utils.module_loading import import_string\n"
        "folder = Path(sys.argv[1]); names = sys.argv[2:]\n"
        "for name, each in zip(names, pickle.loads((folder / 'content').read_bytes())):\n"
        "    path = import_string(name)(each, folder, lambda *said: None).path\n"
        "    print(hashlib.sha256(path.read_bytes()).hexdigest())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder), *(KINDS[each.kind].generator for each in content)],
        env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_the_same_data_makes_the_same_bytes(tmp_path: Path) -> None:
    shown = photos(tmp_path, captions(4), sections=2)
    content = [replace(FULL, photos=shown), ESTIMATE, of_kind("photos-pdf", FULL, photos=shown)]
    first = digests(content, tmp_path / "one", "1", "Africa/Johannesburg")
    assert len(set(first)) == 3
    assert digests(content, tmp_path / "another-folder", "2", "Asia/Tokyo") == first


# The demo -----------------------------------------------------------------------------------------------------------


def test_the_papers_of_the_demo_are_read_out_whole(db: None, tmp_path: Path) -> None:
    papers = of_the_demo()
    assert len(papers) == 8
    for name, content in papers.items():
        folder = tmp_path / name
        folder.mkdir()
        found = read(content(folder), folder)
        assert found.unmarked == []
        assert {(piece.page, piece.number) for piece in found.numbered.values()} == set(found.owners)
        assert all(each.alt for each in found.top.all("Figure"))
        assert all(cell.heads for cell in found.top.all("TD"))
