"""The Documents panel in a real browser, on a real site with its worker."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, Route, expect

from tests import cast, family
from tests.cast import YEAR
from tests.running import Site, wait_until

OWN, WITHOUT_PHOTOS = f"ASM-{YEAR}-001", f"ASM-{YEAR}-003"
# Milliseconds in which four documents are made.
MADE = 120_000
RECONNECTING = re.compile(r"^Reconnecting; what you see (may be a few seconds|is \d+ s) old$")

OpenPage = Callable[..., Page]


def path(number: str) -> str:
    return f"/assessments/{number}/"


def expect_outcome(page: Page, value: str) -> None:
    expect(page.locator("#documents")).to_have_attribute("data-outcome", value, timeout=MADE)


def expect_status(page: Page, document: str, value: str) -> None:
    expect(page.locator(f"#document-{document}")).to_have_attribute("data-status", value, timeout=MADE)


def expect_notice(page: Page, text: str | re.Pattern[str]) -> None:
    expect(page.locator("#documents-notice")).to_have_text(text, timeout=MADE)


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id"))


def record(page: Page, expression: str) -> None:
    """Record each value that an expression takes from now on; see recorded()."""
    page.evaluate(
        f"""() => {{
          window.recorded = [];
          const look = () => {{
            const value = {expression};
            if (window.recorded.at(-1) !== value) window.recorded.push(value);
          }};
          look();
          const everything = {{ subtree: true, childList: true, attributes: true, characterData: true }};
          new MutationObserver(look).observe(document, everything);
        }}"""
    )


def recorded(page: Page) -> list[str]:
    return list(page.evaluate("window.recorded"))


def processes(site: Site, name: str) -> list[int]:
    assert site.process
    serve = site.process.pid
    return list(wait_until(lambda: family.named(serve, name), f"no {name} runs"))


def tell(site: Site, name: str, number: signal.Signals) -> None:
    for pid in processes(site, name):
        os.kill(pid, number)


def freeze(site: Site) -> None:
    for pid in processes(site, "worker"):
        site.freeze(pid)


@contextmanager
def at_a_standstill(site: Site) -> Iterator[None]:
    """Hold the worker meanwhile: a page that is slow would never be seen to show what is over within a second."""
    freeze(site)
    yield
    tell(site, "worker", signal.SIGCONT)


def seen_alive(site: Site, minutes: int) -> None:
    """Set when the worker was last seen alive, in minutes from now; its own next sign of life puts that right."""
    site.python(
        "from datetime import timedelta\nfrom django.utils import timezone\nfrom assessments.models import Heartbeat\n"
        f"Heartbeat.objects.filter(role='worker').update(seen_at=timezone.now() + timedelta(minutes={minutes}))"
    )


@pytest.fixture
def held(site: Site) -> Iterator[Site]:
    """Give a site whose worker is stopped, so that all documents stay in line."""
    freeze(site)
    yield site
    tell(site, "worker", signal.SIGCONT)


# Generating


def test_one_click_makes_four_documents_and_the_page_shows_the_work(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", path(OWN))
    expect_outcome(page, "idle")
    page.evaluate("window.same = true")
    record(page, "document.getElementById('documents-live').textContent")
    with at_a_standstill(site):
        page.get_by_role("button", name="Generate all documents").click()
        expect_outcome(page, "processing")
    expect_outcome(page, "complete")
    assert page.title() == f"4/4 - {OWN}"
    assert page.evaluate("window.same"), "the page was loaded again"
    expect(page.locator("#documents-summary")).to_contain_text("4 of 4 documents ready")
    expect(page.locator("#documents-progress")).to_have_attribute("value", "100")
    expect(page.locator("#document-report")).to_contain_text(re.compile(r"\d pages?, .+ made at \d\d:\d\d by assessor"))
    spoken = [text for text in recorded(page) if text]
    known = ["Assessment Report ready", "Estimate ready", "Photos PDF ready", "All four documents ready"]
    assert spoken[-1] == known[-1]
    assert [text for text in known if text in spoken] == spoken
    with page.expect_download() as download:
        page.locator("#document-photos-zip").get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == f"{OWN}_Photos.zip"


def test_progress_never_runs_backwards(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", path(OWN))
    with at_a_standstill(site):
        page.get_by_role("button", name="Generate all documents").click()
        expect_outcome(page, "processing")
        record(page, "document.getElementById('documents-progress').value")
    expect_outcome(page, "complete")
    values = [float(value) for value in recorded(page)]
    assert values == sorted(values)
    assert values[-1] == 100


def test_failed_documents_can_be_retried(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", path(WITHOUT_PHOTOS))
    page.get_by_role("button", name="Generate all documents").click()
    expect_outcome(page, "partial")
    assert page.title() == f"2/4 - {WITHOUT_PHOTOS}"
    expect(page.locator("#documents-summary")).to_contain_text("2 of 4 documents ready, 2 failed")
    failed = page.locator("#document-photos-pdf")
    expect(failed).to_contain_text("no photos")
    # The text says all: support would find no more in the log.
    expect(failed.get_by_text("Details")).to_have_count(0)
    expect(page.locator("#documents-live")).to_have_text(
        re.compile("Photos ZIP failed: .*2 of 4 documents ready, 2 failed")
    )
    made = site.rows("SELECT id FROM assessments_documentversion")
    with at_a_standstill(site):
        page.get_by_role("button", name="Retry failed (2)").click()
        expect_outcome(page, "processing")
    expect_outcome(page, "partial")
    assert site.rows("SELECT id FROM assessments_documentversion") == made


def test_a_retry_succeeds_after_photos_were_added(site: Site, open_page: OpenPage) -> None:
    with site.login("assessor") as client:
        client.post(f"{path(WITHOUT_PHOTOS)}documents/photos-zip/retry/")
    page = open_page(site, "assessor", path(WITHOUT_PHOTOS))
    expect_outcome(page, "failed")
    pictures = [
        {"name": f"IMG_{number}.jpg", "mimeType": "image/jpeg", "buffer": cast.picture(80 + number)}
        for number in range(3)
    ]
    page.get_by_label("Photos", exact=True).set_input_files(pictures)  # type: ignore[arg-type]
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("3 photos added to Damage.")).to_be_visible()
    # The photos are prepared in the background, and appear without a reload.
    expect(page.locator("#gallery img")).to_have_count(3, timeout=MADE)
    expect(page.locator("#gallery li > span")).to_have_text(["IMG_0.jpg", "IMG_1.jpg", "IMG_2.jpg"])
    expect(page.locator("#document-photos-zip")).to_contain_text("Photos were added or removed since: retry")
    page.locator("#document-photos-zip").get_by_role("button", name="Retry").click()
    expect_status(page, "photos-zip", "success")
    expect(page.locator("#document-photos-zip")).to_contain_text("3 photos")


def test_an_upload_that_does_not_arrive_is_reported(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", path(WITHOUT_PHOTOS))
    picture = {"name": "IMG_1.jpg", "mimeType": "image/jpeg", "buffer": cast.picture(90)}
    page.get_by_label("Photos", exact=True).set_input_files(picture)  # type: ignore[arg-type]
    page.route("**/photos/", lambda route: route.abort())
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("The server cannot be reached, so nothing was sent.")).to_be_visible()
    page.unroute("**/photos/")
    page.route("**/photos/", lambda route: route.abort() if route.request.method == "POST" else route.continue_())
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("The connection was lost, so some photos may be missing.")).to_be_visible()
    page.unroute("**/photos/")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("1 photo added to Damage.")).to_be_visible()


def posts_of(page: Page) -> list[str]:
    """Return the list of the addresses to which a page sends POST requests from now on."""
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    return sent


def test_photos_chosen_in_a_tab_survive_the_end_of_the_session(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", path(WITHOUT_PHOTOS))
    sent = posts_of(page)
    picture = {"name": "IMG_1.jpg", "mimeType": "image/jpeg", "buffer": cast.picture(90)}
    page.get_by_label("Photos", exact=True).set_input_files(picture)  # type: ignore[arg-type]
    page.context.clear_cookies()
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("You are no longer signed in, so nothing was sent.")).to_be_visible()
    assert sent == []
    # Signing in gives the browser a new session and a new token; the page still has the old token.
    other = page.context.new_page()
    other.goto(f"{site.url}/login/")
    other.get_by_label("User name").fill("assessor")
    other.get_by_label("Password").fill(cast.PASSWORD)
    other.get_by_role("button", name="Sign in").click()
    other.wait_for_url("**/assessments/")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("1 photo added to Damage.")).to_be_visible()


def test_a_session_that_ends_between_two_photos_keeps_the_choice(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", path(WITHOUT_PHOTOS))
    pictures = [
        {"name": f"IMG_{number}.jpg", "mimeType": "image/jpeg", "buffer": cast.picture(110 + number)}
        for number in range(2)
    ]
    page.get_by_label("Photos", exact=True).set_input_files(pictures)  # type: ignore[arg-type]

    def sign_out_first(route: Route) -> None:
        if route.request.method == "POST":
            page.context.clear_cookies(name="sessionid")
        route.continue_()

    page.route("**/photos/", sign_out_first)
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("Sign in in another tab, then add the photos again here.")).to_be_visible()
    assert page.url.endswith(path(WITHOUT_PHOTOS))
    assert page.evaluate("document.getElementById('upload').elements.photos.files.length") == 2


def test_photos_are_refused_with_the_reason_before_they_are_sent(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", path(WITHOUT_PHOTOS))
    sent = posts_of(page)
    picture = {"name": "IMG_1.jpg", "mimeType": "image/jpeg", "buffer": cast.picture(120)}
    page.get_by_label("Photos", exact=True).set_input_files(picture)  # type: ignore[arg-type]
    set_status = "from assessments.models import Assessment; Assessment.objects.filter(number='{}').update(status='{}')"
    site.python(set_status.format(WITHOUT_PHOTOS, "archived"))
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("This assessment is archived, so no photos can be added.")).to_be_visible()
    assert sent == []
    site.python(set_status.format(WITHOUT_PHOTOS, "in_progress"))
    # A browser that has lost its token gets a new one first.
    page.context.clear_cookies(name="csrftoken")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("1 photo added to Damage.")).to_be_visible()


def test_photos_whose_answers_were_lost_are_recognised_when_they_are_sent_again(
    site: Site, open_page: OpenPage
) -> None:
    page = open_page(site, "assessor", path(WITHOUT_PHOTOS))
    before = page.locator("#gallery li").count()
    pictures = [
        {"name": f"IMG_{number}.jpg", "mimeType": "image/jpeg", "buffer": cast.picture(100 + number)}
        for number in range(3)
    ]

    def lose_the_answer(route: Route) -> None:
        if route.request.method == "POST":
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.get_by_label("Photos", exact=True).set_input_files(pictures)  # type: ignore[arg-type]
    page.route("**/photos/", lose_the_answer)
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("a photo that is there already is not added twice.")).to_have_count(1)
    page.unroute("**/photos/")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("3 photos already there, in Damage.")).to_be_visible()
    expect(page.locator("#gallery li")).to_have_count(before + 3)


def test_an_outdated_document_says_so_and_can_be_made_again(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", path(OWN))
    page.get_by_role("button", name="Generate all documents").click()
    expect_outcome(page, "complete")
    site.python(
        "from assessments.models import EstimateLine; "
        f"line = EstimateLine.objects.filter(estimate__assessment__number='{OWN}').first(); "
        "line.description += ' and clips'; line.save()"
    )
    estimate = page.locator("#document-estimate")
    expect(estimate).to_contain_text(re.compile(r"Estimate changed \d+ \w+ after this was made"))
    with at_a_standstill(site):
        estimate.get_by_role("button", name="Make again").click()
        expect_status(page, "estimate", "pending")
    expect_status(page, "estimate", "success")
    expect(estimate).not_to_contain_text("changed")


def test_all_viewers_see_the_same(site: Site, open_page: OpenPage) -> None:
    mine = open_page(site, "assessor", path(OWN))
    theirs = open_page(site, "staff", path(OWN))
    with at_a_standstill(site):
        mine.get_by_role("button", name="Generate all documents").click()
        expect_outcome(theirs, "processing")
    for page in (mine, theirs):
        expect_outcome(page, "complete")


# Waiting and cancelling


def test_a_waiting_document_shows_its_place_and_can_be_cancelled(held: Site, open_page: OpenPage) -> None:
    seen_alive(held, 10)
    page = open_page(held, "assessor", path(OWN))
    page.get_by_role("button", name="Generate all documents").click()
    expect(page.locator("#document-report")).to_contain_text("Next")
    expect(page.locator("#document-photos-zip")).to_contain_text("Fourth in line")
    page.get_by_role("button", name="Cancel").click()
    expect_outcome(page, "idle")
    expect(page.locator("#document-report")).to_contain_text("Cancelled")
    expect(page.locator("#documents-live")).to_have_text("Cancelled")


def test_a_waiting_page_notices_that_no_worker_runs(held: Site, open_page: OpenPage) -> None:
    seen_alive(held, 10)
    page = open_page(held, "assessor", path(OWN))
    page.get_by_role("button", name="Generate all documents").click()
    report = page.locator("#document-report")
    expect(report).to_contain_text("Next")
    seen_alive(held, -1)
    expect(report).to_contain_text("No worker is running; this starts as soon as one does", timeout=MADE)
    tell(held, "worker", signal.SIGCONT)
    expect_outcome(page, "complete")


def test_a_double_click_on_generate_does_not_press_cancel(held: Site, open_page: OpenPage) -> None:
    page = open_page(held, "assessor", path(OWN))
    button = page.get_by_role("button", name="Generate all documents")
    box = button.bounding_box()
    assert box
    place = (box["x"] + box["width"] - 20, box["y"] + box["height"] / 2)
    # The new button takes no click at first. It does so for as long as the second click takes to come from here.
    page.evaluate("document.styleSheets[0].insertRule('.cancel { animation-duration: 600s !important }')")
    page.mouse.click(*place)
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    page.mouse.click(*place)
    page.wait_for_timeout(500)
    expect_outcome(page, "processing")
    page.evaluate("document.styleSheets[0].deleteRule(0)")
    page.get_by_role("button", name="Cancel").click()
    expect_outcome(page, "idle")


# The focus and the height


def test_a_disappearing_button_hands_its_focus_to_its_row(held: Site, open_page: OpenPage) -> None:
    page = open_page(held, "assessor", path(WITHOUT_PHOTOS))
    page.get_by_role("button", name="Generate all documents").focus()
    page.keyboard.press("Enter")
    expect_outcome(page, "processing")
    assert focused(page) == "documents-summary"
    tell(held, "worker", signal.SIGCONT)
    expect_outcome(page, "partial")
    freeze(held)
    page.locator("#document-photos-pdf").get_by_role("button", name="Retry").focus()
    page.keyboard.press("Enter")
    expect_status(page, "photos-pdf", "pending")
    assert focused(page) == "document-photos-pdf"


def test_a_swap_steals_no_focus(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", path(OWN))
    page.get_by_role("button", name="Generate all documents").click()
    caption = page.locator("#id_caption")
    page.get_by_text("Add photos", exact=True).click()
    caption.focus()
    page.keyboard.type("Front")
    expect_outcome(page, "complete")
    page.keyboard.type(" left")
    expect(caption).to_have_value("Front left")


@pytest.mark.parametrize(("width", "heights"), [(1280, 1), (360, 2)])
def test_rows_keep_their_height_while_states_change(site: Site, open_page: OpenPage, width: int, heights: int) -> None:
    page = open_page(site, "assessor", path(WITHOUT_PHOTOS), viewport={"width": width, "height": 800})
    record(page, "document.getElementById('documents').offsetHeight")
    with at_a_standstill(site):
        page.get_by_role("button", name="Generate all documents").click()
        expect_outcome(page, "processing")
    expect_outcome(page, "partial")
    # On a phone, documents that were never made have no empty lines: the lines come below the button that is clicked.
    assert len(recorded(page)) == heights, recorded(page)


# The stream


def test_a_lost_stream_shows_a_notice_and_comes_back(held: Site, open_page: OpenPage) -> None:
    page = open_page(held, "assessor", path(OWN))
    expect_outcome(page, "idle")
    page.wait_for_timeout(500)
    (web,) = processes(held, "web")
    assert held.process
    page.evaluate(
        """() => {
          document.addEventListener("stream:lost", () => { window.lost ??= performance.now(); });
          const told = new MutationObserver(() => { window.told ??= performance.now(); });
          told.observe(document.getElementById("documents-notice"), { childList: true });
        }"""
    )
    # A running ``serve`` would start the web process again at once.
    os.kill(held.process.pid, signal.SIGSTOP)
    os.kill(web, signal.SIGKILL)
    expect_notice(page, RECONNECTING)
    # A short gap is no news. By the clock of the page: who looks from here may look too late.
    assert page.evaluate("window.told - window.lost") > 1_500
    os.kill(held.process.pid, signal.SIGCONT)
    wait_until(held.ready, "the site does not come back")
    with held.login("assessor") as client:
        client.post(f"{path(OWN)}documents/generate/")
    expect_notice(page, "")
    expect_outcome(page, "processing")


def test_a_page_whose_first_stream_failed_gets_a_stream_later(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", "/assessments/")
    page.route("**/events/**", lambda route: route.abort())
    page.goto(path(OWN))
    expect_notice(page, RECONNECTING)
    page.unroute("**/events/**")
    expect_notice(page, "")
    with site.login("assessor") as client:
        client.post(f"{path(OWN)}documents/report/retry/")
    expect_status(page, "report", "success")


def hide(page: Page, hidden: bool) -> None:
    """Put the page in the background, as far as its scripts can tell, or back in front."""
    page.evaluate(
        """hidden => {
          Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
          document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
        }""",
        hidden,
    )


def test_a_page_in_the_background_keeps_its_stream_while_documents_are_made(held: Site, open_page: OpenPage) -> None:
    page = open_page(held, "assessor", path(OWN))
    page.get_by_role("button", name="Generate all documents").click()
    expect_outcome(page, "processing")
    hide(page, True)
    tell(held, "worker", signal.SIGCONT)
    expect_outcome(page, "complete")
    assert page.title() == f"4/4 - {OWN}"
    page.wait_for_timeout(3_000)
    freeze(held)
    with held.login("assessor") as client:
        client.post(f"{path(OWN)}documents/report/retry/")
    page.wait_for_timeout(1_500)
    expect_outcome(page, "complete")
    hide(page, False)
    expect_outcome(page, "processing")
    expect_notice(page, "")


def test_a_late_answer_does_not_undo_newer_changes(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", path(OWN))
    with site.login("assessor") as client:
        client.post(f"{path(OWN)}documents/report/retry/")
    expect_status(page, "report", "success")
    record(page, "document.getElementById('document-report').dataset.status")
    page.evaluate(
        """() => {
          const fetched = window.fetch;
          let answered;
          window.answered = new Promise(done => { answered = done; });
          window.fetch = async (...request) => {
            const answer = await fetched(...request);
            if (!String(request[0]).endsWith("/retry/")) return answer;
            const row = document.getElementById("document-report").dataset;
            while (window.recorded.length < 3 || row.status !== "success") await new Promise(go => setTimeout(go, 50));
            answered();
            return answer;
          };
        }"""
    )
    with at_a_standstill(site):
        page.locator("#document-report").get_by_role("button", name="Make again").click()
        expect_status(page, "report", "pending")
    page.evaluate("window.answered")
    page.wait_for_timeout(500)
    assert recorded(page)[-1] == "success"
    expect_outcome(page, "idle")


def test_a_person_who_was_signed_out_is_sent_to_the_login(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", "/assessments/")
    # A page that finds its stream refused goes to the login by itself.
    with page.expect_response("**/events/**"):
        page.goto(path(OWN))
    page.context.clear_cookies()
    page.get_by_role("button", name="Generate all documents").click()
    expect(page).to_have_url(re.compile(rf"/login/\?next={path(OWN)}"))


# Without a script, on a phone, for weak eyes


def test_everything_works_without_a_script(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", path(WITHOUT_PHOTOS), java_script_enabled=False)
    page.get_by_role("button", name="Generate all documents").click()
    expect_outcome(page, "partial")
    page.locator("#document-photos-pdf").get_by_role("button", name="Retry").click()
    expect_outcome(page, "partial")
    expect(page.locator("#document-report").get_by_role("link", name="Open")).to_be_visible()


def test_a_phone_does_not_scroll_sideways_and_shows_large_targets(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", path(WITHOUT_PHOTOS), viewport={"width": 360, "height": 740})
    page.get_by_role("button", name="Generate all documents").click()
    expect_outcome(page, "partial")
    for address in (path(WITHOUT_PHOTOS), path(OWN), "/assessments/", f"{path(OWN)}documents/report/retry/"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") == 360, address
        small = page.evaluate(
            """() => [...document.querySelectorAll(".button, .quiet, summary, input, select")]
              .filter(element => element.checkVisibility() && element.getBoundingClientRect().height < 44)
              .map(element => element.outerHTML)"""
        )
        assert small == [], address
    page.goto(path(OWN))
    places = [page.locator(part).bounding_box() for part in ("#documents", "#photos", ".columns")]
    tops = [place["y"] for place in places if place]
    assert len(tops) == 3
    assert tops == sorted(tops)


CHANGE_REPORT = f"""
import uuid
from datetime import timedelta
from django.utils import timezone
from assessments.models import Document
Document.objects.filter(assessment__number="{OWN}", kind="report").update({{}})
"""


@pytest.mark.parametrize(("motion", "still"), [("reduce", True), ("no-preference", False)])
def test_nothing_moves_for_people_who_want_no_motion(site: Site, open_page: OpenPage, motion: str, still: bool) -> None:
    leased = "lease_token=uuid.uuid4(), lease_expires_at=timezone.now() + timedelta(hours=1)"
    site.python(CHANGE_REPORT.format(f"status='processing', {leased}"))
    page = open_page(site, "assessor", path(OWN), reduced_motion=motion)
    expect_status(page, "report", "processing")
    moving = page.evaluate("document.getAnimations().map(one => one.animationName).filter(name => name !== 'settle')")
    site.python(CHANGE_REPORT.format("status='idle', lease_token=None, lease_expires_at=None"))
    assert (moving == []) == still


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read_by_weak_eyes(site: Site, open_page: OpenPage, scheme: str) -> None:
    page = open_page(site, "assessor", path(WITHOUT_PHOTOS), color_scheme=scheme)
    page.get_by_role("button", name="Generate all documents").click()
    expect_outcome(page, "partial")
    for address in (path(WITHOUT_PHOTOS), path(OWN), "/assessments/", "/assessments/?q=zzz"):
        page.goto(address)
        assert page.evaluate(WEAK) == [], address


# Returns the texts whose contrast to the background is less than 4.5 : 1.
WEAK = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const channels = colour => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([...rgb]) => {
    const [r, g, b] = rgb.map(c => c / 255).map(c => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = channels(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const weak = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let count = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest(".visually-hidden")) continue;
    count += 1;
    const pair = [channels(getComputedStyle(element).color), behind(element)].map(luminance).sort((a, b) => b - a);
    const contrast = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (contrast < 4.5) weak.push(`${contrast.toFixed(2)} ${walker.currentNode.data.trim()}`);
  }
  return count > 4 ? weak : ["hardly any text was found"];
}"""
