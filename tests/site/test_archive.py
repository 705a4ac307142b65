"""Each PDF is fit for an archive and for a screen reader: PDF/A-3a and PDF/UA-1 at once, and truthfully."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import outloud
import page as page_validation
import pypdfium2
import pytest

from assessments.printing.data import Snapshot
from tests.paper.cases import CASES, HEAVY, printed
from tests.paper.tagged import Element, Piece, Tagged

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
PDFA, PDFUA = "{http://www.aiim.org/pdfa/ns/id/}", "{http://www.aiim.org/pdfua/ns/id/}"
# outloud takes a table for a shredded one when it has more heads than other cells. A short table, such as the breakdown
# with its two columns, has more heads, and so has a table with a head for each group of its rows.
NOT_WRONG = ["TBL-010"]
# The letters in our texts that few machines have a font for.
UNPRINTED = "[\ue123\u0378\uac00-\ud7af]"


@dataclass(frozen=True)
class Paper:
    content: Snapshot
    path: Path
    read: Tagged

    def tables(self) -> list[Element]:
        return self.read.top.all("Table")


@pytest.fixture(scope="module", params=[*CASES, *(pytest.param(name, marks=pytest.mark.long) for name in HEAVY)])
def paper(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Paper:
    """Print each paper once for all tests."""
    folder = tmp_path_factory.mktemp(request.param)
    content = {**CASES, **HEAVY}[request.param](folder)
    path = printed(content, folder)
    return Paper(content, path, Tagged(path))


# The structure --------------------------------------------------------------------------------------------------------


def test_all_that_a_page_shows_is_told_once_or_left_out(paper: Paper) -> None:
    read = paper.read
    assert read.unmarked == []
    told = Counter((kid.page, kid.number) for each in read.top for kid in each.kids if isinstance(kid, Piece))
    assert told == Counter(read.numbered.keys())
    assert {piece.kind for piece in read.artifacts} <= {"/Artifact"}
    owners = {(kid.page, kid.number): each.place for each in read.top for kid in each.kids if isinstance(kid, Piece)}
    assert owners == read.owners


def letters(text: str) -> Counter[str]:
    # A reader of PDFs calls the hyphen at a line's end a soft one.
    return Counter(re.sub(r"[\s\x02\ufffe\u200b\u00ad-]", "", text))


def test_each_letter_of_a_page_is_in_the_structure_or_in_an_artifact(paper: Paper) -> None:
    with pypdfium2.PdfDocument(paper.path) as document:
        for number, page in enumerate(document):
            shown = letters(page.get_textpage().get_text_range())
            told = letters("".join(piece.drawn for piece in paper.read.pieces if piece.page == number))
            # Where text is drawn from right to left, both readers may take two letters for one.
            assert shown == told or paper.content.notes != paper.content.notes.encode("ascii", "ignore").decode()


def test_each_table_is_one_element_however_many_pages_it_takes(paper: Paper) -> None:
    content, kind = paper.content, paper.content.kind
    if kind == "photos-pdf":
        expected = 2  # the facts of the cover, and the sections
    elif kind == "estimate":
        expected = 7  # the facts of the cover, claim, vehicle, repairer, rates, lines, breakdown
    else:
        # The facts of the cover, claim, incident, vehicle, condition, interior and warranty, and what there is.
        expected = 7 + bool(content.tyres) + bool(content.accessories)
        expected += bool(content.valuation) + 2 * bool(content.estimate)
    assert len(paper.tables()) == expected
    for table in paper.tables():
        assert len({len(list(columns_of(row))) for row in table.all("TR")}) == 1


def columns_of(row: Element) -> Iterator[Element]:
    for cell in row.all("TH", "TD"):
        yield from [cell] * (cell.attribute("/ColSpan") or 1)


def test_a_table_over_pages_has_its_heads_once(paper: Paper) -> None:
    if paper.content.kind != "estimate":
        return
    assert paper.content.estimate is not None
    (lines,) = (table for table in paper.tables() if "Code" in [head.text for head in table.all("TH")])
    groups = {
        "NR"[line.process_type == "R"] if line.process_type in "NR" else line.process_type in "PB"
        for line in paper.content.estimate.lines
    }
    assert len(lines.all("TR")) == 1 + 2 * len(groups) + len(paper.content.estimate.lines)
    assert [head.text for head in lines.all("THead")[0].all("TH")] == [
        *("Code", "Description", "Type", "Parts", "S&A", "Labour", "Paint", "Outwork", "Total"),
    ]
    pages = {kid.page for each in lines for kid in each.kids if isinstance(kid, Piece)}
    again = [piece for piece in paper.read.artifacts if piece.text == "Description"]
    assert [piece.page for piece in again] == sorted(pages)[1:]
    assert {piece.properties["/Subtype"] for piece in again} <= {"/Header"}


def test_each_cell_names_its_heads(paper: Paper) -> None:
    for table in paper.tables():
        heads = {head.name: head for head in table.all("TH")}
        assert "" not in heads
        assert {head.attribute("/Scope") for head in heads.values()} <= {"/Row", "/Column"}
        assert {paper.read.named[name] for name in heads} == {head.place for head in heads.values()}
        for cell in table.all("TD"):
            assert cell.heads
            assert set(cell.heads) <= set(heads)
            assert all(heads[name].text for name in cell.heads)


def test_running_heads_and_feet_are_left_out(paper: Paper) -> None:
    content, count = paper.content, paper.read.page_count
    for number in range(count):
        foot = "".join(
            piece.text
            for piece in paper.read.artifacts
            if piece.page == number and piece.properties.get("/Subtype") == "/Footer"
        )
        ours = f"{content.number} - {content.title} - version {content.version}"
        assert foot == f"{ours} - page {number + 1} of {count}"
    assert f"version {content.version} - page" not in paper.read.top.text


def test_each_picture_is_told_by_section_number_and_caption(paper: Paper) -> None:
    content = paper.content
    told = [each.alt for each in paper.read.top.all("Figure")]
    gauges = [alt for alt in told if alt.startswith("A scale from 0 to 100 %")]
    pictures = [alt for alt in told if alt not in gauges]
    readable = [photo for photo in content.photos if photo.original.read_bytes() != b"no photo"]
    assert len(pictures) == len(readable)
    for alt, photo in zip(pictures, readable, strict=True):
        assert re.match(rf"{photo.section_label}, photo \d+( of \d+)?: ", alt)
        assert as_printed(alt).endswith(as_printed(photo.caption) or "without a caption")
    assert all(each.attribute("/BBox") for each in paper.read.top.all("Figure"))


def test_headings_go_down_one_level_at_a_time(paper: Paper) -> None:
    levels = [int(each.tag[1]) for each in paper.read.top if re.fullmatch(r"H\d", each.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(level <= before + 1 for before, level in pairwise(levels))
    assert all(each.words for each in paper.read.top if re.fullmatch(r"P|H\d", each.tag))


def test_words_are_kept_apart_and_whole_over_lines(paper: Paper) -> None:
    content, text = paper.content, as_printed(paper.read.top.words.replace("\u200b", ""))
    typed = [content.notes] if content.kind == "report" else []
    if content.kind != "photos-pdf":
        typed += [content.office.terms]
    if content.kind == "estimate" and content.estimate:
        typed += [line.description for line in content.estimate.lines]
    for line in "\n".join(typed).splitlines():
        assert as_printed(line) in text


def as_printed(text: str) -> str:
    """Return a text with the sign for letters that no font has."""
    return re.sub(UNPRINTED, "\ufffd", " ".join(text.split()))


# The claims -----------------------------------------------------------------------------------------------------------


def test_both_claims_stand_in_one_place(paper: Paper) -> None:
    packet = paper.read.xmp
    assert packet in paper.path.read_bytes()
    tree = ElementTree.fromstring(packet)
    assert len(list(tree.iter(f"{RDF}RDF"))) == 1
    claims = {name: value for each in tree.iter(f"{RDF}Description") for name, value in each.attrib.items()}
    assert (claims[f"{PDFA}part"], claims[f"{PDFA}conformance"], claims[f"{PDFUA}part"]) == ("3", "A", "1")


@pytest.mark.parametrize("profile", ["3a", "ua1"])
def test_a_second_reader_finds_nothing_wrong(paper: Paper, profile: str) -> None:
    report = page_validation.validate_pdf(paper.path, profile=profile)
    assert [(each.rule_id, each.message) for each in report.failures] == []


def test_nothing_is_wrong_when_it_is_read_out(paper: Paper) -> None:
    result = outloud.check(str(paper.path), skip=NOT_WRONG)
    assert [(each.rule, each.message) for each in result.findings if each.severity == "error"] == []
    assert result.verdict != "unreadable"
