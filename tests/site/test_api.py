"""The JSON stream over HTTP, from a real server."""

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from assessments.documents import queue
from assessments.models import Assessment
from assessments.views.api import Account, read
from tests import cast, family
from tests.cast import YEAR
from tests.running import PATIENCE, Site, wait_until

OWN, FOREIGN, WITHOUT_PHOTOS = (f"ASM-{YEAR}-00{number}" for number in (1, 2, 3))
ADDRESS = "/api/generate-all-documents"
KEYS = ["report", "estimate", "photosPdf", "photosZip"]

Message = dict[str, Any]


@contextmanager
def asking(client: httpx.Client, number: str) -> Iterator[Iterator[Message]]:
    with client.stream("POST", ADDRESS, json={"assessmentId": number}) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream"
        yield messages(response)


def messages(response: httpx.Response) -> Iterator[Message]:
    """Read a stream as simple clients do: every line is a ``data:`` line, a comment or blank."""
    for line in response.iter_lines():
        if line and not line.startswith(":"):
            assert line.startswith("data: "), line
            yield json.loads(line.removeprefix("data: "))


def ask(client: httpx.Client, number: str) -> list[Message]:
    with asking(client, number) as stream:
        return list(stream)


def test_four_documents_are_made_and_reported_in_quarters(site: Site) -> None:
    with site.login("assessor") as client:
        told = ask(client, OWN)
        assert [told[0]["progress"], told[0]["status"]] == [0, "processing"]
        assert list(told[0]["results"]) == KEYS
        progress = [message["progress"] for message in told]
        assert progress == sorted(progress)
        assert {25, 50, 75, 100} <= set(progress)
        assert progress.index(100) == len(progress) - 1
        assert [told[-1]["status"], told[-1]["message"]] == ["complete", "All documents generated."]
        for result in told[-1]["results"].values():
            assert [result["success"], result["error"], result["status"], result["progress"]] == [
                True,
                None,
                "success",
                100,
            ]
            assert client.get(result["url"]).status_code == 200
        words = [message["message"] for message in told]
        assert "Report complete" in words
        assert words.index("Report complete") < words.index("Estimate complete") < words.index("Photos PDF complete")


def test_a_batch_with_failed_documents_ends_as_partial(site: Site) -> None:
    with site.login("assessor") as client:
        last = ask(client, WITHOUT_PHOTOS)[-1]
    assert [last["status"], last["progress"]] == ["partial", 100]
    assert last["message"] == "2/4 documents generated. Some failed."
    assert last["results"]["report"]["url"] == f"/assessments/{WITHOUT_PHOTOS}/documents/report/"
    assert last["results"]["photosPdf"] == {
        "success": False,
        "url": None,
        "error": "This assessment has no photos. Add photos, then retry.",
        "status": "error",
        "progress": 0,
        "message": "",
    }


def test_a_new_batch_never_shows_a_link_of_an_older_one(site: Site) -> None:
    with site.login("assessor") as client:
        ask(client, OWN)
        for message in ask(client, OWN):
            for result in message["results"].values():
                assert (result["url"] is not None) == result["success"] == (result["status"] == "success")
        first = ask(client, OWN)[0]
        assert not any(result["success"] for result in first["results"].values())


def test_eight_clients_at_once_join_one_batch_and_all_see_its_end(site: Site) -> None:
    with ThreadPoolExecutor(max_workers=8) as pool:
        clients = [site.login("assessor") for _ in range(8)]
        told = list(pool.map(lambda client: ask(client, OWN), clients))
    assert {last[-1]["status"] for last in told} == {"complete"}
    assert len({json.dumps(last[-1]["results"]) for last in told}) == 1
    assert [row["number"] for row in site.rows("SELECT number FROM assessments_documentversion")] == [1, 1, 1, 1]
    assert site.rows("SELECT count(*) AS batches FROM assessments_batch") == [{"batches": 1}]
    # One client requested the four documents, and the others found them in line.
    asked = [row["documents"] for row in site.rows("SELECT documents FROM assessments_auditentry")]
    assert sorted(asked) == [*[""] * 7, "report, estimate, photos-pdf, photos-zip"]


def test_a_client_that_joins_starts_from_the_present_state(site: Site) -> None:
    with site.login("assessor") as client, asking(client, OWN) as first:
        while (message := next(first))["progress"] < 50:
            pass
        with site.login("staff") as other:
            joined = ask(other, OWN)
    assert joined[0]["progress"] >= 50
    assert joined[0]["results"]["report"]["success"]
    assert joined[-1]["status"] == "complete"
    assert message["results"]["report"]["success"]


def test_a_client_that_goes_away_stops_nothing(site: Site) -> None:
    with site.login("assessor") as client:
        with asking(client, OWN) as stream:
            next(stream)
        wait_until(lambda: set(site.statuses(OWN).values()) == {"success"}, "the documents are not made")


def test_progress_stands_still_while_a_document_is_begun_again(site: Site) -> None:
    assert site.process
    (worker,) = wait_until(lambda: family.named(site.process.pid, "worker"), "no worker runs")
    with site.login("assessor") as client, asking(client, OWN) as stream:
        renderer = family.hold_renderer(worker)
        progress = [0]
        with family.creeping(renderer):
            while not progress[-1]:
                progress.append(next(stream)["progress"])
        os.kill(renderer, signal.SIGKILL)
        told = list(stream)
    progress += [message["progress"] for message in told]
    assert 0 in [message["results"]["report"]["progress"] for message in told]
    assert progress == sorted(progress)
    assert told[-1]["status"] == "complete"


def test_each_end_of_a_document_that_is_retried_in_its_batch_is_reported(assessment: Assessment) -> None:
    batch, _ = queue.request(assessment)
    assert batch
    account = Account(batch.pk)
    told = [account.opening(read(assessment.number))]

    def hear() -> None:
        told.extend(account.messages(read(assessment.number)))

    first = queue.claim(assessment.pk)
    assert first
    first.fail("The report broke.")
    hear()
    queue.request(assessment, ["report"])
    hear()
    while attempt := queue.claim(assessment.pk):
        hear()
        attempt.finish(size=1, sha256="0" * 64)
        hear()
    assert [message["message"] for message in told if message["message"].startswith("Report ")] == [
        "Report failed",
        "Report complete",
    ]
    progress = [message["progress"] for message in told]
    assert progress == sorted(progress)
    assert {25, 50, 75, 100} <= set(progress) <= set(range(101))
    assert told[-1]["status"] == "complete"


def test_an_end_is_reported_although_the_retry_before_it_was_never_seen(assessment: Assessment) -> None:
    batch, _ = queue.request(assessment)
    assert batch
    account = Account(batch.pk)
    told = [account.opening(read(assessment.number))]

    def fail_report() -> None:
        attempt = queue.claim(assessment.pk)
        assert attempt
        attempt.fail("The report broke.")

    fail_report()
    told.extend(account.messages(read(assessment.number)))
    # A retry that fails at once may come and go between two reads.
    queue.request(assessment, ["report"])
    fail_report()
    told.extend(account.messages(read(assessment.number)))
    told.extend(account.messages(read(assessment.number)))
    ends = [message for message in told if message["message"] == "Report failed"]
    assert [message["progress"] for message in ends] == [25, 25]


def test_a_cancelled_batch_ends_the_stream_with_an_error(site: Site) -> None:
    assert site.process
    (worker,) = wait_until(lambda: family.named(site.process.pid, "worker"), "no worker runs")
    with site.login("assessor") as client, site.login("assessor") as other, asking(client, OWN) as stream:
        next(stream)
        family.hold_renderer(worker)
        other.post(f"/assessments/{OWN}/documents/cancel/")
        *_, last = stream
    assert [last["status"], last["message"]] == ["error", "Cancelled. 0 of 4 documents were made."]
    assert last["progress"] < 25


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b" ", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"null", "application/json", 400),
        (b"{}", "application/json", 400),
        (b'{"assessmentId": 7}', "application/json", 400),
        (b'{"assessmentId": ""}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"assessmentId": "\\ud800"}', "application/json", 404),
        (b'{"assessmentId": "ASM-2026-001\\u0000"}', "application/json", 404),
        (b'{"assessmentId": "ASM-1999-001"}', "application/json", 404),
        (f'{{"assessmentId": "{FOREIGN}"}}'.encode(), "application/json", 404),
        (f'{{"assessmentId": "{OWN}"}}'.encode(), "text/plain", 415),
        (f"assessmentId={OWN}".encode(), "application/x-www-form-urlencoded", 415),
    ],
)
def test_a_bad_body_is_refused_with_a_message(
    client: Any, assessor: Any, stranger: Any, body: bytes, content_type: str, status: int
) -> None:
    cast.make_assessment(assessor, photos=0)
    cast.make_assessment(stranger, photos=0)
    client.force_login(assessor)
    response = client.post(ADDRESS, body, content_type=content_type)
    assert response.status_code == status
    assert response.json()["message"]


def test_a_person_who_is_not_signed_in_is_told_to_sign_in(site: Site) -> None:
    answer = httpx.post(f"{site.url}{ADDRESS}", json={"assessmentId": OWN}, timeout=PATIENCE)
    assert [answer.status_code, answer.json()["message"]] == [401, "Sign in to generate documents."]


def test_a_post_without_the_token_is_refused(site: Site) -> None:
    with httpx.Client(base_url=site.url, cookies=site.cookies("assessor"), timeout=PATIENCE) as client:
        answer = client.post(ADDRESS, json={"assessmentId": OWN})
    assert answer.status_code == 403
    assert "X-CSRFToken" in answer.json()["message"]
    assert set(site.statuses(OWN).values()) == {"idle"}


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_another_method_is_refused(site: Site, method: str) -> None:
    answer = httpx.request(method, f"{site.url}{ADDRESS}", timeout=PATIENCE)
    assert [answer.status_code, answer.headers["allow"]] == [405, "POST"]
    assert answer.json()["message"]


def test_an_archived_assessment_is_refused_with_the_reason(site: Site) -> None:
    archive = "from assessments.models import Assessment; Assessment.objects.filter(number={!r}).update(status={!r})"
    site.python(archive.format(OWN, "archived"))
    with site.login("assessor") as client:
        answer = client.post(ADDRESS, json={"assessmentId": OWN})
    assert (answer.status_code, answer.json()["message"]) == (
        409,
        "This assessment is archived, so no documents can be made. The office can set it back to in progress.",
    )
    assert set(site.statuses(OWN).values()) == {"idle"}
