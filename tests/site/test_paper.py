"""The report and the estimate on paper: PDFs are made and read back."""

import logging
import os
import pickle
import re
import subprocess
import sys
from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pypdfium2
import pytest
from django.contrib.auth.models import User
from django.utils.module_loading import import_string
from pypdf import PageObject, PdfReader

from assessments.documents import queue, snapshot
from assessments.documents.kinds import KINDS
from assessments.models import (
    Accessory,
    Assessment,
    Client,
    Damage,
    Estimate,
    EstimateLine,
    Office,
    Repairer,
    Tyre,
    Valuation,
    Vehicle,
)
from assessments.printing import estimate, facts, pdf, report
from assessments.printing import formatting as filters
from assessments.printing.contract import DocumentError, Made, Progress
from assessments.printing.data import PhotoItem, Row, Snapshot
from tests import cast
from tests.cast import row

NOTES = "The rails are straight. " * 20
LINES = (
    row(EstimateLine, process_type="O", description="Diagnostic scan", outwork=Decimal("400.00")),
    row(
        EstimateLine, process_type="R", description="Fender", labour_hours=Decimal("4.00"), paint_panels=Decimal("1.00")
    ),
    row(
        EstimateLine,
        process_type="N",
        part_type="OEM",
        description="Bonnet",
        part_price=Decimal("6845.20"),
        strip_hours=Decimal("1.20"),
        betterment_part=Decimal("10.00"),
    ),
    row(EstimateLine, process_type="B", description="Door", paint_panels=Decimal("0.50")),
)
FULL = Snapshot(
    kind="report",
    title="Assessment Report",
    number="ASM-2026-001",
    report_number="REP-2026-00007",
    version=3,
    made_on=date(2026, 11, 12),
    office=row(Office, name="Bay Assessors", address="12 Marine Drive\nDurban", terms="Prices are those of the day."),
    client=row(Client, name="Protea Mutual"),
    **snapshot.own(
        Assessment(
            assessor=User(first_name="Priya", last_name="Nkosi"),
            status="submitted",
            claim_number="PMI-448120",
            policy_number="MOT 1204",
            excess=Decimal("5000.00"),
            insured_name="Ayanda Khumalo",
            insured_address="4 Protea Close\nBallito",
            incident_on=date(2026, 11, 3),
            incident_place="N2 southbound",
            incident_description="He braked too late.",
            inspected_on=date(2026, 11, 9),
        )
    ),
    vehicle=row(Vehicle, make="Toyota", model="Corolla", year=2021, registration="ND 482-117", odometer=84210),
    tyres=(row(Tyre, position="Right front", make="Bridgestone", tread=Decimal("5.50"), condition="Good"),),
    accessories=(
        row(Accessory, name="Mags", condition="Good", value=Decimal("9500.00")),
        row(Accessory, name="Tow bar", condition="Good", value=Decimal("3200.50")),
    ),
    damage=(row(Damage, area="Non-structural", kind="Collision", severity="Severe", location="right front"),),
    valuation=row(Valuation, warranty="Expired", trade=Decimal("189500.00"), retail=Decimal("221900.00")),
    estimate=row(
        Estimate,
        repairer=row(Repairer, name="Coastal Panelbeaters"),
        result="Repair (economic)",
        result_key="repair",
        lines=LINES,
    ),
    notes=NOTES,
)
ESTIMATE = replace(FULL, kind="estimate", title="Estimate")
# The sums of LINES, by hand: 6845.20 + 600 - 684.52 + 4 x 500 + 2000 + 1000 + 400, markups 25 % of 6160.68 and of 400.
SUBTOTAL, SUNDRIES, VAT, TOTAL = "13 800.85", "138.01", "2 090.83", "16 029.69"


def quietly(progress: int | None, message: str) -> None:
    pass


def generate(content: Snapshot, folder: Path, progress: Progress) -> Made:
    result: Made = import_string(KINDS[content.kind].generator)(content, folder, progress)
    return result


def made(content: Snapshot, folder: Path) -> PdfReader:
    return PdfReader(generate(content, folder, quietly).path)


def words(text: str) -> str:
    """Return a text with every kind of space and line break as one plain space."""
    return " ".join(text.split())


def text_of(content: Snapshot, folder: Path) -> str:
    return words(" ".join(page.extract_text() for page in made(content, folder).pages))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Print FULL once for many tests; return the words of each page."""
    return [words(page.extract_text()) for page in made(FULL, tmp_path_factory.mktemp("report")).pages]


@pytest.fixture(scope="module")
def full_estimate(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Print ESTIMATE once for many tests; return the words of each page."""
    return [words(page.extract_text()) for page in made(ESTIMATE, tmp_path_factory.mktemp("estimate")).pages]


def pictures_on(page: PageObject) -> int:
    content = page.get_contents()
    return 0 if content is None else content.get_data().count(b" Do")


def photo(number: int, folder: Path, content: bytes | None) -> PhotoItem:
    path = folder / f"original-{number}.jpg"
    if content is not None:
        path.write_bytes(content)
    return PhotoItem(
        section="damage",
        section_label="Damage",
        folder="05_Damage",
        position=number,
        caption=f"Caption {number}",
        name=f"IMG_{number}.jpg",
        extension="jpg",
        size=1,
        sha256="0" * 64,
        original=path,
    )


def in_order(text: str, *parts: str) -> bool:
    places = [text.find(part) for part in parts]
    return -1 not in places and places == sorted(places)


# The report ---------------------------------------------------------------------------------------------------------


def test_the_first_page_names_the_vehicle_the_incident_the_cost_and_the_next_step(full: list[str]) -> None:
    page = full[0]
    assert "2021 Toyota Corolla" in page
    assert "Collision on 3 November 2026, N2 southbound" in page
    assert f"R {TOTAL}" in page
    assert "Repair (economic)" in page
    assert "The insurer may instruct Coastal Panelbeaters to begin the repair." in page
    assert "PMI-448120" in page


def test_the_first_page_has_the_first_300_characters_of_the_notes(tmp_path: Path) -> None:
    notes = "".join(f"<{number:03}>" for number in range(100))
    page = "".join(made(replace(FULL, notes=notes), tmp_path).pages[0].extract_text().replace("\u200b", "").split())
    assert f"{notes[:300]}\u2026" in page
    assert notes[300:305] not in page


def test_the_report_has_every_section_in_order(full: list[str]) -> None:
    text = " ".join(full[1:])
    assert in_order(
        text,
        "Report and claim information",
        "Insured and incident",
        "Vehicle Make and model",
        "Condition and service history",
        "Interior and mechanical",
        "Tyres",
        "Accessories",
        "Damage Severe collision damage",
        "Warranty and values",
        "Estimate summary",
        "Notes The rails",
        "Terms and conditions",
    )
    assert "REP-2026-00007" in text
    assert "R 12 700.50" in text


def test_every_page_names_its_document_and_its_number(full: list[str]) -> None:
    for number, page in enumerate(full, start=1):
        assert f"ASM-2026-001 - Assessment Report - version 3 - page {number} of {len(full)}" in page


def test_the_report_names_missing_data(tmp_path: Path) -> None:
    bare = replace(FULL, estimate=None, valuation=None, client=None, tyres=(), accessories=(), damage=(), notes="")
    text = text_of(bare, tmp_path)
    for part in ("No tyres recorded", "No accessories recorded", "No damage recorded", "Not valued", "No notes"):
        assert part in text
    assert text.count("No estimate yet") == 2


def test_an_unknown_value_is_not_printed_as_zero(full: list[str]) -> None:
    text = " ".join(full)
    assert "Base value 189 500.00 Not valued 221 900.00" in text
    assert "Borderline write-off, 65 % 123 175.00 Not valued 144 235.00" in text


def test_the_report_sets_the_estimate_against_the_borderline_in_words(full: list[str]) -> None:
    # 16029.69 of 144235.00.
    assert "Green: far below the borderline write-off. The estimate is 11.1 % of it." in " ".join(full)


@pytest.mark.parametrize(
    ("retail", "result", "next_step", "against"),
    [
        # 65 % of 20 000.00 is 13 000.00; the estimate of 16 029.69 is 123.3 % of it.
        (
            "20000.00",
            ("repair", "Repair (economic)"),
            "the insurer decides whether Coastal Panelbeaters may begin the repair.",
            "The estimate is 123.3 % of it. This contradicts the outcome, a repair.",
        ),
        # 65 % of 4.17 is 2.71.
        (
            "4.17",
            ("repair", "Repair (economic)"),
            "The estimate is over the borderline write-off: the insurer decides",
            "The estimate is 591 501.5 % of it. This contradicts the outcome, a repair.",
        ),
        (
            "221900.00",
            ("total_loss", "Total loss"),
            "Settle as a total loss.",
            "Green: far below the borderline write-off. The estimate is 11.1 % of it. "
            "This contradicts the outcome, a write-off.",
        ),
    ],
)
@pytest.mark.parametrize("content", [FULL, ESTIMATE], ids=["report", "estimate"])
def test_an_outcome_that_contradicts_the_estimate_is_said_in_words(
    content: Snapshot, retail: str, result: tuple[str, str], next_step: str, against: str, tmp_path: Path
) -> None:
    assert content.estimate is not None
    changed = replace(
        content,
        valuation=row(Valuation, retail=Decimal(retail)),
        estimate=content.estimate.changed(result_key=result[0], result=result[1]),
    )
    # A line may end after a hyphen.
    first, *others = (words(page.extract_text()).replace("- ", "-") for page in made(changed, tmp_path).pages)
    assert next_step in first
    assert against in first
    assert "may instruct" not in first
    if content.kind == "report":
        assert against in " ".join(others)


def test_an_outcome_that_agrees_with_the_estimate_is_not_questioned(full: list[str]) -> None:
    assert "contradicts" not in " ".join(full)


def test_the_report_shows_its_photos(tmp_path: Path) -> None:
    photos = tuple(photo(number, tmp_path, cast.picture(number)) for number in range(1, 4))
    reader = made(replace(FULL, photos=photos), tmp_path)
    # The first page shows the first photo, the section on damage shows all photos.
    assert [pictures_on(page) for page in reader.pages] == [1, 0, 3, 0]
    text = words(" ".join(page.extract_text() for page in reader.pages))
    assert in_order(text, "Caption 1", "Caption 2", "Caption 3")


def test_an_unreadable_photo_is_named_on_paper_and_in_the_message(tmp_path: Path) -> None:
    photos = (photo(1, tmp_path, b"not a photo"), photo(2, tmp_path, cast.picture(2)), photo(3, tmp_path, None))
    result = report.generate(replace(FULL, photos=photos), tmp_path, quietly)
    assert result.message.endswith(
        "pages; unreadable: IMG_1.jpg (the file is not a photo that can be read), IMG_3.jpg (the file is missing)"
    )
    reader = PdfReader(result.path)
    text = words(" ".join(page.extract_text() for page in reader.pages))
    assert "This photo cannot be read: IMG_1.jpg" in text
    assert "This photo cannot be read: IMG_3.jpg" in text
    assert pictures_on(reader.pages[0]) == 1


def test_a_report_is_never_silently_incomplete(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    photos = (photo(1, tmp_path, cast.picture(1)).changed(print_image=broken),)
    with pytest.raises(DocumentError, match="it would have been incomplete"):
        report.generate(replace(FULL, photos=photos), tmp_path, quietly)
    assert not (tmp_path / "report.pdf").exists()


# The estimate -------------------------------------------------------------------------------------------------------


def test_the_estimate_has_every_section_in_order(full_estimate: list[str]) -> None:
    assert f"R {TOTAL}" in full_estimate[0]
    assert in_order(
        " ".join(full_estimate[1:]),
        "Claim Assessment",
        "Vehicle Make and model",
        "Repairer and rates",
        "R 500.00 per hour",
        "Code Description Type Parts S&A Labour Paint Outwork Total",
        "New parts (N)",
        "Repairs (R)",
        "Paint & blend (P, B)",
        "Other services (A, O)",
        "Breakdown",
        "Total including VAT",
        "Notes",
        "Terms and conditions",
    )


def test_a_line_prints_its_components_and_its_betterment(full_estimate: list[str]) -> None:
    text = " ".join(full_estimate)
    assert "N Bonnet less betterment 684.52 OEM 6 845.20 600.00 6 760.68" in text
    assert "R Fender 2 000.00 2 000.00 4 000.00" in text


def test_the_breakdown_on_paper_sums_to_the_total_on_paper(full_estimate: list[str]) -> None:
    text = " ".join(full_estimate)
    breakdown = text[text.index("Breakdown ZAR") : text.index("Less excess")]
    figures = [Decimal(figure.replace(" ", "").replace("\u2212", "-")) for figure in re.findall(AMOUNT, breakdown)]
    *parts, subtotal, sundries, vat, total = figures
    assert sum(parts) == subtotal
    assert subtotal + sundries + vat == total
    printed = [Decimal(figure.replace(" ", "")) for figure in (SUBTOTAL, SUNDRIES, VAT, TOTAL)]
    assert [subtotal, sundries, vat, total] == printed


AMOUNT = r"\u2212?\d{1,3}(?: \d{3})*\.\d{2}"


def test_the_excess_is_taken_off_when_there_is_one(full_estimate: list[str], tmp_path: Path) -> None:
    assert "Less excess \u22125 000.00 Net payable R 11 029.69" in " ".join(full_estimate)
    without = text_of(replace(ESTIMATE, claim=FULL.claim.changed(excess=Decimal(0))), tmp_path)
    assert "Net payable" not in without
    assert "Less excess" not in without


def test_a_vat_of_zero_is_printed_as_zero(tmp_path: Path) -> None:
    assert ESTIMATE.estimate is not None
    exempt = replace(ESTIMATE, estimate=ESTIMATE.estimate.changed(vat_percent=Decimal("0.00")))
    text = text_of(exempt, tmp_path)
    assert "VAT, 0 % 0.00" in text
    assert "15" not in text[text.index("Breakdown ZAR") : text.index("Total including VAT")]


def test_a_long_estimate_repeats_its_head_and_loses_no_line(tmp_path: Path) -> None:
    lines = tuple(
        row(
            EstimateLine,
            process_type="NRPBAO"[number % 6],
            part_type="" if number % 6 else "ALT",
            description=f"L{number}X",
        )
        for number in range(120)
    )
    pages = [words(page.extract_text()) for page in made(with_lines(*lines), tmp_path).pages]
    text = " ".join(pages)
    assert all(text.count(f" L{number}X ") == 1 for number in range(120))
    assert all("Code Description Type" in page for page in pages if re.search(r" L\d+X ", page))
    assert len(pages) > 4


def test_a_heading_is_never_left_alone_at_the_foot_of_a_page(tmp_path: Path) -> None:
    for count in range(8, 40, 8):
        lines = (row(EstimateLine, process_type="R", description="Panel"),) * count
        ends = (
            row(EstimateLine, process_type="P", description="Panel"),
            row(EstimateLine, process_type="O", description="Panel"),
        )
        for page in made(with_lines(*lines, *ends), tmp_path).pages:
            body = words(page.extract_text()).partition(" ASM-2026-001 - Estimate - version")[0]
            assert not re.search(r"(\(R\)|\(P, B\)|\(A, O\)|Notes|Breakdown and totals|Lines|Total)$", body)


def test_amounts_of_millions_get_a_wider_page(tmp_path: Path) -> None:
    dear = LINES[2].changed(part_price=Decimal("9999999999.99"))
    reader = made(with_lines(dear), tmp_path)
    wide = [page for page in reader.pages if page.mediabox.width > page.mediabox.height]
    assert len(wide) == 1
    assert "9 999 999 999.99" in words(wide[0].extract_text())


def test_another_currency_is_written_with_its_code(tmp_path: Path) -> None:
    assert f"USD {TOTAL}" in text_of(replace(ESTIMATE, currency="USD"), tmp_path)


# The sums of LINES by hand, each figure rounded to the unit of the currency. In yen the bonnet costs 6845, its
# betterment is 685 (of 684.5) and its markup 1540 (of 1540.125); in dinars the sundries are 138.009 (of 138.0085).
@pytest.mark.parametrize(
    ("currency", "figures"),
    [
        ("JPY", ("6 845", "less betterment 685", "13 800", "138", "2 091", "JPY 16 029", "\u22125 000", "JPY 11 029")),
        ("KWD", ("6 845.200", "less betterment 684.520", "13 800.850", "138.009", "2 090.829", "KWD 16 029.688")),
    ],
)
def test_amounts_have_the_decimals_of_their_currency(currency: str, figures: tuple[str, ...], tmp_path: Path) -> None:
    for content in (ESTIMATE, FULL):
        printed = text_of(replace(content, currency=currency), tmp_path)
        for figure in figures:
            if content is ESTIMATE or ("6 845" not in figure and "less" not in figure):
                assert re.search(rf"(?<![\d.]){re.escape(figure)}(?![\d.]\d)", printed), (content.kind, figure)
        assert currency == "KWD" or not re.search(r"\d\.\d\d\b(?! mm)", printed.replace("5.50", ""))


def with_lines(*lines: Row) -> Snapshot:
    assert ESTIMATE.estimate is not None
    return replace(ESTIMATE, estimate=ESTIMATE.estimate.changed(lines=lines))


# Documents that cannot be made --------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [FULL, ESTIMATE], ids=["report", "estimate"])
def test_a_document_without_a_vehicle_fails_with_advice(content: Snapshot, tmp_path: Path) -> None:
    with pytest.raises(
        DocumentError, match=r"^This assessment has no vehicle\. The office has to add it; then retry\.$"
    ):
        made(replace(content, vehicle=None), tmp_path)


@pytest.mark.parametrize("rows", [None, row(Estimate, lines=())], ids=["no estimate", "no lines"])
def test_an_estimate_without_lines_fails_with_advice(rows: Row | None, tmp_path: Path) -> None:
    with pytest.raises(
        DocumentError, match=r"^This estimate has no lines\. The office has to add at least one; then retry\.$"
    ):
        made(replace(ESTIMATE, estimate=rows), tmp_path)


@pytest.mark.parametrize("kind", ["report", "estimate"])
def test_a_wrong_sum_is_never_printed(kind: str, tmp_path: Path) -> None:
    # Amounts of so many digits cannot be added exactly, and two ways to add them differ by ten cents.
    rows = FULL.estimate.changed(
        labour_rate=Decimal("0.07"),
        markup_oem=Decimal(0),
        sundries_percent=Decimal(0),
        vat_percent=Decimal(0),
        lines=(
            LINES[2].changed(part_price=Decimal("99999999999999999999999988.99"), strip_hours=Decimal(86)),
            LINES[2].changed(part_price=Decimal("99999999999999999999999953.99"), strip_hours=Decimal(855)),
        ),
    )
    rows = rows.changed(lines=tuple(line.changed(betterment_part=Decimal(0)) for line in rows.lines))
    with pytest.raises(DocumentError, match=r"The breakdown of this estimate sums to .*, but its total is"):
        made(replace(FULL, kind=kind, estimate=rows), tmp_path)
    assert not list(tmp_path.rglob("*.pdf"))


# Texts of all sorts -------------------------------------------------------------------------------------------------


def test_markup_in_a_text_is_printed_as_text(tmp_path: Path) -> None:
    hostile = '<script>alert(1)</script><img src="http://127.0.0.1:9/x.png"><style>*{display:none}</style>{{ 7 }} &amp;'
    everywhere = replace(
        FULL,
        office=row(Office, name=hostile[:100], terms=hostile, accent_colour="red } * { display: none"),
        insured=FULL.insured.changed(name=hostile, address=hostile),
        incident=FULL.incident.changed(description=hostile, place=hostile),
        vehicle=row(Vehicle, make=hostile[:60], model="Corolla", condition_notes=hostile),
        damage=(row(Damage, area="Structural", kind="Fire", severity="Minor", location=hostile, description=hostile),),
        accessories=(row(Accessory, name=hostile),),
        notes=hostile,
    )
    text = re.sub(r"\s", "", text_of(everywhere, tmp_path))
    assert text.count(re.sub(r"\s", "", hostile)) >= 9
    assert "Termsandconditions" in text


def test_an_accent_colour_that_is_not_a_colour_is_replaced() -> None:
    assert filters.colour("#A1b2C3") == "#A1b2C3"
    for wrong in ("red", "#fff", "#12345g", "#123456; }", "#123456\n", ""):
        assert filters.colour(wrong) == "#1f5f8b"


@pytest.mark.long
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "text",
    ["All of it is printed here. " * 3704, "W" * 100_000, "A line of fifty characters, as in a list of parts\n" * 2000],
    ids=["one paragraph", "one word", "many lines"],
)
def test_a_hundred_thousand_characters_are_all_printed(text: str, tmp_path: Path) -> None:
    # The reader of the other tests takes seconds for so many characters.
    content = replace(FULL, notes=text + " The end.")
    with pypdfium2.PdfDocument(generate(content, tmp_path, quietly).path) as document:
        printed = "".join(document[page].get_textpage().get_text_range() for page in range(1, len(document)))
    letter = max(set(text) - set(" \n"), key=text.count)
    assert printed.count(letter) >= text.count(letter)
    assert "The end." in words(printed)


def test_text_from_right_to_left_stands_at_the_right(tmp_path: Path) -> None:
    hebrew = "\u05e4\u05d2\u05d5\u05e9 \u05e7\u05d3\u05de\u05d9 \u05e9\u05d1\u05d5\u05e8"
    assert 'dir="rtl"' in filters.prose(hebrew)
    assert filters.prose(f"{hebrew}\n\nStraight rails.").count('dir="rtl"') == 1
    places = []

    def visit(text: str, _: object, at: list[float], *__: object) -> None:
        if set(text) & set(hebrew.replace(" ", "")):
            places.append(at[4])

    for page in made(replace(FULL, notes=hebrew), tmp_path).pages:
        page.extract_text(visitor_text=visit)
    assert places
    assert all(place > 400 for place in places)


@pytest.mark.parametrize(
    ("value", "printed"),
    [("12345.67", "R 12 345.67"), ("0", "R 0.00"), ("1234567.8", "R 1 234 567.80"), ("-999.99", "R \u2212999.99")],
)
def test_money_is_written_in_the_way_of_the_country(value: str, printed: str) -> None:
    text = filters.money(Decimal(value), "ZAR")
    assert words(text) == printed
    # An amount must not break over two lines.
    assert " " not in text


@pytest.mark.parametrize(("value", "printed"), [("15.00", "15 %"), ("12.50", "12.5 %"), ("0", "0 %"), ("10", "10 %")])
def test_a_percentage_has_no_needless_zeros(value: str, printed: str) -> None:
    assert words(filters.share(Decimal(value))) == printed


def test_an_excerpt_is_marked_only_when_something_is_left_out() -> None:
    assert facts.excerpt("x" * 300) == "x" * 300
    assert facts.excerpt("x" * 301) == "x" * 300 + "\u2026"


# The making of documents --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [FULL, ESTIMATE], ids=["report", "estimate"])
def test_progress_is_real_and_never_runs_backwards(content: Snapshot, tmp_path: Path) -> None:
    content = replace(content, photos=(photo(1, tmp_path, cast.picture(1)),))
    said: list[tuple[int | None, str]] = []
    generate(content, tmp_path, lambda progress, message: said.append((progress, message)))
    numbers = [number for number, _ in said if number is not None]
    assert numbers[0] < 10
    assert 80 < numbers[-1] < 100
    assert all(before <= after for before, after in pairwise(numbers))
    assert {"Laying out page 1", "Laying out page 2", "Writing the PDF"} <= {message for _, message in said}
    # WeasyPrint lays out a document several times.
    pages = [int(message.rpartition(" ")[2]) for _, message in said if message.startswith("Laying out page")]
    assert pages == sorted(pages)
    assert pages[0] == 1


@pytest.mark.parametrize("content", [FULL, ESTIMATE], ids=["report", "estimate"])
def test_weasyprint_understands_every_rule_of_the_print_styles(
    content: Snapshot, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pdf.print_styles.cache_clear()
    with caplog.at_level(logging.WARNING, "weasyprint"):
        made(content, tmp_path)
    assert caplog.messages == []


@pytest.mark.parametrize("content", [FULL, ESTIMATE], ids=["report", "estimate"])
def test_a_process_without_settings_makes_the_documents(content: Snapshot, tmp_path: Path) -> None:
    (tmp_path / "snapshot").write_bytes(pickle.dumps(content))
    program = (
        "import pickle, sys; from pathlib import Path; from django.utils.module_loading import import_string\n"
        "folder = Path(sys.argv[1]); content = pickle.loads((folder / 'snapshot').read_bytes())\n"
        "print(import_string(sys.argv[2])(content, folder, lambda *said: None).message)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), KINDS[content.kind].generator],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.fullmatch(r"\d pages\n", done.stdout)


def test_importing_the_printing_package_does_not_load_weasyprint() -> None:
    program = "import sys, assessments.printing, assessments.photos.print_image; print('weasyprint' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_document_may_open_files_of_its_work_folder_alone(tmp_path: Path) -> None:
    work, outside = tmp_path / "in", tmp_path / "in-elsewhere"
    work.mkdir()
    outside.mkdir()
    (work / "in.jpg").write_bytes(b"in")
    (outside / "out.jpg").write_bytes(b"out")
    (work / "link.jpg").symlink_to(outside / "out.jpg")
    (work / "folder").symlink_to(outside)
    fetcher = pdf.WorkFolderFetcher(work)
    assert fetcher.fetch((work / "in.jpg").as_uri()).read() == b"in"
    assert fetcher.fetch(f"{work.as_uri()}/../in/in.jpg?version=1#part").read() == b"in"
    assert fetcher.fetch(f"{pdf.WORK_FOLDER}in.jpg").read() == b"in"
    for url in (
        f"{pdf.WORK_FOLDER}../in-elsewhere/out.jpg",
        f"{pdf.WORK_FOLDER}%2e%2e/in-elsewhere/out.jpg",
        f"{pdf.WORK_FOLDER}link.jpg",
        (outside / "out.jpg").as_uri(),
        f"{work.as_uri()}/../in-elsewhere/out.jpg",
        f"{work.as_uri()}/%2e%2e/in-elsewhere/out.jpg",
        (work / "link.jpg").as_uri(),
        (work / "folder" / "out.jpg").as_uri(),
        "file:///etc/passwd",
        f"file://elsewhere{work}/in.jpg",
        "http://127.0.0.1:9/in.jpg",
        "ftp://127.0.0.1/in.jpg",
        "data:text/plain,in",
        "in.jpg",
    ):
        with pytest.raises(PermissionError):
            fetcher.fetch(url)
    with pytest.raises(FileNotFoundError):
        fetcher.fetch((work / "none.jpg").as_uri())


def test_rows_of_the_database_are_printed(assessment: Assessment, tmp_path: Path) -> None:
    for kind, generate in (("report", report.generate), ("estimate", estimate.generate)):
        queue.request(assessment, [kind])
        attempt = queue.claim(assessment.pk)
        assert attempt is not None
        result = generate(snapshot.take(attempt), tmp_path, quietly)
        reader = PdfReader(result.path)
        assert result.message == f"{len(reader.pages)} pages"
        assert result.pages == len(reader.pages)
        assert reader.metadata is not None
        assert reader.metadata.title == f"{assessment.number} {KINDS[kind].label}"
        assert "Thandi Mokoena" in words(reader.pages[0].extract_text())
        attempt.finish(size=1, sha256="0" * 64)
