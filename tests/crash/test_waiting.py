"""A waiting request or process holds nothing that others need: no connection, no row, no thread."""

import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import cycle

import httpx
import psycopg
import pytest

from tests import family
from tests.cast import picture
from tests.running import CSRF_TOKEN, Site, wait_until

from .scene import OWN, YEAR, all_made, ask, health, make, workers

OTHER = f"ASM-{YEAR}-002"
PHOTOS = f"/assessments/{OWN}/photos/"
GENERATE = f"/assessments/{OWN}/documents/generate/"
FORM = "application/x-www-form-urlencoded"
# The number of callers that leave, each in the same way.
CALLERS = 20
# Seconds that "at once" may take on a busy machine.
AT_ONCE = 9.0
# Seconds after which the web server cancels the request of a caller who has left: ten, and the pause between checks.
CANCELLED = 12.0
# The usual limit on locks would end a wait before the web server gives up the request.
FEW_CONNECTIONS = {"DATABASE_POOL": "2", "LOCK_TIMEOUT": "60"}

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


def post(site: Site, path: str, content_type: str, body: bytes, username: str = "assessor") -> bytes:
    """Return the bytes of a whole request."""
    cookies = "; ".join(f"{name}={value}" for name, value in site.cookies(username).items())
    head = [
        f"POST {path} HTTP/1.1",
        f"Host: 127.0.0.1:{site.port}",
        f"Cookie: {cookies}",
        f"X-CSRFToken: {CSRF_TOKEN}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


def upload(site: Site, photo: bytes, username: str = "assessor") -> bytes:
    return post(
        site,
        PHOTOS,
        "multipart/form-data; boundary=edge",
        b'--edge\r\nContent-Disposition: form-data; name="section"\r\n\r\ndamage\r\n'
        b'--edge\r\nContent-Disposition: form-data; name="photos"; filename="one.jpg"\r\n'
        b"Content-Type: image/jpeg\r\n\r\n" + photo + b"\r\n--edge--\r\n",
        username,
    )


def call_and_leave(site: Site, request: bytes, after: float = 0.0) -> None:
    """Send a request, and leave without waiting for an answer."""
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as caller:
        caller.sendall(request)
        time.sleep(after)


def all_leave(site: Site, requests: Sequence[bytes], after: float = 0.0) -> None:
    with ThreadPoolExecutor(len(requests)) as callers:
        list(callers.map(lambda request: call_and_leave(site, request, after), requests))


def call_and_stay(site: Site, request: bytes, stays: ExitStack) -> socket.socket:
    """Send a request, and stay on the line until ``stays`` ends."""
    caller = stays.enter_context(socket.create_connection(("127.0.0.1", site.port), timeout=60))
    caller.sendall(request)
    return caller


def unanswered(callers: Sequence[socket.socket]) -> int:
    return len(callers) - len(select.select(callers, [], [], 0)[0])


def waiting(site: Site) -> int:
    """How many connections of the site wait for a lock."""
    query = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return len(site.rows(query))


@contextmanager
def locked(site: Site, number: str = OWN) -> Iterator[None]:
    """Lock the row of an assessment in another transaction for as long as the context lasts."""
    with psycopg.connect(site.database_url) as other:
        other.execute("SELECT 1 FROM assessments_assessment WHERE number = %s FOR UPDATE", [number])
        yield


def serves_at_once(site: Site) -> None:
    with site.login("assessor") as client:
        for path in ("/readyz", f"/assessments/{OWN}/"):
            begun = time.monotonic()
            assert client.get(path).status_code == 200, path
            assert time.monotonic() - begun < AT_ONCE, path


def test_uploads_that_break_off_in_the_middle_cost_no_connection(site_with: Callable[..., Site]) -> None:
    site = site_with(**FEW_CONNECTIONS)
    # More bytes than an unknown sender may send, so the web server looks up the sender in the database.
    whole = upload(site, bytes(4 * 2**20))
    all_leave(site, [whole[: len(whole) // 2]] * CALLERS)
    serves_at_once(site)


def test_uploads_whose_senders_leave_after_the_last_byte_cost_no_connection(site_with: Callable[..., Site]) -> None:
    site = site_with(**FEW_CONNECTIONS)
    people = cycle(["assessor", "staff"])
    with locked(site):
        all_leave(site, [upload(site, picture(100 + number), next(people)) for number in range(CALLERS)], after=1)
        time.sleep(CANCELLED)
    serves_at_once(site)


def test_clicks_whose_senders_leave_while_they_wait_for_a_row_cost_no_connection(
    site_with: Callable[..., Site],
) -> None:
    site = site_with(**FEW_CONNECTIONS)
    with locked(site):
        all_leave(site, [post(site, GENERATE, FORM, b"")] * CALLERS, after=1)
        time.sleep(CANCELLED)
    serves_at_once(site)


def test_callers_who_do_not_read_their_page_cost_no_connection(site_with: Callable[..., Site]) -> None:
    site = site_with(**FEW_CONNECTIONS)
    # More bytes than the buffers of the network hold.
    site.python("from assessments.models import Assessment; Assessment.objects.update(notes='x' * 2**23)")
    page = post(site, f"/assessments/{OWN}/", FORM, b"").replace(b"POST", b"GET")
    with ExitStack() as readers:
        for _ in range(4):
            reader = readers.enter_context(socket.create_connection(("127.0.0.1", site.port), timeout=20))
            reader.sendall(page)
            assert reader.recv(15) == b"HTTP/1.1 200 OK"
        serves_at_once(site)


def test_thirteen_uploads_at_once_are_accepted_and_downloads_go_on(site_with: Callable[..., Site]) -> None:
    site = site_with(**FEW_CONNECTIONS)
    make(site, "report")

    def send(client: httpx.Client, number: int) -> httpx.Response:
        photo = {"photos": (f"{number}.jpg", picture(200 + number))}
        headers = {"X-Requested-With": "XMLHttpRequest"}
        return client.post(PHOTOS, data={"section": "damage"}, files=photo, headers=headers)

    with site.login("assessor") as client, site.login("staff") as staff, ThreadPoolExecutor(13) as uploaders:
        sent = [uploaders.submit(send, (client, staff)[number % 2], number) for number in range(13)]
        while not all(upload.done() for upload in sent):
            assert client.get(f"/assessments/{OWN}/documents/report/").status_code == 200
    assert [upload.result().json()["added"] for upload in sent] == [1] * 13


# A locked row ---------------------------------------------------------------------------------------------------------


def test_a_locked_row_does_not_keep_a_worker_from_other_documents(start_site: Callable[..., Site]) -> None:
    site = start_site(LEASE_SECONDS="5")
    (worker,) = workers(site)
    site.freeze(worker)
    ask(site)
    with locked(site):
        os.kill(worker, signal.SIGCONT)
        with site.login("stranger") as client:
            assert client.post(f"/assessments/{OTHER}/documents/estimate/retry/").status_code == 302
        wait_until(lambda: site.statuses(OTHER)["estimate"] == "success", "the other is not made")
        assert set(site.statuses(OWN).values()) == {"pending"}
        wait_until(lambda: health(site)["healthy"], "it is not healthy")
    wait_until(lambda: all_made(site), "it is not made when the row is free", 90)


def test_a_locked_row_does_not_keep_the_sweep_from_other_documents(start_site: Callable[..., Site]) -> None:
    site = start_site(LEASE_SECONDS="5", WORKERS="2")
    first, second = workers(site)
    site.freeze(second)
    ask(site)
    family.hold_renderer(first)
    with site.login("stranger") as client:
        assert client.post(f"/assessments/{OTHER}/documents/estimate/retry/").status_code == 302
    os.kill(second, signal.SIGCONT)
    family.hold_renderer(second)
    with locked(site):
        os.kill(first, signal.SIGKILL)
        # By then the sweep has come to the locked row.
        time.sleep(8)
        os.kill(second, signal.SIGKILL)
        wait_until(lambda: site.statuses(OTHER)["estimate"] == "success", "the other is not recovered")
        assert "processing" in site.statuses(OWN).values()
        wait_until(lambda: health(site)["sweep"] == "alive", "the sweep gives no sign of life")
    wait_until(lambda: all_made(site), "it is not recovered when the row is free", 90)


def test_a_locked_row_delays_no_download_and_no_stream(site_with: Callable[..., Site]) -> None:
    site = site_with(**FEW_CONNECTIONS)
    make(site, "report")
    path = f"/assessments/{OWN}/documents/report/"
    notes = "SELECT username FROM assessments_auditentry WHERE action = 'downloaded'"
    with ExitStack() as stays, locked(site):
        body = json.dumps({"assessmentId": OWN}).encode()
        call = post(site, "/api/generate-all-documents", "application/json", body)
        blocked = [call_and_stay(site, call, stays) for _ in range(5)]
        wait_until(lambda: waiting(site), "nobody waits for the row")
        with site.login("assessor") as client:
            for _ in range(3):
                begun = time.monotonic()
                assert client.get(path).status_code == 200
                assert time.monotonic() - begun < AT_ONCE
            begun = time.monotonic()
            with client.stream("GET", f"/assessments/{OWN}/events/") as stream:
                assert stream.status_code == 200
            assert time.monotonic() - begun < AT_ONCE
        assert unanswered(blocked)
        assert not site.rows(notes)
    wait_until(lambda: site.rows(notes), "the download is not noted")
    assert site.rows(notes) == [{"username": "assessor"}]


# Limits of time -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["LOCK_TIMEOUT", "STATEMENT_TIMEOUT"])
def test_a_request_that_takes_too_long_is_answered_with_advice(start_site: Callable[..., Site], limit: str) -> None:
    # PostgreSQL checks foreign keys on a commit. No statement waits then, so the lock limit alone ends that wait.
    site = start_site(**{"LOCK_TIMEOUT": "10", limit: "1"})
    key = site.rows("SELECT id FROM assessments_assessment WHERE number = ?", OWN)[0]["id"]
    with locked(site), site.login("staff") as client:
        actions = {"action": "cancel_documents", "_selected_action": key}
        begun = time.monotonic()
        page = client.post(GENERATE)
        assert 1 < time.monotonic() - begun < AT_ONCE
        answers = {
            "page": page,
            "fragment": client.post(GENERATE, headers={"HX-Request": "true"}),
            "admin": client.post("/admin/assessments/assessment/", data=actions),
            "api": client.post("/api/generate-all-documents", json={"assessmentId": OWN}),
        }
    for name, answer in answers.items():
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10"), name
    assert "<h1>Not just now</h1>" in answers["page"].text
    assert "go back first: what you wrote is still in it" in answers["admin"].text
    assert answers["fragment"].headers["Content-Type"].startswith("text/plain")
    assert answers["api"].json()["message"] == answers["fragment"].text.strip()


def test_a_command_may_run_a_long_statement_but_no_idle_transaction(
    start_site: Callable[..., Site],
) -> None:
    site = start_site(IDLE_TIMEOUT="1")
    shown = site.python(
        """
import json, time
from django.db import connection, transaction
cursor = connection.cursor()
limits = [cursor.execute(f"SHOW {name}").fetchone()[0] for name in ("lock_timeout", "statement_timeout")]
try:
    with transaction.atomic():
        cursor.execute("SELECT 1")
        time.sleep(2)
        cursor.execute("SELECT 1")
except Exception as error:
    limits.append(type(error).__name__)
print(json.dumps(limits))
"""
    )
    assert shown == ["5s", "0", "InternalError"]


def test_a_pool_without_a_free_connection_is_reported_within_seconds(site_with: Callable[..., Site]) -> None:
    site = site_with(**FEW_CONNECTIONS)
    click = post(site, GENERATE, FORM, b"")
    with ExitStack() as stays:
        with locked(site):
            clicks = [call_and_stay(site, click, stays) for _ in range(2)]
            wait_until(lambda: waiting(site) == 2, "the clicks do not wait")
            for path in ("/readyz", "/healthz"):
                begun = time.monotonic()
                assert httpx.get(site.url + path, timeout=20).status_code == 503
                assert time.monotonic() - begun < AT_ONCE
            assert unanswered(clicks) == 2
        for caller in clicks:
            assert caller.recv(1)
