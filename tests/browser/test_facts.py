"""An open page while other people change the assessment, and the upload of photos, in a real browser."""

import re
from collections.abc import Callable
from io import BytesIO
from unicodedata import normalize

from playwright.sync_api import Page, Route, expect
from pypdf import PdfReader

from tests import cast
from tests.cast import YEAR
from tests.running import Site

NUMBER = f"ASM-{YEAR}-001"
PAGE = f"/assessments/{NUMBER}/"
FOUND = f"""
from assessments.models import Assessment
found = Assessment.objects.get(number="{NUMBER}")
"""

FAR_BELOW = """
new MutationObserver(() => {
  const documents = document.getElementById("documents");
  if (documents && !documents.style.marginBottom) documents.style.marginBottom = "20000px";
}).observe(document, { childList: true, subtree: true });
"""

OpenPage = Callable[..., Page]


def choose(page: Page, *numbers: int) -> None:
    files = [
        {"name": f"IMG_{number}.jpg", "mimeType": "image/jpeg", "buffer": cast.picture(number)} for number in numbers
    ]
    page.get_by_label("Photos", exact=True).set_input_files(files)  # type: ignore[arg-type]


def test_a_page_says_that_it_shows_older_facts_and_loses_nothing_that_is_being_written(
    site: Site, open_page: OpenPage
) -> None:
    page = open_page(site, "assessor", PAGE)
    page.get_by_text("Add photos").click()
    page.get_by_label("Caption").fill("Left rear")
    older = page.get_by_text("This page shows older facts.")
    expect(older).to_be_hidden()
    site.python(f"{FOUND}found.status = found.Status.CANCELLED; found.save()")
    expect(older).to_be_visible()
    expect(page.get_by_label("Caption")).to_have_value("Left rear")
    page.get_by_role("link", name="Reload").click()
    expect(page.locator("h1")).to_contain_text("Cancelled")
    expect(older).to_be_hidden()
    site.python(f"{FOUND}found.status = found.Status.IN_PROGRESS; found.save()")


def test_photos_that_others_remove_go_from_an_open_page(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", PAGE)
    expect(page.locator("#photo-count")).to_have_text("3")
    site.python(f"{FOUND}found.photos.last().delete()")
    expect(page.locator("#photo-count")).to_have_text("2")
    expect(page.locator("#gallery li")).to_have_count(2)
    expect(page.get_by_text("This page shows older facts.")).to_be_hidden()


def test_a_button_without_a_connection_says_so_where_it_is(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", PAGE, viewport={"width": 360, "height": 740})
    page.route("**/generate/", lambda route: route.abort())
    page.get_by_role("button", name="Generate all documents").click()
    said = page.locator("#documents-summary").get_by_role("alert")
    expect(said).to_have_text("The server cannot be reached. Check the connection, then try again.")
    expect(said).to_be_in_viewport()


def test_an_upload_counts_its_photos_and_can_be_stopped(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", PAGE)
    held: list[Route] = []

    def hold_the_second(route: Route) -> None:
        if route.request.method == "POST" and b"IMG_42.jpg" in (route.request.post_data_buffer or b""):
            held.append(route)
        else:
            route.continue_()

    page.route("**/photos/", hold_the_second)
    page.get_by_text("Add photos").click()
    choose(page, 41, 42, 43)
    page.get_by_label("Caption").fill("Left rear")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("Uploading 2 of 3")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped: 1 of 3 photos sent. Upload again to send the others.")).to_be_visible()
    expect(page.get_by_text("1 photo added to Damage.")).to_be_visible()
    page.unroute("**/photos/")
    # The choice and its caption are still there.
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("2 photos added to Damage.")).to_be_visible()
    expect(page.get_by_text("1 photo already there, in Damage; the new caption was not used.")).to_be_visible()
    expect(page.get_by_label("Caption")).to_have_value("")


def test_a_printed_page_has_all_facts_and_pictures_and_no_buttons(site: Site, open_page: OpenPage) -> None:
    # The pictures are so far below that the browser does not load them by itself.
    page = open_page(site, "assessor", "/assessments/")
    page.add_init_script(FAR_BELOW)
    page.goto(PAGE)
    values = page.locator("#values").all_inner_texts()
    pictures = page.locator("#gallery img")
    expect(pictures.last).not_to_have_js_property("naturalWidth", 0)
    page.evaluate("document.getElementById('documents').style.marginBottom = 0")
    paper = PdfReader(BytesIO(page.pdf(format="A4")))
    # The font of the paper has signs of its own for some pairs of letters.
    printed = normalize("NFKC", re.sub(r"\s", "", "".join(sheet.extract_text() for sheet in paper.pages)))
    for words in "".join(values).split():
        assert words in printed
    for button in ("Signout", "Generatealldocuments", "Addphotos"):
        assert button not in printed
    assert sum(len(sheet.images) for sheet in paper.pages) == pictures.count()
