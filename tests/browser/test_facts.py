"""An open page while other people change the assessment, and the upload of photos, in a real browser."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests import cast
from tests.cast import YEAR
from tests.running import Site

NUMBER = f"ASM-{YEAR}-001"
PAGE = f"/assessments/{NUMBER}/"
FOUND = f"""
from assessments.models import Assessment
found = Assessment.objects.get(number="{NUMBER}")
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


@pytest.mark.parametrize("photos", [40])
def test_a_printed_page_has_all_its_facts_and_no_buttons(site: Site, open_page: OpenPage, photos: int) -> None:
    page = open_page(site, "assessor", PAGE)
    page.emulate_media(media="print")
    for button in page.locator("main button, main a.button, nav a, header button").all():
        expect(button).to_be_hidden()
    for row in page.locator("#values tr, #values td").all():
        expect(row).to_be_attached()
