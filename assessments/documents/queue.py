"""The line of documents: who asks, who cancels, whose turn it is, who takes the lease, and what comes back."""

import random
import uuid
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import Any, Unpack

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Case, Exists, F, OuterRef, Q, Subquery, When
from django.db.models.functions import Now

from assessments.models import Assessment, Attempt, Batch, Document, Heartbeat
from assessments.models.batch import Asker
from assessments.models.document import DocumentQuerySet, Superseded
from assessments.models.heartbeat import here
from assessments.models.lease import MAX_ATTEMPTS, PATIENCE, from_now

from .kinds import SLUGS


def request(
    assessment: Assessment, kinds: Iterable[str] | None = None, **asker: Unpack[Asker]
) -> tuple[Batch | None, list[str]]:
    """Ask for all documents of an assessment, or for those of some kinds. Return the batch and the kinds asked for.

    Asking for all while a batch runs does not ask again for what that batch has already ended; asking for one kind
    does (a retry).
    """
    documents = Document.objects.outstanding() if kinds is None else Document.objects.filter(kind__in=list(kinds))
    with transaction.atomic():
        asked = request_many(documents, [assessment.pk], **asker)
        batch = Batch.objects.filter(documents__in=Document.objects.active().filter(assessment=assessment)).first()
    return batch, asked.get(assessment.pk, [])


def request_many(
    documents: DocumentQuerySet, assessment_ids: Collection[int], **asker: Unpack[Asker]
) -> dict[int, list[str]]:
    """Ask for those of the documents that belong to some assessments; return the kinds asked for, by assessment.

    What waits or runs already is left alone, and what is asked for joins it in its batch; else it gets a new one.
    """
    with transaction.atomic(savepoint=False):
        Assessment.objects.lock(*assessment_ids)
        wanted = documents.filter(assessment__in=assessment_ids).exclude(status__in=Document.ACTIVE)
        slots = Document.objects.filter(assessment=OuterRef("pk"))
        idle = Assessment.objects.filter(~Exists(slots.active()), pk__in=wanted.values("assessment"))
        begun = idle.order_by("pk").values_list("pk", flat=True)
        facts: dict[str, Any] = {"requested_by" if name == "by" else name: value for name, value in asker.items()}
        Batch.objects.bulk_create(Batch(assessment_id=pk, **facts) for pk in begun)
        # One that runs is the newest: no other begins before it has ended.
        newest = Batch.objects.filter(assessment=OuterRef("assessment")).order_by("-pk").values("pk")[:1]
        asked = wanted.change_many(assessment_ids, **Document.asked_for(Subquery(newest)))
        Assessment.objects.filter(pk__in=asked).update(woken_at=Now())
    return asked


def cancel_many(assessment_ids: Collection[int]) -> dict[int, list[str]]:
    """Take back what waits in some assessments, and tell what runs to stop; return the kinds, by assessment."""
    with transaction.atomic(savepoint=False):
        Assessment.objects.lock(*assessment_ids)
        taken_back = Document.objects.pending().change_many(assessment_ids, **Document.set_aside("Cancelled"))
        running = Document.objects.processing().filter(cancel_requested_at=None)
        told = running.change_many(assessment_ids, cancel_requested_at=Now(), message="Stopping")
    return {pk: sorted(told.get(pk, []) + taken_back.get(pk, []), key=SLUGS.index) for pk in told | taken_back}


def in_turn(assessment_id: int | None = None, passed: Collection[int] = ()) -> int | None:
    """Return the assessment whose document comes next, or None when none waits but in the ``passed`` assessments.

    Among the people who wait lots are drawn, one for each: who asks for a thousand documents does not hold up
    who asks for four. It is the assessment given, where that is the drawn person's, else what waits longest.
    """
    processing = Document.objects.processing().filter(assessment=OuterRef("assessment"))
    waiting = Document.objects.pending().filter(~Exists(processing)).exclude(assessment__in=passed)
    people = waiting.order_by().values_list("batch__requested_by", flat=True).distinct()
    if not people:
        return None
    theirs = waiting.filter(batch__requested_by=random.choice(people))
    given_first = Case(When(assessment=assessment_id, then=0), default=1)
    return theirs.order_by(given_first, "batch_id", "pk").values_list("assessment", flat=True).first()


def claim(assessment_id: int) -> Attempt | None:
    """Take the lease of the assessment's next pending document, or return None when there is none to take.

    The database allows one document in processing for each assessment; who runs into that goes away, and the
    worker that holds the lease wakes the next. None, too, while somebody holds the assessment's row.
    """
    try:
        with transaction.atomic():
            if not Assessment.objects.filter(pk=assessment_id).lock_free():
                return None
            slots = Document.objects.filter(assessment_id=assessment_id).select_related("assessment")
            waiting = slots.pending().order_by("position").first()
            if waiting is None:
                return None
            token = uuid.uuid4()
            Document.objects.filter(pk=waiting.pk).pending().change(
                assessment_id,
                status=Document.Status.PROCESSING,
                attempts=F("attempts") + 1,
                lease_token=token,
                lease_expires_at=from_now(settings.LEASE),
                started_at=Now(),
                progress=0,
                message="Starting",
            )
            return Attempt.objects.create(document=waiting, batch=waiting.batch, token=token, worker=here())
    except (Superseded, IntegrityError):
        return None


def recover() -> list[int]:
    """Free the documents of workers that stopped; return the assessments to wake for them.

    With attempts left a document waits again; else its error says so. What the lost attempts had stored is for
    Attempt.remove_lost_files(): a storage that hangs holds up nobody who waits. Nor does a row that somebody holds:
    the next look finds it again.
    """
    wake = []
    for lost in Document.objects.expired():
        token = lost.lease_token
        assert token
        values = lost.after_loss(
            "Its worker stopped; starting again",
            f"The worker stopped {MAX_ATTEMPTS} times while making this. "
            "Retry it; if it fails again, give support the reference.",
        )
        with suppress(Superseded):
            with transaction.atomic():
                if not Assessment.objects.filter(pk=lost.assessment_id).lock_free():
                    continue
                mine = Document.objects.filter(pk=lost.pk, lease_token=token).expired()
                mine.change(lost.assessment_id, **values)
                Attempt.objects.filter(token=token).update(outcome=Attempt.Outcome.LOST, ended_at=Now())
            if values["status"] == Document.Status.PENDING:
                wake.append(lost.assessment_id)
    return wake


def forgotten() -> list[int]:
    """Note and return the assessments whose pending documents no worker has picked up, for another wake-up.

    Only where nothing is processing (else the worker at it wakes the next) and while a worker has nothing to do: a
    site without workers does not fill its queue. None while workers begin documents: each wake-up makes what comes
    next, so what waits then is in line. What was given back is woken at once.
    """
    waiting = Document.objects.filter(assessment=OuterRef("pk"))
    candidates = Assessment.objects.filter(Exists(waiting.pending()), ~Exists(waiting.processing()))
    due = Q(woken_at=None)
    idle = Document.objects.processing().count() < Heartbeat.alive(Heartbeat.Role.WORKER)
    if idle and not Attempt.begun_lately():
        due |= Q(woken_at__lt=from_now(-PATIENCE))
    with transaction.atomic(savepoint=False):
        woken = candidates.filter(due).lock_free()
        Assessment.objects.filter(pk__in=woken).update(woken_at=Now())
    return woken
