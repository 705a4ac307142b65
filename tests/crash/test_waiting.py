"""Whoever waits holds nothing that others need: a caller who leaves costs no connection, a locked row stops nobody."""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle

import psycopg
import pytest

from tests.cast import picture
from tests.running import CSRF_TOKEN, Site

from .scene import OWN, YEAR

OTHER = f"ASM-{YEAR}-002"
PHOTOS = f"/assessments/{OWN}/photos/"
GENERATE = f"/assessments/{OWN}/documents/generate/"
FORM = "application/x-www-form-urlencoded"
# How many callers leave, each in the same way.
CALLERS = 20
# Seconds in which "at once" is over, on a busy machine.
AT_ONCE = 2.0
# Seconds after which the web server, left to itself, cancels the request of a caller who has left: ten, and its look.
CANCELLED = 12.0

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


def post(site: Site, path: str, content_type: str, body: bytes, username: str = "assessor") -> bytes:
    """A whole request, as it goes over the wire."""
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
    """Send the bytes, and leave without waiting for an answer."""
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as caller:
        caller.sendall(request)
        time.sleep(after)


def all_leave(site: Site, requests: Sequence[bytes], after: float = 0.0) -> None:
    with ThreadPoolExecutor(len(requests)) as callers:
        list(callers.map(lambda request: call_and_leave(site, request, after), requests))


@contextmanager
def locked(site: Site, number: str = OWN) -> Iterator[None]:
    """Another transaction holds the row of an assessment meanwhile."""
    with psycopg.connect(site.database_url) as other:
        other.execute("SELECT 1 FROM assessments_assessment WHERE number = %s FOR UPDATE", [number])
        yield


def serves_at_once(site: Site) -> None:
    with site.login("assessor") as client:
        for path in ("/readyz", f"/assessments/{OWN}/"):
            begun = time.monotonic()
            assert client.get(path).status_code == 200, path
            assert time.monotonic() - begun < AT_ONCE, path


def test_uploads_that_break_off_in_the_middle_cost_no_connection(start_site: Callable[..., Site]) -> None:
    site = start_site(DATABASE_POOL="2")
    # More than everybody may send, so that the database is asked who sends it.
    whole = upload(site, bytes(4 * 2**20))
    all_leave(site, [whole[: len(whole) // 2]] * CALLERS)
    serves_at_once(site)


def test_uploads_whose_senders_leave_after_the_last_byte_cost_no_connection(start_site: Callable[..., Site]) -> None:
    site = start_site(DATABASE_POOL="2", LOCK_TIMEOUT="60")
    people = cycle(["assessor", "staff"])
    with locked(site):
        all_leave(site, [upload(site, picture(100 + number), next(people)) for number in range(CALLERS)], after=1)
        time.sleep(CANCELLED)
    serves_at_once(site)


def test_clicks_whose_senders_leave_while_they_wait_for_a_row_cost_no_connection(
    start_site: Callable[..., Site],
) -> None:
    # The limit on locks would end the wait before the server gives up the request.
    site = start_site(DATABASE_POOL="2", LOCK_TIMEOUT="60")
    with locked(site):
        all_leave(site, [post(site, GENERATE, FORM, b"")] * CALLERS, after=1)
        time.sleep(CANCELLED)
    serves_at_once(site)
