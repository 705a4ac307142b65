"""The page of an assessment that a person may only read, or whose state allows no new documents."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.cast import YEAR
from tests.running import Site

OWN = f"ASM-{YEAR}-001"
READER = """
import json
from tests import cast
reader = cast.make_person("reader", is_staff=True, may=["view_assessment"])
print(json.dumps(cast.session_of(reader)))
"""
ARCHIVE = "from assessments.models import Assessment; Assessment.objects.filter(number={!r}).update(status='archived')"


def test_a_reader_sees_the_work_of_others_live_and_no_buttons(site: Site, open_page: Callable[..., Page]) -> None:
    site.sessions["reader"] = site.python(READER)
    page = open_page(site, "reader", f"/assessments/{OWN}/")
    expect(page.get_by_text("You may read this assessment, and not change it.")).to_be_visible()
    with site.login("assessor") as client:
        client.post(f"/assessments/{OWN}/documents/report/retry/")
    report = page.locator("#document-report")
    expect(report).to_have_attribute("data-status", "success")
    expect(report.get_by_role("link", name="Download")).to_be_visible()
    expect(page.locator("#documents").get_by_role("button")).to_have_count(0)
    expect(page.get_by_text("Add photos")).to_have_count(0)


def test_a_click_on_a_page_from_before_the_archiving_is_refused_in_words(
    site: Site, open_page: Callable[..., Page]
) -> None:
    page = open_page(site, "assessor", f"/assessments/{OWN}/")
    site.python(ARCHIVE.format(OWN))
    page.get_by_role("button", name="Generate all documents").click()
    why = "This assessment is archived, so no documents can be made. The office can set it back to in progress."
    expect(page.locator("#documents-summary").get_by_role("alert")).to_have_text(why)
    page.reload()
    expect(page.locator("#documents-summary").get_by_text(why)).to_be_visible()
    expect(page.get_by_role("button", name="Generate all documents")).to_have_count(0)
    assert set(site.statuses(OWN).values()) == {"idle"}
