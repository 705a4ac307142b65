"""One stream for all tabs of a browser, and pages that ask by themselves while a stream is away or silent."""

import re
from collections.abc import Callable
from contextlib import suppress

import pytest
from playwright.sync_api import BrowserContext, Error, Page, Request, expect

from tests.cast import PASSWORD, YEAR
from tests.running import Site, held_worker, wait_until
from tests.wire import Hoarder

OWN, FOREIGN, WITHOUT_PHOTOS = NUMBERS = [f"ASM-{YEAR}-00{number}" for number in (1, 2, 3)]
MADE = 120_000
ASKS = re.compile(r"^This page asks by itself; what you see is \d+ s old$")

OpenPage = Callable[..., Page]


def path(number: str) -> str:
    return f"/assessments/{number}/"


def post(site: Site, number: str, step: str) -> None:
    with site.login("staff") as client:
        assert client.post(f"{path(number)}documents/{step}/").status_code == 302


def expect_outcome(page: Page, value: str) -> None:
    expect(page.locator("#documents")).to_have_attribute("data-outcome", value, timeout=MADE)


def expect_notice(page: Page, text: str | re.Pattern[str]) -> None:
    expect(page.locator("#documents-notice")).to_have_text(text, timeout=MADE)


class Streams:
    """The requests of a browser for streams that are open now."""

    def __init__(self, context: BrowserContext) -> None:
        self.open: list[Request] = []
        context.on("request", self.begins)
        context.on("requestfinished", self.ends)
        context.on("requestfailed", self.ends)

    def begins(self, request: Request) -> None:
        if "/events/" in request.url:
            self.open.append(request)

    def ends(self, request: Request) -> None:
        if request in self.open:
            self.open.remove(request)


def test_eight_tabs_share_one_connection_and_each_shows_its_own_assessment(site: Site, open_page: OpenPage) -> None:
    context = open_page(site, "staff", "/assessments/").context
    streams = Streams(context)
    with held_worker(site):
        for number in NUMBERS:
            post(site, number, "generate")
        tabs = []
        for place in range(8):
            tab = context.new_page()
            tab.goto(path(NUMBERS[place % 3]))
            tabs.append(tab)
        for tab in tabs:
            expect_outcome(tab, "processing")
        wait_until(lambda: tabs[0].wait_for_timeout(300) or len(streams.open) == 1, "the tabs have several streams")
        # A click in the last tab is answered, and the other tabs with the same assessment see the change.
        tabs[7].get_by_role("button", name="Cancel").click()
        for tab, number in zip(tabs, [*NUMBERS, *NUMBERS, *NUMBERS], strict=False):
            expect_outcome(tab, "idle" if number == FOREIGN else "processing")
    for tab, number in zip(tabs, [*NUMBERS, *NUMBERS, *NUMBERS], strict=False):
        expect_outcome(tab, {OWN: "complete", FOREIGN: "idle", WITHOUT_PHOTOS: "partial"}[number])
        assert number in tab.title()
    assert len(streams.open) == 1


@pytest.mark.parametrize("way", ["closed", "killed"])
def test_a_tab_that_ends_hands_the_stream_over(site: Site, open_page: OpenPage, way: str) -> None:
    reader = open_page(site, "staff", path(OWN))
    others = [reader.context.new_page() for _ in range(2)]
    for tab, number in zip(others, (OWN, FOREIGN), strict=True):
        tab.goto(path(number))
        expect_outcome(tab, "idle")
    with held_worker(site):
        # All tabs listen.
        post(site, OWN, "generate")
        for tab in (reader, others[0]):
            expect_outcome(tab, "processing")
        if way == "closed":
            reader.close()
        else:
            with reader.expect_event("crash"), suppress(Error):
                reader.goto("chrome://crash")
        post(site, OWN, "cancel")
        post(site, FOREIGN, "generate")
        expect_outcome(others[0], "idle")
        expect_outcome(others[1], "processing")


def test_a_tab_that_reads_and_sleeps_is_relieved(site: Site, open_page: OpenPage) -> None:
    asleep = open_page(site, "assessor", "/assessments/")
    asleep.evaluate("() => { navigator.locks.request('stream', () => new Promise(() => {})).catch(() => {}); }")
    page = asleep.context.new_page()
    page.goto(path(OWN))
    expect_outcome(page, "idle")
    with held_worker(site):
        post(site, OWN, "generate")
        expect_outcome(page, "processing")
        expect_notice(page, "")


@pytest.mark.parametrize("passes", [0, 1_500], ids=["whole", "after-its-beginning"])
def test_a_page_whose_stream_is_held_back_asks_by_itself(site: Site, open_page: OpenPage, passes: int) -> None:
    with Hoarder(site, passes) as proxy:
        page = open_page(site, "assessor", "/login/")
        page.goto(f"{proxy.url}{path(OWN)}")
        with held_worker(site):
            page.get_by_role("button", name="Generate all documents").click()
            expect_outcome(page, "processing")
            expect_notice(page, ASKS)
        expect_outcome(page, "complete")
        assert page.title() == f"4/4 - {OWN}"
        assert proxy.streamed


def test_what_a_proxy_lets_go_late_does_not_take_the_page_back(site: Site, open_page: OpenPage) -> None:
    with Hoarder(site) as proxy:
        page = open_page(site, "assessor", "/login/")
        page.goto(f"{proxy.url}{path(OWN)}")
        page.get_by_role("button", name="Generate all documents").click()
        expect_outcome(page, "complete")
        expect_notice(page, ASKS)
        page.evaluate("document.addEventListener('stream:message', () => document.body.dataset.heard = 'yes')")
        proxy.let_half_go()
        expect(page.locator("body")).to_have_attribute("data-heard", "yes")
        page.wait_for_timeout(500)
        assert page.locator("#documents").get_attribute("data-outcome") == "complete"
        assert page.title() == f"4/4 - {OWN}"
        assert page.locator("#documents [data-status=success]").count() == 4


def test_a_page_that_cannot_ask_says_how_old_its_view_is(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", path(OWN))
    expect_outcome(page, "idle")
    page.context.set_offline(True)
    with held_worker(site):
        post(site, OWN, "generate")
        expect_notice(page, re.compile(r"^Reconnecting; what you see is \d\d+ s old$"))
        page.context.set_offline(False)
        expect_outcome(page, "processing")
        expect_notice(page, "")


def test_a_browser_that_cannot_share_a_stream_asks(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", "/assessments/")
    streams = Streams(page.context)
    page.add_init_script("Object.defineProperty(Navigator.prototype, 'locks', { value: undefined })")
    page.goto(path(OWN))
    post(site, OWN, "generate")
    expect_outcome(page, "complete")
    expect_notice(page, "")
    assert streams.open == []


def test_a_person_who_is_signed_out_keeps_the_chosen_files(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", path(WITHOUT_PHOTOS))
    picture = {"name": "IMG_1.jpg", "mimeType": "image/jpeg", "buffer": b"a picture"}
    page.get_by_label("Photos", exact=True).set_input_files(picture)  # type: ignore[arg-type]
    with site.login("assessor") as same_session:
        assert same_session.post("/logout/").status_code == 302
    expect_notice(page, "You are no longer signed in. Sign in again in another tab; then this page goes on.")
    other = page.context.new_page()
    other.goto("/login/")
    other.get_by_label("User name").fill("assessor")
    other.get_by_label("Password").fill(PASSWORD)
    other.get_by_role("button", name="Sign in").click()
    expect_notice(page, "")
    # The buttons of the page go on, too.
    page.get_by_role("button", name="Generate all documents").click()
    expect_outcome(page, "partial")
    assert page.locator("#id_photos").evaluate("input => input.files.length") == 1


def test_the_pages_of_a_person_who_lost_one_assessment_go_on_with_the_other(site: Site, open_page: OpenPage) -> None:
    lost = open_page(site, "assessor", path(WITHOUT_PHOTOS))
    kept = lost.context.new_page()
    kept.goto(path(OWN))
    expect_outcome(kept, "idle")
    site.python(
        "from django.contrib.auth.models import User; from assessments.models import Assessment; "
        f"Assessment.objects.filter(number='{WITHOUT_PHOTOS}').update(assessor=User.objects.get(username='stranger'))"
    )
    expect(lost.get_by_role("link", name="To the assessments")).to_be_visible(timeout=MADE)
    with held_worker(site):
        post(site, OWN, "generate")
        expect_outcome(kept, "processing")
        expect_notice(kept, "")
