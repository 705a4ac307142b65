"""Every step of a document's life is one conditional update; an update that comes too late changes nothing."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_tasks_db.models import DBTaskResult
from pytest_django import DjangoCaptureOnCommitCallbacks

from assessments.documents import queue, tasks
from assessments.models import Assessment, Attempt, AuditEntry, Batch, Document, DocumentVersion, Heartbeat
from assessments.models.slots import Superseded
from tests.life import claimed, finish, slot
from tests.office import statuses

pytestmark = pytest.mark.django_db

ALL = ["report", "estimate", "photos-pdf", "photos-zip"]


def expire(assessment: Assessment) -> None:
    assessment.documents.processing().update(lease_expires_at=timezone.now() - timedelta(hours=1))


def test_a_new_assessment_has_its_four_slots_in_order(assessment: Assessment) -> None:
    assert list(assessment.documents.order_by("position").values_list("kind", flat=True)) == ALL
    assert statuses(assessment) == ["idle"] * 4


def test_a_request_for_all_puts_all_documents_in_line_in_one_batch(assessment: Assessment, assessor: User) -> None:
    batch, asked = queue.request(assessment, by=assessor, origin="page")
    assert asked == ALL
    assert statuses(assessment) == ["pending"] * 4
    assert batch is not None
    assert batch.requested_by == assessor
    assert set(assessment.documents.values_list("batch", flat=True)) == {batch.pk}


def test_a_second_request_joins_the_batch_and_changes_no_row(assessment: Assessment) -> None:
    first, _ = queue.request(assessment)
    before = list(assessment.documents.values())
    second, asked = queue.request(assessment)
    assert (second, asked) == (first, [])
    assert list(assessment.documents.values()) == before
    assert Batch.objects.count() == 1


def test_a_second_request_for_all_leaves_the_finished_documents_of_the_batch_alone(assessment: Assessment) -> None:
    batch, _ = queue.request(assessment)
    finish(claimed(assessment))
    assert queue.request(assessment) == (batch, [])
    assert statuses(assessment) == ["success", "pending", "pending", "pending"]


def test_a_request_for_all_during_a_retry_adds_the_other_documents_to_its_batch(assessment: Assessment) -> None:
    batch, _ = queue.request(assessment, ["photos-zip"])
    joined, asked = queue.request(assessment)
    assert joined == batch
    assert asked == ["report", "estimate", "photos-pdf"]
    assert set(assessment.documents.values_list("batch", flat=True)) == {batch.pk if batch else None}


def test_a_retry_within_a_running_batch_requests_that_document_alone(assessment: Assessment) -> None:
    batch, _ = queue.request(assessment)
    claimed(assessment).fail("It did not work.")
    assert queue.request(assessment, ["report"]) == (batch, ["report"])
    assert statuses(assessment) == ["pending"] * 4


def test_documents_are_claimed_in_their_order_one_at_a_time(assessment: Assessment) -> None:
    queue.request(assessment)
    first = claimed(assessment)
    assert first.document.kind == "report"
    assert queue.claim(assessment.pk) is None
    assert statuses(assessment) == ["processing", "pending", "pending", "pending"]
    finish(first)
    assert claimed(assessment).document.kind == "estimate"


def test_the_database_refuses_two_documents_in_processing(assessment: Assessment) -> None:
    queue.request(assessment)
    claimed(assessment)
    with pytest.raises(IntegrityError), transaction.atomic():
        assessment.documents.filter(kind="estimate").update(
            status="processing", lease_token=uuid.uuid4(), lease_expires_at=timezone.now()
        )


def test_a_failed_document_does_not_stop_the_next(assessment: Assessment) -> None:
    queue.request(assessment)
    claimed(assessment).fail("This assessment has no vehicle. Add it, then retry.")
    assert statuses(assessment) == ["error", "pending", "pending", "pending"]
    assert slot(assessment).error == "This assessment has no vehicle. Add it, then retry."
    assert claimed(assessment).document.kind == "estimate"


def test_progress_never_runs_backwards_and_is_100_only_with_a_file(assessment: Assessment) -> None:
    queue.request(assessment)
    attempt = claimed(assessment)
    attempt.report(40, "Laying out page 3")
    with pytest.raises(Superseded):
        attempt.report(39, "Laying out page 2")
    assert slot(assessment).progress == 40
    finish(attempt)
    document = slot(assessment)
    assert document.progress == 100
    assert document.current is not None
    assert (document.current.number, document.current.message) == (1, "1 page")


def test_a_worker_that_lost_its_lease_writes_nothing(assessment: Assessment) -> None:
    queue.request(assessment)
    slow = claimed(assessment)
    expire(assessment)
    assert queue.recover() == [assessment.pk]
    quick = claimed(assessment)
    before = assessment.documents.values().get(kind="report")
    for late in (
        lambda: slow.report(90, "Late"),
        lambda: finish(slow),
        lambda: slow.fail("Late"),
        slow.cancel,
        slow.release,
    ):
        with pytest.raises(Superseded):
            late()
    assert not slow.renew()
    assert slow.standing() == "lost"
    assert assessment.documents.values().get(kind="report") == before
    assert DocumentVersion.objects.count() == 0
    assert finish(quick).number == 1


def test_a_document_with_a_renewed_lease_is_not_recovered(assessment: Assessment) -> None:
    queue.request(assessment)
    attempt = claimed(assessment)
    expire(assessment)
    assert attempt.renew()
    assert queue.recover() == []
    assert statuses(assessment)[0] == "processing"


def test_a_document_fails_with_a_reason_after_three_lost_attempts(assessment: Assessment) -> None:
    queue.request(assessment, ["report"])
    for number in (1, 2, 3):
        claimed(assessment)
        expire(assessment)
        woken = queue.recover()
        assert woken == ([assessment.pk] if number < 3 else [])
    document = slot(assessment)
    assert document.status == "error"
    assert document.error.startswith("The worker stopped 3 times while making this.")
    assert set(Attempt.objects.values_list("outcome", flat=True)) == {"lost"}


def test_a_crashed_document_is_tried_again_until_its_attempts_are_used_up(assessment: Assessment) -> None:
    queue.request(assessment, ["report"])
    for _ in range(2):
        claimed(assessment).crash("It stopped unexpectedly.")
        assert slot(assessment).status == "pending"
    claimed(assessment).crash("It stopped unexpectedly.")
    assert slot(assessment).status == "error"
    assert slot(assessment).error == "It stopped unexpectedly. It was tried 3 times."


def test_a_retry_starts_with_all_its_attempts(assessment: Assessment) -> None:
    queue.request(assessment, ["report"])
    for _ in range(3):
        claimed(assessment).crash("It stopped unexpectedly.")
    queue.request(assessment, ["report"])
    claimed(assessment)
    assert slot(assessment).attempts == 1


def test_a_document_given_back_has_not_used_an_attempt(assessment: Assessment) -> None:
    queue.request(assessment, ["report"])
    claimed(assessment).release()
    document = slot(assessment)
    assert (document.status, document.attempts) == ("pending", 0)


def test_a_cancel_takes_back_waiting_documents_and_stops_the_running_one(assessment: Assessment) -> None:
    queue.request(assessment)
    attempt = claimed(assessment)
    assert queue.cancel_many([assessment.pk]) == {assessment.pk: ALL}
    assert statuses(assessment) == ["processing", "idle", "idle", "idle"]
    assert attempt.standing() == "cancelled"
    with pytest.raises(Superseded):
        attempt.report(50, "Going on")
    attempt.cancel()
    assert statuses(assessment) == ["idle"] * 4
    assert queue.cancel_many([assessment.pk]) == {}


def test_a_cancelled_remake_leaves_the_old_file_at_hand(assessment: Assessment) -> None:
    queue.request(assessment, ["report"])
    version = finish(claimed(assessment))
    queue.request(assessment, ["report"])
    queue.cancel_many([assessment.pk])
    assert slot(assessment).status == "success"
    assert slot(assessment).current == version


def test_a_failed_remake_leaves_the_old_file_at_hand(assessment: Assessment) -> None:
    queue.request(assessment, ["report"])
    version = finish(claimed(assessment))
    queue.request(assessment, ["report"])
    claimed(assessment).fail("It did not work.")
    assert slot(assessment).status == "error"
    assert slot(assessment).current == version


def test_a_cancelled_document_of_a_dead_worker_is_set_aside(assessment: Assessment) -> None:
    queue.request(assessment, ["report"])
    claimed(assessment)
    queue.cancel_many([assessment.pk])
    expire(assessment)
    assert queue.recover() == []
    assert statuses(assessment)[0] == "idle"


def test_a_cancel_holds_when_the_child_crashes_or_the_worker_stops(assessment: Assessment) -> None:
    for leave in ("crash", "release"):
        queue.request(assessment, ["report"])
        attempt = claimed(assessment)
        queue.cancel_many([assessment.pk])
        attempt.crash("It stopped.") if leave == "crash" else attempt.release()
        assert slot(assessment).status == "idle", leave


def test_a_request_for_no_document_begins_no_batch(assessment: Assessment) -> None:
    assert queue.request(assessment, []) == (None, [])
    assert not Batch.objects.exists()


def test_every_change_counts_one_revision_and_stamps_its_document(assessment: Assessment) -> None:
    def revision() -> int:
        return Assessment.objects.get(pk=assessment.pk).revision

    queue.request(assessment)
    assert revision() == 4
    assert sorted(assessment.documents.values_list("revision", flat=True)) == [1, 2, 3, 4]
    attempt = claimed(assessment)
    assert (revision(), slot(assessment).revision) == (5, 5)
    attempt.report(10, "Begun")
    finish(attempt)
    assert (revision(), slot(assessment).revision) == (7, 7)
    with pytest.raises(Superseded):
        finish(attempt)
    assert revision() == 7


def test_pending_documents_that_no_worker_took_are_woken_for_an_idle_worker(
    assessment: Assessment,
) -> None:
    queue.request(assessment)
    Heartbeat.beat(Heartbeat.Role.WORKER)
    assert queue.forgotten() == []
    Assessment.objects.update(woken_at=timezone.now() - timedelta(seconds=8))
    assert queue.forgotten() == []
    Assessment.objects.update(woken_at=timezone.now() - timedelta(seconds=12))
    assert queue.forgotten() == [assessment.pk]
    assert queue.forgotten() == []


def test_a_site_without_workers_does_not_fill_its_queue(assessment: Assessment) -> None:
    queue.request(assessment)
    Assessment.objects.update(woken_at=timezone.now() - timedelta(days=1))
    assert queue.forgotten() == []
    Heartbeat.beat(Heartbeat.Role.WORKER)
    Heartbeat.objects.update(seen_at=timezone.now() - Heartbeat.RECENT)
    assert queue.forgotten() == []


def test_an_assessment_is_not_woken_while_a_worker_is_at_it(assessment: Assessment) -> None:
    queue.request(assessment)
    claimed(assessment)
    for name in ("one", "two"):
        Heartbeat.objects.create(name=name, role=Heartbeat.Role.WORKER, seen_at=timezone.now())
    Assessment.objects.update(woken_at=timezone.now() - timedelta(days=1))
    assert queue.forgotten() == []


def test_waiting_documents_are_not_woken_while_workers_begin_documents(assessment: Assessment) -> None:
    others = [Assessment.objects.create(assessor=assessment.assessor) for _ in range(2)]
    for each in (assessment, *others):
        queue.request(each, ["report"])
    claimed(assessment)
    Assessment.objects.update(woken_at=timezone.now() - timedelta(days=1))
    assert queue.forgotten() == []
    # No task is left for a document that was given back, so its assessment is woken at once.
    Assessment.objects.filter(pk=others[0].pk).update(woken_at=None)
    assert queue.forgotten() == [others[0].pk]
    assessment.documents.processing().update(started_at=timezone.now() - timedelta(seconds=11))
    Heartbeat.objects.create(name="busy", role=Heartbeat.Role.WORKER, seen_at=timezone.now())
    assert queue.forgotten() == []
    Heartbeat.objects.create(name="idle", role=Heartbeat.Role.WORKER, seen_at=timezone.now())
    assert queue.forgotten() == [others[1].pk]


def test_the_search_for_forgotten_documents_takes_the_same_queries_however_many_wait(assessor: User) -> None:
    tasks.request_many([Assessment.objects.create(assessor=assessor) for _ in range(30)])
    with CaptureQueriesContext(connection) as made:
        assert queue.forgotten() == []
    assert len(made) == 4


def test_versions_are_numbered_and_kept(assessment: Assessment) -> None:
    for number in (1, 2, 3):
        queue.request(assessment, ["report"])
        assert finish(claimed(assessment)).number == number
    assert slot(assessment).versions.count() == 3
    assert slot(assessment).current == slot(assessment).versions.get(number=3)


def test_many_assessments_are_requested_at_once(assessor: User) -> None:
    assessments = [Assessment.objects.create(assessor=assessor) for _ in range(60)]
    batch, _ = queue.request(assessments[0])
    queue.request(assessments[1], ["photos-zip"])
    asked = tasks.request_many(assessments, by=assessor, origin="admin")
    assert asked == assessments[1:]
    assert Document.objects.pending().count() == 240
    for assessment in assessments:
        # As after one click on each: a batch of its own, a revision for each change, no revision twice.
        assert len(set(assessment.documents.values_list("batch", flat=True))) == 1
        assert sorted(assessment.documents.values_list("revision", flat=True)) == [1, 2, 3, 4]
        assert Assessment.objects.get(pk=assessment.pk).revision == 4
    assert set(assessments[0].documents.values_list("batch", flat=True)) == {batch.pk if batch else None}
    assert claimed(assessments[59]).document.kind == "report"
    assert tasks.request_many(assessments, by=assessor, origin="admin") == []


def test_the_failed_documents_of_many_assessments_are_requested_again(assessor: User) -> None:
    none, one, running = (Assessment.objects.create(assessor=assessor) for _ in range(3))
    for assessment in (one, running):
        queue.request(assessment, ["report"])
        claimed(assessment).fail("It did not work.")
    batch, _ = queue.request(running, ["estimate"])
    claimed(running)
    assert tasks.retry_many([none, one, running], by=assessor, origin="admin") == [one, running]
    assert statuses(none) == ["idle"] * 4
    assert statuses(one) == ["pending", "idle", "idle", "idle"]
    assert statuses(running) == ["pending", "processing", "idle", "idle"]
    # The retry joins the running batch, as a click on that document would.
    assert slot(running).batch == batch
    assert slot(one).batch_id == Batch.objects.filter(assessment=one).latest("pk").pk
    assert [(slot(each).revision, Assessment.objects.get(pk=each.pk).revision) for each in (one, running)] == [
        (4, 4),
        (6, 6),
    ]
    assert tasks.retry_many([none, one, running], by=assessor, origin="admin") == []


def test_the_documents_of_many_assessments_are_cancelled(assessor: User) -> None:
    idle, waiting, running = (Assessment.objects.create(assessor=assessor) for _ in range(3))
    queue.request(waiting, ["report", "photos-zip"])
    queue.request(running)
    attempt = claimed(running)
    assert tasks.cancel_many([idle, waiting, running], by=assessor, origin="admin") == [waiting, running]
    assert [statuses(each) for each in (idle, waiting)] == [["idle"] * 4] * 2
    assert statuses(running) == ["processing", "idle", "idle", "idle"]
    assert attempt.standing() == "cancelled"
    # ``waiting``: two requested, two cancelled. ``running``: four requested, one begun, four cancelled.
    assert [Assessment.objects.get(pk=each.pk).revision for each in (idle, waiting, running)] == [0, 4, 9]
    assert sorted(waiting.documents.values_list("revision", flat=True)) == [0, 0, 3, 4]
    assert sorted(running.documents.values_list("revision", flat=True)) == [6, 7, 8, 9]
    assert list(AuditEntry.objects.order_by("pk").values_list("number", "documents")) == [
        (waiting.number, "report, photos-zip"),
        (running.number, "report, estimate, photos-pdf, photos-zip"),
    ]
    assert tasks.cancel_many([idle, waiting, running], by=assessor, origin="admin") == []


@pytest.mark.parametrize("step", [tasks.request_many, tasks.retry_many, tasks.cancel_many])
def test_many_assessments_take_as_many_queries_as_two(step: Callable[..., Any], assessor: User) -> None:
    def queries(count: int) -> int:
        assessments = [Assessment.objects.create(assessor=assessor) for _ in range(count)]
        if step != tasks.request_many:
            tasks.request_many(assessments)
        if step == tasks.retry_many:
            Document.objects.pending().update(status=Document.Status.ERROR)
        with CaptureQueriesContext(connection) as made:
            assert step(assessments, by=assessor, origin="admin") == assessments
        return len(made)

    assert queries(40) == queries(2) < 25


def test_the_states_of_many_assessments_are_asked_for_once(assessor: User) -> None:
    open_one, closed = (
        Assessment.objects.create(assessor=assessor, status=state) for state in ("in_progress", "archived")
    )
    with CaptureQueriesContext(connection) as made:
        tasks.request_many([open_one, closed], by=assessor, origin="admin")
    assert sum('"assessments_assessment"."status" IN' in query["sql"] for query in made) == 1
    assert [entry.number for entry in AuditEntry.objects.all()] == [open_one.number]


def test_one_task_before_all_others_wakes_a_worker_for_each_of_many_assessments(
    assessor: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    tasks_ready = DBTaskResult.objects.filter(status="READY")
    others, asked = ([Assessment.objects.create(assessor=assessor).pk for _ in range(3)] for _ in range(2))
    for pk in others:
        tasks.advance.enqueue(pk)
    with django_capture_on_commit_callbacks(execute=True):
        tasks.request_many(Assessment.objects.filter(pk__in=asked), by=assessor, origin="admin")
    assert tasks_ready.count() == len(others) + 1
    first = tasks_ready[0]
    first.task.call(*first.args_kwargs["args"], **first.args_kwargs["kwargs"])
    woken = tasks_ready.filter(task_path=tasks.advance.module_path)
    assert [task.args_kwargs["args"] for task in woken] == [[pk] for pk in [*others, *asked]]
