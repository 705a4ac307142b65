"""The module for other pages, `static/js/generate-all-documents.js`, in a real browser on a page of a real site."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page

from tests import family
from tests.cast import YEAR
from tests.running import Site, wait_until
from tests.wire import Wire

OWN, FOREIGN, WITHOUT_PHOTOS = (f"ASM-{YEAR}-00{number}" for number in (1, 2, 3))
TYPES = {"report": "report", "estimate": "estimate", "photosPdf": "photos-pdf", "photosZip": "photos-zip"}
NO_PHOTOS = "This assessment has no photos. Add photos, then retry."
LOST = "The connection was lost. The documents are still being made; ask again to follow them."

OpenPage = Callable[..., Page]
Call = list[Any]


def begin(page: Page, site: Site, number: Any, name: str = "run") -> None:
    """Import the module as a page of the site does, and call it; keep its calls and its result in the window."""
    manifest = json.loads((site.data_dir / "static" / "staticfiles.json").read_text())
    page.evaluate(
        """async ([address, number, name]) => {
          const { generateAllDocuments } = await import(address);
          const run = window[name] = { calls: [] };
          const note = (...call) => run.calls.push(call);
          run.end = generateAllDocuments(number, note).then(
            answer => ({ answer }), error => ({ error: `${error.name}: ${error.message}` })
          );
        }""",
        [f"/static/{manifest['paths']['js/generate-all-documents.js']}", number, name],
    )


def calls(page: Page, name: str = "run") -> list[Call]:
    """Return the calls of ``onProgress`` so far: type, progress, message, url, error."""
    return list(page.evaluate("name => window[name].calls", name))


def end(page: Page, name: str = "run") -> dict[str, Any]:
    """Wait for the call's end; return its result as ``answer``, or its rejection as ``error``."""
    return dict(page.evaluate("name => window[name].end", name))


def generate(page: Page, site: Site, number: Any) -> dict[str, Any]:
    begin(page, site, number)
    return end(page)


def url(number: str, kind: str) -> str:
    return f"/assessments/{number}/documents/{TYPES[kind]}/"


def complete(number: str) -> dict[str, Any]:
    urls = {f"{kind}Url": url(number, kind) for kind in TYPES}
    return {"answer": {"success": True, **urls, "errors": {}}}


def assert_the_calls_make_sense(told: list[Call], number: str) -> None:
    """Check for four calls a message, one for each document. Progress only grows, and the url comes with 100 %."""
    assert [call[0] for call in told] == list(TYPES) * (len(told) // len(TYPES))
    for kind in TYPES:
        mine = [call[1:] for call in told if call[0] == kind]
        progress = [call[0] for call in mine]
        assert progress == sorted(progress)
        for per_cent, message, address, error in mine:
            assert isinstance(message, str)
            assert error is None
            assert address == (url(number, kind) if per_cent == 100 else None)
        assert progress[-1] == 100


def last_calls(told: list[Call]) -> dict[str, Call]:
    return {call[0]: call[1:] for call in told}


def worker(site: Site) -> int:
    assert site.process
    serve = site.process.pid
    (found,) = wait_until(lambda: family.named(serve, "worker"), "no worker runs")
    return int(found)


@contextmanager
def held(site: Site) -> Iterator[None]:
    """Hold the worker for as long as the context lasts: all requests wait meanwhile."""
    pid = worker(site)
    site.freeze(pid)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


# Results


def test_each_document_is_reported_by_itself_and_all_addresses_are_returned(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", f"/assessments/{OWN}/")
    assert generate(page, site, OWN) == complete(OWN)
    told = calls(page)
    assert [call[1:] for call in told[:4]] == [[0, call[2], None, None] for call in told[:4]]
    assert_the_calls_make_sense(told, OWN)
    assert last_calls(told)["photosZip"] == [100, "3 photos", url(OWN, "photosZip"), None]
    # The calls come during the work: the report is ready, and the ZIP has not begun.
    ready = next(number for number, call in enumerate(told) if call[3])
    assert (told[ready][0], told[ready + 3][:2]) == ("report", ["photosZip", 0])
    for kind in TYPES:
        assert page.request.get(url(OWN, kind)).status == 200


def test_failed_documents_are_reported_and_returned_beside_the_others(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", "/assessments/")
    answer = generate(page, site, WITHOUT_PHOTOS)["answer"]
    assert answer == {
        "success": False,
        "reportUrl": url(WITHOUT_PHOTOS, "report"),
        "estimateUrl": url(WITHOUT_PHOTOS, "estimate"),
        "photosPdfUrl": None,
        "photosZipUrl": None,
        "errors": {"photosPdf": NO_PHOTOS, "photosZip": NO_PHOTOS},
    }
    told = last_calls(calls(page))
    assert told["photosPdf"] == told["photosZip"] == [0, "", None, NO_PHOTOS]
    assert told["report"][2:] == [url(WITHOUT_PHOTOS, "report"), None]


def test_a_second_call_joins_the_first(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", f"/assessments/{OWN}/")
    with held(site):
        begin(page, site, OWN, "first")
        wait_until(lambda: calls(page, "first"), "the first call hears nothing")
        begin(page, site, OWN, "second")
        wait_until(lambda: calls(page, "second"), "the second call hears nothing")
    assert end(page, "first") == end(page, "second") == complete(OWN)
    for name in ("first", "second"):
        assert_the_calls_make_sense(calls(page, name), OWN)
    assert site.rows("SELECT count(*) AS batches FROM assessments_batch") == [{"batches": 1}]


def test_a_call_rejects_when_its_batch_is_cancelled(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", f"/assessments/{OWN}/")
    with held(site):
        begin(page, site, OWN)
        wait_until(lambda: calls(page), "nothing is told")
        with site.login("assessor") as client:
            client.post(f"/assessments/{OWN}/documents/cancel/")
        assert end(page) == {"error": "Error: Cancelled. 0 of 4 documents were made."}


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (FOREIGN, f"There is no assessment {FOREIGN} among yours."),
        ("nonsense", "This is no number of an assessment."),
        ("", 'The body has no assessmentId. Send {"assessmentId": "ASM-2026-001"}.'),
        (7, 'The body has no assessmentId. Send {"assessmentId": "ASM-2026-001"}.'),
    ],
)
def test_an_invalid_call_rejects_with_the_message_of_the_server(
    site: Site, open_page: OpenPage, number: Any, words: str
) -> None:
    page = open_page(site, "assessor", "/assessments/")
    assert generate(page, site, number) == {"error": f"Error: {words}"}
    assert calls(page) == []


def test_a_call_rejects_when_the_person_was_signed_out(site: Site, open_page: OpenPage) -> None:
    # A page without a stream of its own, which would lead to the sign-in.
    page = open_page(site, "assessor", "/password/")
    page.context.clear_cookies(name="sessionid")
    assert generate(page, site, OWN) == {"error": "Error: Sign in to generate documents."}
    assert set(site.statuses(OWN).values()) == {"idle"}


# The network


@pytest.fixture
def wire(site: Site) -> Iterator[Wire]:
    with Wire(site) as line:
        yield line


def open_over(wire: Wire, site: Site, open_page: OpenPage) -> Page:
    page = open_page(site, "assessor", "/login/")
    page.goto(f"{wire.url}/assessments/")
    return page


def test_messages_in_pieces_and_comments_between_messages_are_read_correctly(
    site: Site, wire: Wire, open_page: OpenPage
) -> None:
    page = open_over(wire, site, open_page)
    with held(site):
        begin(page, site, OWN)
        # A comment comes after 15 seconds of silence.
        wait_until(lambda: b"\n: keep-alive\n" in wire.streamed, "no sign of life comes")
    assert end(page) == complete(OWN)
    assert_the_calls_make_sense(calls(page), OWN)


def test_a_call_rejects_when_its_stream_breaks_off_and_a_second_call_joins_the_batch(
    site: Site, wire: Wire, open_page: OpenPage
) -> None:
    page = open_over(wire, site, open_page)
    with held(site):
        begin(page, site, OWN)
        wait_until(lambda: calls(page), "nothing is told")
        wire.tear()
        assert end(page) == {"error": f"Error: {LOST}"}
        begin(page, site, OWN, "second")
        wait_until(lambda: calls(page, "second"), "the second call hears nothing")
    assert end(page, "second") == complete(OWN)
    assert_the_calls_make_sense(calls(page, "second"), OWN)
    assert site.rows("SELECT count(*) AS batches FROM assessments_batch") == [{"batches": 1}]
