"""The module for other pages, `static/js/generate-all-documents.js`, in a real browser on a page of a real site."""

import json
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from typing import Any

import pytest
from playwright.sync_api import Page

from tests import family
from tests.running import Site, wait_until

YEAR = date.today().year  # noqa: DTZ011
OWN, FOREIGN, WITHOUT_PHOTOS = (f"ASM-{YEAR}-00{number}" for number in (1, 2, 3))
TYPES = {"report": "report", "estimate": "estimate", "photosPdf": "photos-pdf", "photosZip": "photos-zip"}
NO_PHOTOS = "This assessment has no photos. Add photos, then retry."
LOST = "The connection was lost. The documents are still being made; ask again to follow them."

OpenPage = Callable[..., Page]
Call = list[Any]


def begin(page: Page, site: Site, number: Any, name: str = "run") -> None:
    """Import the module, as a page of the site does, and call it; its calls and its end are kept in the window."""
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
    """The calls of ``onProgress`` so far: type, progress, message, url, error."""
    return list(page.evaluate("name => window[name].calls", name))


def end(page: Page, name: str = "run") -> dict[str, Any]:
    """What the call resolves to, as ``answer``, or what it rejects with, as ``error``."""
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
    """Four calls a message, one for each document, whose progress only grows and whose url comes at its end."""
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
    """The site while its worker stands still: what is asked for meanwhile waits."""
    pid = worker(site)
    site.freeze(pid)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


# What comes of it


def test_all_four_are_told_one_by_one_and_their_addresses_returned(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", f"/assessments/{OWN}/")
    assert generate(page, site, OWN) == complete(OWN)
    told = calls(page)
    assert [call[1:] for call in told[:4]] == [[0, call[2], None, None] for call in told[:4]]
    assert_the_calls_make_sense(told, OWN)
    assert last_calls(told)["photosZip"] == [100, "3 photos", url(OWN, "photosZip"), None]
    # Told while it goes on: the report is ready, and the ZIP has not begun.
    ready = next(number for number, call in enumerate(told) if call[3])
    assert (told[ready][0], told[ready + 3][:2]) == ("report", ["photosZip", 0])
    for kind in TYPES:
        assert page.request.get(url(OWN, kind)).status == 200


def test_what_failed_is_told_and_returned_beside_what_was_made(site: Site, open_page: OpenPage) -> None:
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


def test_a_batch_that_is_cancelled_rejects(site: Site, open_page: OpenPage) -> None:
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
def test_what_cannot_be_asked_for_rejects_in_the_words_of_the_server(
    site: Site, open_page: OpenPage, number: Any, words: str
) -> None:
    page = open_page(site, "assessor", "/assessments/")
    assert generate(page, site, number) == {"error": f"Error: {words}"}
    assert calls(page) == []


def test_who_was_signed_out_meanwhile_is_told_so(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "assessor", f"/assessments/{OWN}/")
    page.context.clear_cookies(name="sessionid")
    assert generate(page, site, OWN) == {"error": "Error: Sign in to generate documents."}
    assert set(site.statuses(OWN).values()) == {"idle"}


# What the network does to it


class Wire:
    """A line to a site that cuts what comes back into small pieces, each sent for itself, and can be torn."""

    PIECE = 90

    def __init__(self, site: Site) -> None:
        self.site_port = site.port
        self.door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.door.getsockname()[1]}"
        self.ends: list[socket.socket] = []
        self.streamed = b""
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                browser = self.door.accept()[0]
                site = socket.create_connection(("127.0.0.1", self.site_port))
                browser.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.ends += [browser, site]
                threading.Thread(target=self.carry, args=(browser, site), daemon=True).start()

    def carry(self, browser: socket.socket, site: socket.socket) -> None:
        streams = False
        with browser, site, suppress(OSError):
            while True:
                for ready in select.select([browser, site], [], [])[0]:
                    content = ready.recv(65536)
                    if not content:
                        return
                    streams = streams or b"content-type: text/event-stream" in content.lower()
                    if ready is site and streams:
                        self.streamed += content
                        self.send_in_pieces(browser, content)
                    else:
                        (site if ready is browser else browser).sendall(content)

    def send_in_pieces(self, browser: socket.socket, content: bytes) -> None:
        for start in range(0, len(content), self.PIECE):
            browser.sendall(content[start : start + self.PIECE])
            # Else two pieces arrive as one.
            time.sleep(0.002)

    def tear(self) -> None:
        for each in self.ends:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def wire(site: Site) -> Iterator[Wire]:
    line = Wire(site)
    yield line
    line.door.close()
    line.tear()


def open_over(wire: Wire, site: Site, open_page: OpenPage) -> Page:
    page = open_page(site, "assessor", "/login/")
    page.goto(f"{wire.url}/assessments/")
    return page


def test_messages_in_pieces_and_signs_of_life_between_them_are_read_right(
    site: Site, wire: Wire, open_page: OpenPage
) -> None:
    page = open_over(wire, site, open_page)
    with held(site):
        begin(page, site, OWN)
        # A comment comes after 15 seconds of silence.
        wait_until(lambda: b"\n: keep-alive\n" in wire.streamed, "no sign of life comes")
    assert end(page) == complete(OWN)
    assert_the_calls_make_sense(calls(page), OWN)


def test_a_stream_that_breaks_off_rejects_and_a_second_call_joins_what_goes_on(
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
