"""The queue of documents: requests, cancels, turns, leases, and the recovery of lost documents."""

import random
import uuid
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import Any, Unpack

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import Count, Exists, F, Min, OuterRef, Q, Subquery
from django.db.models.functions import Now

from assessments.models import Assessment, Attempt, Batch, Document, Heartbeat, Joining
from assessments.models.batch import Asker
from assessments.models.heartbeat import here
from assessments.models.lease import MAX_ATTEMPTS, PATIENCE, FromNow
from assessments.models.slots import DocumentQuerySet, Superseded
from assessments.models.states import Step

from .kinds import SLUGS


def request(
    assessment: Assessment, kinds: Iterable[str] | None = None, **asker: Unpack[Asker]
) -> tuple[Batch | None, list[str]]:
    """Request all documents of an assessment, or those of some kinds. Return the batch and the requested kinds.

    A request for all while a batch runs leaves out the documents that the batch has already ended. A request for some
    kinds (a retry) includes them. A cancelled document that still stops can be requested like one that has stopped.
    """
    documents = Document.objects.outstanding() if kinds is None else Document.objects.filter(kind__in=list(kinds))
    with transaction.atomic():
        asked = request_many(documents, [assessment.pk], **asker)
        batch = Batch.objects.filter(documents__in=Document.objects.wanted().filter(assessment=assessment)).first()
    return batch, asked.get(assessment.pk, [])


def request_many(
    documents: DocumentQuerySet, assessment_ids: Collection[int], **asker: Unpack[Asker]
) -> dict[int, list[str]]:
    """Request those of the documents that belong to some assessments; return the requested kinds, by assessment.

    The result names each assessment whose state allows new documents, also those in which no kind was requested.
    Wanted documents are left alone, and the requested ones join their batch. Without wanted ones, there is a new batch.
    Assessments whose state does not allow new documents are left alone, too.
    """
    with transaction.atomic(savepoint=False):
        assessment_ids = Assessment.objects.allowing(Step.DOCUMENTS).lock(*assessment_ids)
        chosen = documents.filter(assessment__in=assessment_ids)
        unwanted = chosen.exclude(status__in=Document.ACTIVE, cancel_requested_at=None)
        running = Document.objects.wanted().filter(assessment=OuterRef("pk"))
        idle = Assessment.objects.filter(~Exists(running), pk__in=unwanted.values("assessment"))
        begun = list(idle.order_by("pk").values_list("pk", flat=True))
        join(chosen, **asker)
        facts: dict[str, Any] = {"requested_by" if name == "by" else name: value for name, value in asker.items()}
        Batch.objects.bulk_create(Batch(assessment_id=pk, **facts) for pk in begun)
        # A running batch is the newest of its assessment: no other batch begins while documents of one are wanted.
        newest = Batch.objects.filter(assessment=OuterRef("assessment")).order_by("-pk").values("pk")[:1]
        Attempt.leave(unwanted)
        asked = unwanted.change_many(assessment_ids, **Document.asked_for(Subquery(newest), asker.get("by")))
        Assessment.objects.filter(pk__in=asked).update(woken_at=Now())
    return {pk: [] for pk in assessment_ids} | asked


def join(documents: DocumentQuerySet, by: AbstractBaseUser | None = None, **asker: Any) -> None:
    """Note that a person asks for documents of assessments in which another person's batch runs."""
    if by is None:
        return
    running = Document.objects.wanted().filter(assessment__in=documents.values("assessment"))
    batches = Batch.objects.filter(documents__in=running).exclude(requested_by=by.pk).order_by("pk").distinct()
    Joining.objects.bulk_create(
        (Joining(batch=batch, requested_by_id=by.pk, bulk_request=asker.get("bulk_request")) for batch in batches),
        ignore_conflicts=True,
    )


def cancel_many(assessment_ids: Collection[int]) -> dict[int, list[str]]:
    """Cancel the waiting documents of some assessments, and tell running ones to stop; return kinds by assessment."""
    with transaction.atomic(savepoint=False):
        Assessment.objects.lock(*assessment_ids)
        taken_back = Document.objects.pending().change_many(assessment_ids, **Document.set_aside())
        running = Document.objects.processing().filter(cancel_requested_at=None)
        told = running.change_many(assessment_ids, cancel_requested_at=Now(), message="Stopping")
    return {pk: sorted(told.get(pk, []) + taken_back.get(pk, []), key=SLUGS.index) for pk in told | taken_back}


def in_turn(assessment_id: int | None = None, passed: Collection[int] = ()) -> int | None:
    """Return the assessment whose document is next; None when documents wait only in the ``passed`` assessments.

    A random draw chooses one of the people who wait: a person with a thousand documents must not hold up a person with
    four. Next is the given assessment if it waits for the drawn person, else that person's longest-waiting one.
    """
    # PostgreSQL reads the few documents in processing once. With EXISTS, it may read them for each waiting document.
    processing = Document.objects.processing().order_by().values("assessment")
    waiting = Document.objects.pending().exclude(assessment__in=processing).exclude(assessment__in=passed).order_by()
    people = waiting.values_list("requested_by").annotate(
        given=Count("pk", filter=Q(assessment=assessment_id)), oldest=Min("batch")
    )
    if not people:
        return None
    _, given, oldest = random.choice(people)
    return assessment_id if given else Batch.objects.filter(pk=oldest).values_list("assessment", flat=True).first()


def claim(assessment_id: int) -> Attempt | None:
    """Lease the assessment's next pending document, and return the attempt; None when no document can be leased.

    The database allows one document in processing for each assessment. A worker that runs into this limit gets None,
    and the worker with the lease wakes the next worker. None, too, while the assessment's row is locked.
    """
    try:
        with transaction.atomic():
            if not Assessment.objects.filter(pk=assessment_id).lock_free():
                return None
            slots = Document.objects.filter(assessment_id=assessment_id).select_related("assessment", "batch")
            waiting = slots.pending().order_by("position").first()
            if waiting is None:
                return None
            token = uuid.uuid4()
            Document.objects.filter(pk=waiting.pk).pending().change(
                assessment_id,
                status=Document.Status.PROCESSING,
                attempts=F("attempts") + 1,
                lease_token=token,
                lease_expires_at=FromNow(settings.LEASE),
                started_at=Now(),
                progress=0,
                message="Starting",
            )
            return Attempt.objects.create(document=waiting, batch=waiting.batch, token=token, worker=here())
    except (Superseded, IntegrityError):
        return None


def recover() -> list[int]:
    """Free the documents of workers that stopped; return the assessments whose documents wait again.

    A document with attempts left waits again; a document without any fails. Attempt.remove_lost_files() removes the
    files of lost attempts, so that a storage that hangs does not hold up waiting documents. Locked rows are left for
    the next call, for the same reason.
    """
    wake = []
    for assessment_id, token in Document.objects.expired().values_list("assessment", "lease_token"):
        assert token
        with transaction.atomic():
            if not Assessment.objects.filter(pk=assessment_id).lock_free():
                continue
            # Read under the lock: a cancel or a request may have come since the search.
            held = Document.objects.filter(assessment=assessment_id, lease_token=token).expired()
            lost = held.first()
            if lost is None:
                continue
            values = lost.after_loss(
                "Its worker stopped; starting again",
                f"The worker stopped {MAX_ATTEMPTS} times while making this. "
                "Retry it; if it fails again, give support the reference.",
            )
            with suppress(Superseded):
                held.change(assessment_id, **values)
                Attempt.objects.filter(token=token).update(outcome=Attempt.Outcome.LOST, ended_at=Now())
                if values["status"] == Document.Status.PENDING:
                    wake.append(assessment_id)
    return wake


def forgotten() -> list[int]:
    """Mark as woken, and return, the assessments whose pending documents no worker has taken.

    Assessments with a document in processing are left out: its worker wakes the next. A released document counts at
    once. Others count only while a worker is idle (a site without workers must not fill its queue) and while no worker
    begins documents: each wake-up makes the next document in turn, so then the others only wait for their turn.
    """
    if not Document.objects.pending().exists():
        return []
    waiting = Document.objects.filter(assessment=OuterRef("pk"))
    candidates = Assessment.objects.filter(Exists(waiting.pending()), ~Exists(waiting.processing()))
    due = Q(woken_at=None)
    idle = Document.objects.processing().count() < Heartbeat.alive(Heartbeat.Role.WORKER)
    if idle and not Attempt.begun_lately():
        due |= Q(woken_at__lt=FromNow(-PATIENCE))
    with transaction.atomic(savepoint=False):
        woken = candidates.filter(due).lock_free()
        Assessment.objects.filter(pk__in=woken).update(woken_at=Now())
    return woken
