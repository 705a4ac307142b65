"""Documents that are asked for again: by somebody else, while they still stop, or after a failure."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.db import connection

from assessments.documents import mails, panel, queue, tasks, worker
from assessments.models import Assessment, Attempt, Batch, BulkRequest, Joining
from assessments.models.slots import Superseded
from assessments.views.api import Account, read
from tests.life import claimed, finish, slot
from tests.office import statuses, visitor_of

pytestmark = pytest.mark.django_db

ALL = ["report", "estimate", "photos-pdf", "photos-zip"]
BROKEN = "The report broke."


def made_by(assessment: Assessment) -> list[str]:
    """Return who made each file, as a person reads it on the page."""
    view = panel.load([assessment.pk])[assessment.pk]
    return [row.message.partition(" by ")[2].partition(" in ")[0] for row in view.rows if row.ready]


# While a cancelled document still stops ------------------------------------------------------------------------------


def test_a_document_that_still_stops_is_made_for_the_person_who_asks_again(
    assessment: Assessment, assessor: User, staff: User
) -> None:
    cancelled, _ = queue.request(assessment, by=assessor, origin="page")
    first = claimed(assessment)
    queue.cancel_many([assessment.pk])
    batch, asked = queue.request(assessment, by=staff, origin="api")
    assert asked == ALL
    assert batch != cancelled
    assert statuses(assessment) == ["pending"] * 4
    assert set(assessment.documents.values_list("batch", flat=True)) == {batch.pk if batch else None}
    account = Account(batch.pk if batch else None)
    account.opening(read(assessment.number))
    for _ in ALL:
        finish(claimed(assessment))
    assert [list(account.messages(read(assessment.number)))[-1]["message"]] == ["All documents generated."]
    assert made_by(assessment) == ["staff"] * 4
    first.refresh_from_db()
    assert first.outcome == Attempt.Outcome.CANCELLED
    assert first.ended_at is not None


def test_the_person_who_cancelled_may_ask_again_and_the_document_is_begun_anew(
    assessment: Assessment, assessor: User
) -> None:
    """The attempt that stops may print data from before the cancel."""
    queue.request(assessment, ["report"], by=assessor)
    first = claimed(assessment)
    queue.cancel_many([assessment.pk])
    queue.request(assessment, ["report"], by=assessor)
    second = claimed(assessment)
    assert second.token != first.token
    assert slot(assessment).attempts == 1
    before = assessment.documents.values().get(kind="report")
    for late in (
        lambda: first.report(90, "Late"),
        lambda: finish(first),
        lambda: first.fail("Late"),
        lambda: first.crash("Late"),
        first.cancel,
        first.release,
    ):
        with pytest.raises(Superseded):
            late()
    assert (first.standing(), first.renew()) == ("lost", False)
    assert assessment.documents.values().get(kind="report") == before
    assert finish(second).number == 1


def test_a_request_for_another_document_leaves_the_one_that_stops_alone(
    assessment: Assessment, assessor: User, staff: User
) -> None:
    queue.request(assessment, ["report"], by=assessor)
    stopping = claimed(assessment)
    queue.cancel_many([assessment.pk])
    batch, asked = queue.request(assessment, ["estimate"], by=staff)
    assert asked == ["estimate"]
    assert stopping.standing() == "cancelled"
    # A third request joins the batch that runs, and takes the document that stops into it.
    assert queue.request(assessment, by=assessor) == (batch, ["report", "photos-pdf", "photos-zip"])
    with pytest.raises(Superseded):
        stopping.cancel()
    assert set(assessment.documents.values_list("batch", flat=True)) == {batch.pk if batch else None}


def test_many_documents_that_still_stop_are_asked_for_at_once(assessor: User, staff: User) -> None:
    several = [Assessment.objects.create(assessor=assessor) for _ in range(3)]
    tasks.request_many(several, by=assessor, origin="admin")
    first, second, _ = [claimed(assessment) for assessment in several]
    queue.cancel_many([several[0].pk, several[1].pk])
    assert tasks.request_many(several, by=staff, origin="admin") == several[:2]
    assert [attempt.standing() for attempt in (first, second)] == ["lost", "lost"]
    assert statuses(several[2]) == ["processing", "pending", "pending", "pending"]
    assert list(Batch.objects.order_by("pk").values_list("requested_by__username", flat=True)) == [
        *["assessor"] * 3,
        *["staff"] * 2,
    ]


def test_a_retry_of_what_still_stops_keeps_the_older_failure(assessment: Assessment) -> None:
    queue.request(assessment, ["report"])
    claimed(assessment).fail(BROKEN)
    for _ in range(2):
        queue.request(assessment, ["report"])
        claimed(assessment)
        queue.cancel_many([assessment.pk])
    queue.request(assessment, ["report"])
    queue.cancel_many([assessment.pk])
    assert slot(assessment).failure == BROKEN


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_told_to_end_ends_also_when_its_document_was_asked_for_again(
    assessment: Assessment, assessor: User
) -> None:
    def interrupt(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        if "assessments_estimateline" in sql:
            queue.cancel_many([assessment.pk])
            queue.request(assessment, ["estimate"], by=assessor)
            raise SystemExit(1)
        return execute(sql, *arguments)

    queue.request(assessment, ["estimate"], by=assessor)
    with connection.execute_wrapper(interrupt), pytest.raises(SystemExit):
        worker.advance(assessment.pk)
    assert statuses(assessment) == ["idle", "pending", "idle", "idle"]


# The person who asked -------------------------------------------------------------------------------------------------


def test_each_document_says_who_asked_for_it(assessment: Assessment, assessor: User, staff: User) -> None:
    queue.request(assessment, by=assessor)
    claimed(assessment).fail(BROKEN)
    batch, _ = queue.request(assessment, ["report"], by=staff)
    assert Batch.objects.get() == batch
    for _ in ALL:
        finish(claimed(assessment))
    assert made_by(assessment) == ["staff", "assessor", "assessor", "assessor"]


def test_the_office_sees_who_asked_for_a_document_that_waits(
    assessment: Assessment, assessor: User, staff: User
) -> None:
    queue.request(assessment, ["report"], by=assessor)
    queue.request(assessment, ["estimate"], by=staff)
    page = visitor_of(staff).get("/admin/assessments/document/?status__exact=pending").content.decode()
    assert page.count(">assessor</td>") == page.count(">staff</td>") == 1


def test_a_person_who_joins_a_running_batch_is_mailed_its_failures_too(
    assessment: Assessment, assessor: User, staff: User
) -> None:
    queue.request(assessment, by=assessor)
    for _ in range(2):
        assert queue.request(assessment, by=staff)[1] == []
        assert queue.request(assessment, by=assessor)[1] == []
    claimed(assessment).fail(BROKEN)
    assert mails.report_failures() == 0
    while attempt := queue.claim(assessment.pk):
        finish(attempt)
    assert [mails.report_failures() for _ in range(2)] == [2, 0]
    assert [message.to for message in mail.outbox] == [["assessor@example.org"], ["staff@example.org"]]
    assert all(BROKEN in message.body for message in mail.outbox)


def test_a_person_who_joins_by_a_bulk_request_is_noted_with_it(assessor: User, staff: User) -> None:
    one, other = (Assessment.objects.create(assessor=assessor) for _ in range(2))
    queue.request(one, by=assessor)
    run = BulkRequest.begin(BulkRequest.Action.GENERATE, [one, other], by=staff)
    tasks.request_many([one, other], by=staff, origin="admin", bulk_request=run)
    joining = Joining.objects.get()
    assert (joining.assessment, joining.requested_by, joining.bulk_request) == (one, staff, run)


def test_a_person_who_joins_without_a_right_to_see_is_not_mailed(
    assessment: Assessment, assessor: User, stranger: User
) -> None:
    queue.request(assessment, ["report"], by=assessor)
    queue.request(assessment, ["report"], by=stranger)
    claimed(assessment).fail(BROKEN)
    assert mails.report_failures() == 1
    assert [message.to for message in mail.outbox] == [["assessor@example.org"]]


# After a failure ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["waiting", "running", "crashed", "given back", "lost", "lost three times"])
def test_a_cancelled_retry_of_a_failed_document_brings_the_failure_back(assessment: Assessment, how: str) -> None:
    queue.request(assessment, ["report"])
    claimed(assessment).fail(BROKEN)
    reference = slot(assessment).reference
    queue.request(assessment, ["report"])
    assert slot(assessment).failure == ""
    attempt = claimed(assessment) if how != "waiting" else None
    if how == "crashed" and attempt:
        attempt.crash("It stopped.")
    if how == "lost three times":
        assessment.documents.update(attempts=3)
    queue.cancel_many([assessment.pk])
    if attempt and how == "running":
        attempt.cancel()
    if attempt and how == "given back":
        attempt.release()
    if how.startswith("lost"):
        assessment.documents.processing().update(lease_expires_at="2020-01-01T00:00Z")
        assert queue.recover() == []
    document = slot(assessment)
    assert (document.status, document.error, document.reference) == ("error", BROKEN, reference)
    row = panel.load([assessment.pk])[assessment.pk].rows[0]
    assert (row.document.status_words, row.message, row.reference, row.progress) == ("Failed", BROKEN, reference, 0)


def test_a_cancelled_retry_is_announced_as_cancelled_and_mailed_to_nobody(
    assessment: Assessment, assessor: User, staff: User
) -> None:
    queue.request(assessment, ["report"], by=assessor)
    claimed(assessment).fail(BROKEN)
    assert mails.report_failures() == 1
    batch, _ = queue.request(assessment, ["report"], by=staff)
    account = Account(batch.pk if batch else None)
    account.joining(read(assessment.number))
    queue.cancel_many([assessment.pk])
    assert panel.load([assessment.pk])[assessment.pk].announcement == "Cancelled. 0 of 4 documents ready, 1 failed"
    assert mails.report_failures() == 0
    (last,) = account.messages(read(assessment.number))
    assert (last["status"], last["message"]) == ("error", "Cancelled. 0 of 4 documents were made.")


def test_a_cancelled_retry_of_a_failed_remake_has_the_failure_and_the_older_file(assessment: Assessment) -> None:
    queue.request(assessment, ["report"])
    version = finish(claimed(assessment))
    queue.request(assessment, ["report"])
    claimed(assessment).fail(BROKEN)
    queue.request(assessment, ["report"])
    queue.cancel_many([assessment.pk])
    document = slot(assessment)
    assert (document.status, document.failure, document.current) == ("error", BROKEN, version)


def test_a_cancelled_remake_of_a_good_file_never_brings_an_older_failure_back(assessment: Assessment) -> None:
    queue.request(assessment, ["report"])
    claimed(assessment).fail(BROKEN)
    queue.request(assessment, ["report"])
    finish(claimed(assessment))
    assert (slot(assessment).error, slot(assessment).reference) == ("", "")
    # A worker of an older version leaves the error behind when it makes a file.
    assessment.documents.update(error=BROKEN, reference=str(uuid.uuid4())[:8])
    queue.request(assessment, ["report"])
    queue.cancel_many([assessment.pk])
    assert (slot(assessment).status, slot(assessment).error) == ("success", "")


def test_the_office_sees_no_error_of_a_document_that_is_made_again(assessment: Assessment, staff: User) -> None:
    queue.request(assessment, ["report"])
    claimed(assessment).fail(BROKEN)
    office = visitor_of(staff)
    assert BROKEN in office.get("/admin/assessments/document/").content.decode()
    queue.request(assessment, ["report"])
    for page in ("/admin/assessments/document/", f"/admin/assessments/assessment/{assessment.pk}/change/"):
        assert BROKEN not in office.get(page).content.decode(), page
