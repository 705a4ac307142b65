"""The admin in a browser, under the policy against inline scripts and styles (``open_page`` fails on a violation)."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.running import Site

LIST = "/admin/assessments/assessment/"


def test_the_live_page_follows_the_batch_to_its_end(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(site, "staff", LIST)
    page.locator("#action-toggle").check()
    page.locator("select[name=action]").select_option("generate_documents")
    page.get_by_role("button", name="Run").click()
    expect(page.locator("#now progress#whole")).to_be_visible()
    # The page is left, and found again in the list of bulk requests.
    page.goto("/assessments/")
    page.goto("/admin/assessments/bulkrequest/")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    page.locator("#result_list tbody th a").click()
    expect(page.get_by_text("Generate all: asked for by staff")).to_be_visible()
    expect(page.locator("#now progress#whole")).to_have_attribute("value", "100", timeout=240_000)
    expect(page.get_by_role("status")).to_have_text("10 of 12 documents ready, 2 failed")
    page.get_by_role("link", name="With failed documents (1)").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Retry failed (2)").click()
    expect(page.get_by_text("Failed documents asked for again: 1 assessment")).to_be_visible()


def test_all_forms_open_and_grow_without_breaking_the_policy(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(site, "staff", f"{LIST}1/change/")
    page.locator(".field-client .select2-selection").click()
    expect(page.locator(".select2-results__option")).to_have_text(["Karoo Insurance"])
    page.keyboard.press("Escape")
    before = page.locator("#accessories-group tr.dynamic-accessories").count()
    page.get_by_role("button", name="Add another Accessory").click()
    expect(page.locator("#accessories-group tr.dynamic-accessories")).to_have_count(before + 1)
    expect(page.get_by_role("button", name="Add another Photo")).to_have_count(0)
    page.goto("/admin/assessments/estimate/1/change/")
    page.get_by_role("button", name="Add another Estimate line").click()
    expect(page.locator("#lines-group tr.dynamic-lines")).to_have_count(7)


def test_the_live_page_reloads_itself_without_javascript(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(site, "staff", LIST, java_script_enabled=False)
    page.locator("input[name=_selected_action]").last.check()
    page.locator("select[name=action]").select_option("generate_documents")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("status")).to_have_text("4 of 4 documents ready", timeout=120_000)


def test_a_date_is_said_in_words_while_it_is_typed(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(site, "staff", f"{LIST}1/change/")
    said = page.locator("output[for=id_incident_on]")
    for typed, words in {
        "03/04/2026": "3 April 2026",
        "31/02/2026": "",
        "3-12-26": "3 December 2026",
        "19 November 2026": "19 November 2026",
        "19 Nov 2026": "19 November 2026",
        "Nov 19, 2026": "19 November 2026",
        "31 Feb 2026": "",
    }.items():
        page.locator("#id_incident_on").fill(typed)
        expect(said).to_have_text(words)
    # The calendar fills the field in without an event.
    page.locator("#id_incident_on").fill("")
    page.locator(".field-incident_on .datetimeshortcuts a").first.click()
    expect(said).not_to_be_empty()
    page.locator("#id_vehicle-0-last_service_on").fill("04/03/2026")
    expect(page.locator("output[for=id_vehicle-0-last_service_on]")).to_have_text("4 March 2026")
