"""The layout of the pages on screens of different widths, and the names for screen readers."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.cast import YEAR
from tests.running import Site

OWN = f"ASM-{YEAR}-001"
PAGE = f"/assessments/{OWN}/"
ADMIN = "/admin/assessments"

OpenPage = Callable[..., Page]

WIDTHS = pytest.mark.parametrize("width", [360, 768, 1280])

# Returns the elements with text of which a part lies outside the window, or is cut off by an element around them.
CUT_OFF = """(elements) => elements.filter(element => {
  if (!element.textContent.trim()) return false;
  const box = element.getBoundingClientRect();
  if (!element.checkVisibility() || box.width === 0 || box.left < 0 || box.right > innerWidth) return true;
  for (let at = element.parentElement; at !== document.body; at = at.parentElement) {
    const edge = at.getBoundingClientRect();
    if (getComputedStyle(at).overflowX !== "visible" && box.right > edge.right + 1) return true;
  }
  return false;
}).map(element => element.outerHTML)"""

DEAR = f"""
from decimal import Decimal
from assessments.models import EstimateLine, Valuation
values = Valuation.objects.filter(assessment__number="{OWN}")
values.update(trade=Decimal("12345678.90"), market=Decimal("12345678.90"), retail=Decimal("12345678.90"))
line = EstimateLine.objects.filter(estimate__assessment__number="{OWN}", process_type="N")
line.update(part_price=Decimal("1234567.89"), strip_hours=2, labour_hours=3, paint_panels=1, betterment_part=10)
"""


# The lines of text in a cell.
LINES = """(cell) => {
  const range = document.createRange();
  range.selectNodeContents(cell);
  return new Set([...range.getClientRects()].map(box => box.top)).size;
}"""


def cut_off(page: Page, elements: str) -> list[str]:
    found: list[str] = page.locator(elements).evaluate_all(CUT_OFF)
    return found


# The assessment's page


@WIDTHS
def test_every_figure_of_an_assessment_can_be_seen(site: Site, open_page: OpenPage, width: int) -> None:
    site.python(DEAR)
    page = open_page(site, "assessor", PAGE, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == width
    figures = "#estimate td, #values td, #values th[scope=row], #accessories td, #tyres td, .sum dd"
    assert cut_off(page, figures) == []
    values = page.locator("#values")
    for label in ("Borderline write-off", "Total write-off", "Salvage"):
        expect(values.get_by_role("row", name=label)).to_be_visible()
    # The parts of a line are named, by a heading of their column or beside each figure.
    line = page.locator("#estimate tbody tr").first
    expect(line.locator("[data-label=Parts]")).to_have_text("1\u202f234\u202f567.89")
    expect(line).to_contain_text("less betterment 123\u202f456.79")
    named = line.locator("[data-label=Parts]").evaluate("cell => getComputedStyle(cell, '::before').content")
    headings = page.locator("#estimate thead").bounding_box()
    assert headings is not None
    assert ("Parts" in named) != (headings["width"] > 1)


@WIDTHS
@pytest.mark.parametrize("script", [True, False], ids=["with scripts", "without scripts"])
def test_each_part_of_the_page_is_one_click_away(site: Site, open_page: OpenPage, width: int, script: bool) -> None:
    size = {"width": width, "height": 800}
    page = open_page(site, "assessor", PAGE, viewport=size, java_script_enabled=script)
    parts = page.get_by_role("navigation", name="Parts of this page")
    headings = [heading.partition("\n")[0] for heading in page.locator("main .card > h2").all_inner_texts()]
    links = parts.get_by_role("link")
    assert len(headings) > 10
    assert [name.partition(" ")[0] for name in links.all_inner_texts()] == [
        heading.partition(" ")[0] for heading in headings
    ]
    for name, part in (("Values", "#values"), ("Documents", "#documents"), ("Tyres", "#tyres")):
        parts.get_by_role("link", name=name).click()
        expect(page.locator(f"{part} h2").first).to_be_in_viewport()
        below, top = parts.bounding_box(), page.locator(part).bounding_box()
        assert below is not None
        assert top is not None
        assert below["y"] >= 0
        assert below["y"] + below["height"] <= top["y"] + 1, "the links cover the heading"


@pytest.mark.parametrize("width", [360, 1280])
def test_a_long_caption_can_be_read_to_its_end(site: Site, open_page: OpenPage, width: int) -> None:
    caption = "The left rear quarter panel, with the crease that runs from the lamp to the wheel arch"
    site.python(f"from assessments.models import Photo; Photo.objects.update(caption={caption!r})")
    page = open_page(site, "assessor", PAGE, viewport={"width": width, "height": 800})
    captions = page.locator("#gallery .photos span")
    expect(captions.first).to_have_text(caption)
    assert all(each.evaluate("span => span.scrollWidth <= span.clientWidth") for each in captions.all())


def test_a_picture_that_is_gone_says_so_and_what_to_do(site: Site, open_page: OpenPage) -> None:
    photo, *_ = site.rows("SELECT thumbnail, original FROM assessments_photo ORDER BY id")
    for file in photo.values():
        (site.data_dir / "media" / file).unlink()
    page = open_page(site, "assessor", PAGE)
    said = page.locator("#gallery .no-picture")
    expect(said).to_have_count(1)
    expect(said).to_contain_text("upload the photo to this section again, or ask the office to remove it")
    assert page.locator("#gallery img").count() == 2


def test_the_list_names_the_assessors_on_a_phone(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "staff", "/assessments/", viewport={"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    expect(page.locator(f"#{OWN} [data-column=assessor]")).to_be_visible()
    expect(page.locator(f"#{OWN} [data-column=assessor]")).to_have_text("assessor")


def test_documents_that_were_never_made_keep_no_empty_lines_on_a_phone(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "stranger", f"/assessments/ASM-{YEAR}-002/", viewport={"width": 360, "height": 740})
    rows = page.locator("#documents [data-document]")
    expect(rows).to_have_count(4)
    assert all(row.evaluate("row => row.offsetHeight") < 80 for row in rows.all())
    site.python(
        "from assessments.models import Document; "
        f"Document.objects.filter(assessment__number='ASM-{YEAR}-002', kind='report').update(status='error', error='x')"
    )
    page.reload()
    expect(page.locator("#documents")).to_have_attribute("data-outcome", "failed")
    assert all(row.evaluate("row => row.offsetHeight") < 80 for row in rows.all()[1:])


# The admin


def test_the_live_page_shows_all_states_and_buttons(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "staff", f"{ADMIN}/assessment/")
    page.locator("#action-toggle").check()
    page.locator("select[name=action]").select_option("generate_documents")
    page.get_by_role("button", name="Run").click()
    expect(page.locator("#now tbody tr")).to_have_count(3)
    expect(page.locator("#now")).to_have_attribute("data-percent", "100", timeout=240_000)
    assert page.locator("#now tbody tr .button").count() == 3
    assert page.locator("#now .state").count() == 12
    for width in (1920, 1280, 768, 360):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert cut_off(page, "#now .button, #now .state, #now .help, #now td, #now th[scope=row]") == [], width
    page.get_by_role("button", name="Retry failed (2)").click()
    expect(page.get_by_text("Failed documents asked for again: 1 assessment")).to_be_visible()


@WIDTHS
def test_the_office_list_shows_all_its_columns(site: Site, open_page: OpenPage, width: int) -> None:
    page = open_page(site, "staff", f"{ADMIN}/assessment/", viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.locator("#result_list .field-documents_in_words").count() == 3
    assert cut_off(page, "#result_list :is(td, th)") == []
    # No word is broken into pieces.
    assert all(cell.evaluate(LINES) == 1 for cell in page.locator(".field-claim_number").all())
    page.locator("#action-toggle").check()
    expect(page.get_by_text("3 of 3 selected")).to_be_visible()
    page.get_by_role("button", name="Claim number").click()
    expect(page).to_have_url(f"{site.url}{ADMIN}/assessment/?o=4")


# The names for screen readers

NAMELESS = """() => [...document.querySelectorAll("input, select, textarea, button, a[href]")]
  .filter(element => element.type !== "hidden" && element.checkVisibility())
  .filter(element => ![
    element.getAttribute("aria-label"),
    ...[...element.labels ?? []].map(label => label.textContent),
    ...(element.getAttribute("aria-labelledby") ?? "").split(" ").map(id => document.getElementById(id))
      .flatMap(label => [label?.textContent, label?.title]),
    ...(element.matches("a, button") ? [element.textContent, element.querySelector("img")?.alt, element.title] : []),
    ...(element.matches("[type=submit], [type=button]") ? [element.value] : []),
  ].some(name => name?.trim()))
  .map(element => element.outerHTML)"""

EMPTY_HEADS = """() => [...document.querySelectorAll("th")]
  .filter(head => head.checkVisibility() && !head.textContent.trim()).map(head => head.outerHTML)"""


def test_every_field_has_a_name_and_every_column_a_heading(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "staff", "/assessments/")
    for address in ("/assessments/", PAGE, f"{PAGE}documents/report/retry/"):
        page.goto(address)
        assert page.evaluate(NAMELESS) == [], address
        assert page.evaluate(EMPTY_HEADS) == [], address


def test_every_field_of_the_office_forms_has_a_name(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "staff", f"{ADMIN}/estimate/1/change/")
    page.get_by_role("button", name="Add another Estimate line").click()
    names = [field.get_attribute("aria-label") for field in page.locator("#lines-0 .figure").all()]
    assert names[0] == "Nett part price (ZAR), estimate line 1"
    for address in (f"{ADMIN}/estimate/1/change/", f"{ADMIN}/assessment/1/change/", f"{ADMIN}/assessment/add/"):
        page.goto(address)
        assert [field for field in page.evaluate(NAMELESS) if "searchbar" not in field] == [], address
