"""The list of assessments in a real browser: the search while typing, and the live marks."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.cast import YEAR
from tests.running import Site

OWN, WITHOUT_PHOTOS = f"ASM-{YEAR}-001", f"ASM-{YEAR}-003"

OpenPage = Callable[..., Page]


def test_the_search_answers_while_a_person_types(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", "/assessments/")
    rows = page.locator("#assessments tr")
    expect(rows).to_have_count(2)
    search = page.get_by_role("searchbox")
    search.press_sequentially("003", delay=40)
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text(WITHOUT_PHOTOS)
    expect(page).to_have_url(f"{site.url}/assessments/?q=003")
    assert page.evaluate("document.activeElement.id") == "search"
    search.fill("")
    expect(rows).to_have_count(2)


def test_a_person_who_was_signed_out_elsewhere_gets_the_page_to_sign_in(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", "/assessments/?q=00")
    with site.login("assessor") as same_session:
        assert same_session.post("/logout/").status_code == 302
    expect(page).to_have_url(f"{site.url}/login/?next=/assessments/%3Fq%3D00")
    expect(page.get_by_role("table")).to_have_count(0)


def test_the_search_works_without_a_script(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", "/assessments/", java_script_enabled=False)
    page.get_by_role("searchbox").fill("003")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#assessments tr")).to_have_count(1)


def test_the_marks_follow_the_documents(site: Site, open_page: OpenPage) -> None:
    with site.login("assessor") as client:
        client.post(f"/assessments/{OWN}/documents/generate/")
    page = open_page(site, "assessor", "/assessments/")
    marks = page.locator(f"#{OWN} [data-document]")
    expect(marks).to_have_count(4)
    for number in range(4):
        expect(marks.nth(number)).to_have_attribute("data-status", "success", timeout=120_000)
    expect(page.locator(f"#{OWN}")).to_contain_text("Photos ZIP: ready")


def test_the_marks_show_that_data_has_changed(site: Site, open_page: OpenPage) -> None:
    with site.login("assessor") as client:
        client.post(f"/assessments/{OWN}/documents/estimate/retry/")
    page = open_page(site, "assessor", "/assessments/")
    mark = page.locator(f"#{OWN} [data-document=estimate]")
    expect(mark).to_have_attribute("data-icon", "success", timeout=120_000)
    site.python(
        "from assessments.models import Vehicle; "
        f"vehicle = Vehicle.objects.get(assessment__number='{OWN}'); vehicle.colour += ' metallic'; vehicle.save()"
    )
    expect(mark).to_have_attribute("data-icon", "stale")
    expect(mark).to_have_text("Estimate: ready, out of date")


def test_the_whole_row_leads_to_the_assessment(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", "/assessments/")
    page.locator(f"#{OWN} [data-column=status]").click(force=True)
    expect(page).to_have_url(f"{site.url}/assessments/{OWN}/")
