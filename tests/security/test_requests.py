"""Requests for documents: limited in number, one batch at a time, and on record."""

import threading
from collections.abc import Callable
from typing import Any

import httpx
from playwright.sync_api import Page, expect

from tests import sse
from tests.cast import YEAR
from tests.running import Site, held_worker, wait_until

OWN, FOREIGN, WITHOUT_PHOTOS = (f"ASM-{YEAR}-00{number}" for number in (1, 2, 3))

StartSite = Callable[..., Site]


def audit(site: Site) -> list[dict[str, Any]]:
    return site.rows("SELECT username, action, number, documents, origin FROM assessments_auditentry ORDER BY id")


def ended(site: Site, number: str = OWN) -> bool:
    return not {"pending", "processing"} & set(site.statuses(number).values())


def wait_for_end(site: Site, number: str = OWN) -> None:
    wait_until(lambda: ended(site, number), "the documents are not made")


def at_once(calls: int, ask: Callable[[], httpx.Response]) -> list[int]:
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(ask().status_code)) for _ in range(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(answers)


def as_if_just_now(site: Site) -> None:
    """Have all requests count as requests of this minute, for as long as the test takes."""
    site.python(
        "from datetime import timedelta\nfrom django.db.models import QuerySet\nfrom django.utils import timezone\n"
        "from assessments.models import AuditEntry\n"
        "QuerySet(AuditEntry).update(at=timezone.now() + timedelta(hours=1))"
    )


def test_a_person_who_requests_too_often_is_told_to_wait(start_site: StartSite) -> None:
    site = start_site(REQUESTS_PER_MINUTE="5")
    with site.login("assessor") as client, site.login("staff") as staff:
        address = f"/assessments/{OWN}/documents/report/retry/"
        htmx = {"HX-Request": "true"}
        # No more requests than the limit get through, even when all come at one moment.
        answers = at_once(12, lambda: client.post(address, headers=htmx))
        assert answers == [200] * 5 + [429] * 7
        as_if_just_now(site)
        refused = client.post(address, headers=htmx)
        assert refused.text.startswith("You asked for documents 5 times within a minute")
        assert refused.headers["retry-after"] == "60"
        wait_for_end(site)
        answer = client.post("/api/generate-all-documents", json={"assessmentId": OWN})
        assert answer.status_code == 429
        assert answer.json()["message"] == refused.text.strip()
        # Without a script, the page shows the message.
        answer = client.post(address, follow_redirects=True)
        assert answer.status_code == 200
        assert "You asked for documents 5 times within a minute" in answer.text
        assert site.statuses(OWN)["estimate"] == "idle"
        # Other people, and cancelling, are not affected.
        assert staff.post(f"/assessments/{OWN}/documents/estimate/retry/", headers=htmx).status_code == 200
        assert client.post(f"/assessments/{OWN}/documents/cancel/", headers=htmx).status_code == 200


def test_the_page_shows_which_limit_was_exceeded(start_site: StartSite, open_page: Callable[..., Page]) -> None:
    site = start_site(REQUESTS_PER_MINUTE="1", STREAMS_PER_USER="1")
    first = open_page(site, "assessor", f"/assessments/{OWN}/")
    first.get_by_role("button", name="Generate all documents").click()
    expect(first.locator("#documents")).to_have_attribute("data-outcome", "complete", timeout=120_000)
    as_if_just_now(site)
    first.get_by_role("button", name="Make again Estimate").click()
    expect(first.get_by_role("alert")).to_contain_text("You asked for documents 1 times within a minute")
    second = open_page(site, "assessor", f"/assessments/{WITHOUT_PHOTOS}/")
    expect(second.locator("#documents-notice")).to_contain_text("Close some of them")
    first.close()
    expect(second.locator("#documents-notice")).to_have_text("")


def test_every_request_and_cancel_and_download_is_on_record(site: Site) -> None:
    every = "report, estimate, photos-pdf, photos-zip"
    with site.login("assessor") as client, site.login("staff") as staff, site.login("stranger") as stranger:
        client.post(f"/assessments/{OWN}/documents/generate/")
        wait_for_end(site)
        staff.post(f"/assessments/{OWN}/documents/report/retry/")
        wait_for_end(site)
        address = f"/assessments/{OWN}/documents/estimate/"
        whole = client.get(address)
        # Reading a file in pieces is one download; reading by another person is another download.
        client.get(address, headers={"Range": "bytes=100-199"})
        client.get(address, headers={"Range": "bytes=200-"})
        client.head(address)
        client.get(address, headers={"If-None-Match": whole.headers["etag"]})
        staff.get(address, headers={"Range": "bytes=100-199"})
        # The entries are written beside the downloads.
        wait_until(lambda: len(audit(site)) == 4, "the downloads are not noted")
        stranger.get(address)
        stranger.post(f"/assessments/{OWN}/documents/generate/")
        asked = {"assessmentId": WITHOUT_PHOTOS}
        with held_worker(site), client.stream("POST", "/api/generate-all-documents", json=asked) as answer:
            assert any(answer.iter_lines())
            staff.post(f"/assessments/{WITHOUT_PHOTOS}/documents/cancel/")
        wait_for_end(site, WITHOUT_PHOTOS)
        client.post(f"/assessments/{WITHOUT_PHOTOS}/documents/cancel/")
    entries = audit(site)
    cancelled = entries[-1].pop("documents")
    assert entries == [
        {"username": "assessor", "action": "requested", "number": OWN, "documents": every, "origin": "page"},
        {"username": "staff", "action": "retried", "number": OWN, "documents": "report", "origin": "page"},
        {"username": "assessor", "action": "downloaded", "number": OWN, "documents": "estimate", "origin": "page"},
        {"username": "staff", "action": "downloaded", "number": OWN, "documents": "estimate", "origin": "page"},
        {"username": "assessor", "action": "requested", "number": WITHOUT_PHOTOS, "documents": every, "origin": "api"},
        {"username": "staff", "action": "cancelled", "number": WITHOUT_PHOTOS, "origin": "page"},
    ]
    assert cancelled
    assert set(cancelled.split(", ")) <= set(every.split(", "))


def test_many_clicks_at_one_moment_make_one_batch(site: Site) -> None:
    with site.login("assessor") as client:
        with held_worker(site):
            at_once(16, lambda: client.post(f"/assessments/{OWN}/documents/generate/"))
        with client.stream("GET", f"/assessments/{OWN}/events/?lastEventId={OWN}:0") as answer:
            assert next(sse.changes(answer)).document
        wait_for_end(site)
    assert [row["n"] for row in site.rows("SELECT count(*) AS n FROM assessments_batch")] == [1]
    assert [row["n"] for row in site.rows("SELECT count(*) AS n FROM assessments_documentversion")] == [4]
    # Fifteen of the sixteen clicks only joined the batch.
    assert sorted(bool(entry["documents"]) for entry in audit(site)) == [False] * 15 + [True]
