"""The life of a document.

A ``Document`` is a slot: one per assessment and kind. The row is the truth about it. Every step of its life is one
conditional UPDATE (compare and set), fenced by a lease while a worker is at it, so the same code is right for
several workers, on SQLite and on PostgreSQL: whoever finds no row to change has lost, and writes nothing.

Every change adds one to the assessment's ``revision``, in the same transaction, and stamps it on the document:
"what changed since revision N" is a query, and needs no log of events.
"""

import logging
import os
import random
import socket
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any, Self, TypedDict, Unpack

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import IntegrityError, connection, models, transaction
from django.db.models import Case, Exists, ExpressionWrapper, F, Max, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Now
from django.dispatch import Signal

from assessments.documents.kinds import CHOICES, KINDS, SLUGS, Kind

from .assessment import Assessment
from .bulk import BulkRequest
from .fields import ChoiceField

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
# How long a pending document waits for a worker until one is woken again.
PATIENCE = timedelta(seconds=10)

# Sent after commit, with ``assessment_ids``, whenever documents of those assessments changed.
document_changed = Signal()


class Superseded(Exception):  # noqa: N818
    """The row was no longer in the state that the change began from. Nothing was written."""


def here() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def from_now(delay: timedelta) -> "ExpressionWrapper[Any]":
    """A moment ahead by the database's clock: the machines' own clocks may disagree."""
    return ExpressionWrapper(Now() + delay, output_field=models.DateTimeField())


class Asker(TypedDict, total=False):
    """The user who asks for documents, the place (page, api, admin or command), and the office's bulk request."""

    by: AbstractBaseUser | None
    origin: str
    bulk_request: BulkRequest | None


class DocumentQuerySet(models.QuerySet["Document"]):
    def active(self) -> Self:
        return self.filter(status__in=Document.ACTIVE)

    def pending(self) -> Self:
        return self.filter(status=Document.Status.PENDING)

    def processing(self) -> Self:
        return self.filter(status=Document.Status.PROCESSING)

    def failed(self) -> Self:
        return self.filter(status=Document.Status.ERROR)

    def expired(self) -> Self:
        return self.processing().filter(lease_expires_at__lt=Now())

    def change(self, assessment_id: int, **values: Any) -> None:
        """Change the one document that this query set finds in the assessment, and count the change.

        The revision goes first: its row lock puts all changes of an assessment in one order, so no revision is given
        twice or seen out of turn. Raises Superseded, and leaves all as it was, when the query set finds none.
        """
        with transaction.atomic():
            Assessment.objects.filter(pk=assessment_id).update(revision=F("revision") + 1)
            revision = Assessment.objects.filter(pk=assessment_id).values("revision")
            if self.filter(assessment_id=assessment_id).update(revision=Subquery(revision), **values) != 1:
                raise Superseded
            transaction.on_commit(partial(document_changed.send, Document, assessment_ids=[assessment_id]))

    def change_many(self, assessment_ids: Collection[int], **values: Any) -> dict[int, list[str]]:
        """Change all that this query set finds in some assessments; return the kinds changed, by assessment.

        The same as change() for one after another, in a handful of statements for all. The caller has locked the
        assessments' rows: any other change of their documents begins with the same row, and so comes before or after.
        """
        found: defaultdict[int, list[str]] = defaultdict(list)
        alike: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
        with transaction.atomic(savepoint=False):
            slots = self.filter(assessment__in=assessment_ids).order_by("position")
            for assessment_id, kind in slots.values_list("assessment", "kind"):
                found[assessment_id].append(kind)
            for assessment_id, kinds in found.items():
                alike[tuple(kinds)].append(assessment_id)
            revision = Assessment.objects.filter(pk=OuterRef("assessment")).values("revision")
            for changed, ids in alike.items():
                Assessment.objects.filter(pk__in=ids).update(revision=F("revision") + len(changed))
                # Each document gets a revision of its own, in their order, and the last one that of its assessment.
                behind = Case(*(When(kind=kind, then=number) for number, kind in enumerate(reversed(changed))))
                self.filter(assessment__in=ids, kind__in=changed).update(revision=Subquery(revision) - behind, **values)
            if found:
                transaction.on_commit(partial(document_changed.send, Document, assessment_ids=list(found)))
        return dict(found)

    def open_slots(self, assessment: Assessment) -> None:
        self.bulk_create(
            Document(assessment=assessment, kind=kind, position=position) for position, kind in enumerate(SLUGS)
        )

    def outstanding(self) -> Self:
        """What asking for all asks for: all but what a batch that still runs has already ended."""
        running = Document.objects.active().filter(assessment=OuterRef("assessment"))
        failed = Q(Exists(running.filter(batch=OuterRef("batch"))), status=Document.Status.ERROR)
        made = Q(Exists(running.filter(batch=OuterRef("current__batch"))), status=Document.Status.SUCCESS)
        return self.exclude(failed | made)

    def request(
        self,
        assessment: Assessment,
        kinds: Iterable[str] | None = None,
        **asker: Unpack[Asker],
    ) -> tuple["Batch | None", list[str]]:
        """Ask for all documents of an assessment, or for those of some kinds. Return the batch and the kinds asked for.

        Asking for all while a batch runs does not ask again for what that batch has already ended; asking for one kind
        does (a retry).
        """
        wanted = self.outstanding() if kinds is None else self.filter(kind__in=list(kinds))
        with transaction.atomic():
            asked = wanted.request_many([assessment.pk], **asker)
            batch = Batch.objects.filter(documents__in=Document.objects.active().filter(assessment=assessment)).first()
        return batch, asked.get(assessment.pk, [])

    def request_many(self, assessment_ids: Collection[int], **asker: Unpack[Asker]) -> dict[int, list[str]]:
        """Ask for all that this query set finds in some assessments; return the kinds asked for, by assessment.

        What waits or runs already is left alone, and what is asked for joins it in its batch; else it gets a new one.
        """
        with transaction.atomic(savepoint=False):
            Assessment.objects.lock(*assessment_ids)
            wanted = self.filter(assessment__in=assessment_ids).exclude(status__in=Document.ACTIVE)
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

    def cancel_many(self, assessment_ids: Collection[int]) -> dict[int, list[str]]:
        """Take back what waits in some assessments, and tell what runs to stop; return the kinds, by assessment."""
        with transaction.atomic(savepoint=False):
            Assessment.objects.lock(*assessment_ids)
            taken_back = self.pending().change_many(assessment_ids, **Document.set_aside("Cancelled"))
            running = self.processing().filter(cancel_requested_at=None)
            told = running.change_many(assessment_ids, cancel_requested_at=Now(), message="Stopping")
        return {pk: sorted(told.get(pk, []) + taken_back.get(pk, []), key=SLUGS.index) for pk in told | taken_back}

    def in_turn(self, assessment_id: int | None = None) -> int | None:
        """Return the assessment whose document comes next, or None when none of the query set waits.

        Among the people who wait lots are drawn, one for each: who asks for a thousand documents does not hold up
        who asks for four. It is the assessment given, where that is the drawn person's, else what waits longest.
        """
        processing = Document.objects.processing().filter(assessment=OuterRef("assessment"))
        waiting = self.pending().filter(~Exists(processing))
        people = waiting.order_by().values_list("batch__requested_by", flat=True).distinct()
        if not people:
            return None
        theirs = waiting.filter(batch__requested_by=random.choice(people))
        given_first = Case(When(assessment=assessment_id, then=0), default=1)
        return theirs.order_by(given_first, "batch_id", "pk").values_list("assessment", flat=True).first()

    def claim(self, assessment_id: int) -> "Attempt | None":
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

    def recover(self) -> list[int]:
        """Free the documents of workers that stopped; return the assessments to wake for them.

        With attempts left a document waits again; else its error says so. What the lost attempts had stored is for
        Attempt.remove_lost_files(): a storage that hangs holds up nobody who waits. Nor does a row that somebody holds:
        the next look finds it again.
        """
        wake = []
        for lost in self.expired():
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

    def forgotten(self) -> list[int]:
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


class Document(models.Model):
    class Status(models.TextChoices):
        IDLE = "idle", "Not made yet"
        PENDING = "pending", "Waiting"
        PROCESSING = "processing", "Being made"
        SUCCESS = "success", "Ready"
        ERROR = "error", "Failed"

    ACTIVE = (Status.PENDING, Status.PROCESSING)

    assessment = models.ForeignKey(Assessment, models.CASCADE, related_name="documents")
    kind = ChoiceField(choices=CHOICES)
    position = models.PositiveSmallIntegerField()
    status = ChoiceField(choices=Status, default=Status.IDLE)
    batch = models.ForeignKey("Batch", models.SET_NULL, null=True, related_name="documents")
    requested_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    # Per cent of the running attempt, 100 only when the file is stored; empty when it cannot be known.
    progress = models.PositiveSmallIntegerField(null=True, default=0)
    # From this site's own history; empty when there is none.
    expected_seconds = models.FloatField(null=True)
    message = models.TextField(blank=True)
    error = models.TextField(blank=True)
    # What support finds the cause by in the log.
    reference = models.CharField(max_length=8, blank=True)
    lease_token = models.UUIDField(null=True)
    lease_expires_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    revision = models.PositiveBigIntegerField(default=0)
    current = models.ForeignKey("DocumentVersion", models.SET_NULL, null=True, related_name="+")
    # The data that has changed since the current file was made, such as "Estimate, Vehicle", and when that was seen.
    # See documents/outdated.py; empty while making it now would print the same.
    outdated_by = models.CharField(max_length=200, blank=True, db_default="", editable=False)
    outdated_at = models.DateTimeField(null=True)

    objects = DocumentQuerySet.as_manager()

    class Meta:
        ordering = ["assessment", "position"]
        constraints = [
            models.UniqueConstraint(fields=["assessment", "kind"], name="document_kind_once"),
            models.UniqueConstraint(
                fields=["assessment"], condition=Q(status="processing"), name="one_document_at_a_time"
            ),
            models.CheckConstraint(
                condition=Q(status="processing", lease_token__isnull=False, lease_expires_at__isnull=False)
                | (~Q(status="processing") & Q(lease_token=None, lease_expires_at=None)),
                name="document_leased_while_processing",
            ),
            models.CheckConstraint(condition=Q(progress=None) | Q(progress__lte=100), name="document_progress_percent"),
        ]
        indexes = [
            models.Index(fields=["assessment", "revision"], name="document_changes"),
            models.Index(fields=["status"], condition=Q(status__in=["pending", "processing"]), name="document_active"),
        ]

    def __str__(self) -> str:
        return f"{self.assessment} {self.get_kind_display()}"

    @property
    def entry(self) -> Kind:
        return KINDS[self.kind]

    @property
    def file_name(self) -> str:
        return f"{self.assessment.number}_{self.entry.file_name}"

    @property
    def active(self) -> bool:
        return self.status in self.ACTIVE

    # The ways into the line and out of processing, as the values of the one UPDATE that makes each of them.

    @classmethod
    def asked_for(cls, batch: Any) -> dict[str, Any]:
        return {
            "status": cls.Status.PENDING,
            "batch": batch,
            "requested_at": Now(),
            "attempts": 0,
            "progress": 0,
            "expected_seconds": None,
            "message": "",
            "error": "",
            "reference": "",
            "cancel_requested_at": None,
        }

    @staticmethod
    def _without_lease(**values: Any) -> dict[str, Any]:
        return {"lease_token": None, "lease_expires_at": None, "cancel_requested_at": None, **values}

    @classmethod
    def back_in_line(cls, message: str) -> dict[str, Any]:
        return cls._without_lease(status=cls.Status.PENDING, progress=0, message=message)

    @classmethod
    def failed(cls, error: str, reference: str) -> dict[str, Any]:
        return cls._without_lease(status=cls.Status.ERROR, ended_at=Now(), message="", error=error, reference=reference)

    @classmethod
    def set_aside(cls, message: str) -> dict[str, Any]:
        """Back to what the slot was before it was asked for: its last good file, or nothing."""
        return cls._without_lease(
            status=Case(When(current=None, then=Value(cls.Status.IDLE)), default=Value(cls.Status.SUCCESS)),
            progress=Case(When(current=None, then=Value(0)), default=Value(100)),
            ended_at=Now(),
            message=message,
        )

    def next_version(self) -> int:
        return int(self.versions.aggregate(last=Max("number"))["last"] or 0) + 1

    def after_loss(self, message: str, error: str) -> dict[str, Any]:
        """When its attempt came to no end: wait for another one, or fail with ``error`` when all are used."""
        if self.cancel_requested_at:
            return self.set_aside("Cancelled")
        if self.attempts < MAX_ATTEMPTS:
            return self.back_in_line(message)
        return self.failed(error, str(self.lease_token)[:8])


class Batch(models.Model):
    """What one request asked for in one assessment; requests that join it while it runs belong to it."""

    assessment = models.ForeignKey(Assessment, models.CASCADE, related_name="batches")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    requested_at = models.DateTimeField(auto_now_add=True)
    # Where it was asked for: page, api, admin, command.
    origin = models.CharField(max_length=12, blank=True)
    # The office's bulk request that began it, if one did.
    bulk_request = models.ForeignKey(BulkRequest, models.SET_NULL, null=True, related_name="batches")
    # When its failures were mailed (or nobody found to mail); taken by one conditional UPDATE, so they are mailed once.
    mailed_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "batches"
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"Batch {self.pk} of {self.assessment}"


class Attempt(models.Model):
    """One try at a document, and the lease that goes with it: the token fences everything it writes."""

    class Outcome(models.TextChoices):
        RUNNING = "running", "Running"
        SUCCESS = "success", "Made"
        ERROR = "error", "Failed"
        CANCELLED = "cancelled", "Cancelled"
        RELEASED = "released", "Given back"
        LOST = "lost", "Worker stopped"

    document = models.ForeignKey(Document, models.CASCADE, related_name="history")
    batch = models.ForeignKey(Batch, models.SET_NULL, null=True, related_name="attempts")
    token = models.UUIDField(unique=True)
    worker = models.CharField(max_length=120)
    started_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)
    outcome = ChoiceField(choices=Outcome, default=Outcome.RUNNING)
    error = models.TextField(blank=True)
    # The work it had, in photos or lines, and what that took: the history that time left is told from.
    units = models.PositiveIntegerField(default=1)
    seconds = models.FloatField(null=True)
    cpu_seconds = models.FloatField(null=True)
    peak_memory = models.PositiveBigIntegerField("peak memory (bytes)", null=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.document}, attempt {self.reference}"

    @property
    def reference(self) -> str:
        return str(self.token)[:8]

    @property
    def stored_name(self) -> str:
        """Where this attempt stores its file; known beforehand, so that a lost attempt's file can be found."""
        document = self.document
        return f"documents/{document.assessment.number}/{document.kind}/{self.token}.{document.entry.extension}"

    def remove_stored_file(self) -> None:
        """Remove the file that no version came of. One that resists is logged: the document goes on without."""
        if DocumentVersion.objects.filter(file=self.stored_name).exists():
            return
        try:
            DocumentVersion._meta.get_field("file").storage.delete(self.stored_name)
        except OSError:
            logger.warning("%s: its file could not be removed", self, exc_info=True)

    @classmethod
    def remove_lost_files(cls) -> None:
        """Remove what the lost attempts of the last day stored: who should have done so may have been killed, too."""
        unmade = cls.objects.filter(outcome__in=[cls.Outcome.LOST, cls.Outcome.RELEASED], version=None)
        recent = unmade.filter(ended_at__gte=from_now(-timedelta(days=1)))
        for attempt in recent.select_related("document__assessment"):
            attempt.remove_stored_file()

    @classmethod
    def begun_lately(cls) -> bool:
        """Whether a worker has begun a document within the patience that waiting ones have, by the database's clock."""
        newest = cls.objects.order_by("-pk").values_list("document__started_at", Now()).first()
        return newest is not None and newest[0] is not None and newest[1] - newest[0] < PATIENCE

    def _mine(self) -> DocumentQuerySet:
        return Document.objects.filter(pk=self.document_id, lease_token=self.token).processing()

    def renew(self) -> bool:
        """Extend the lease; False when it is somebody else's by now."""
        return bool(self._mine().update(lease_expires_at=from_now(settings.LEASE)))

    def standing(self) -> str:
        """How the attempt stands in the database: "mine", "cancelled" (told to stop) or "lost"."""
        asked = self._mine().values_list("cancel_requested_at", flat=True).first()
        if asked is not None:
            return "cancelled"
        return "mine" if self._mine().exists() else "lost"

    def report(self, progress: int | None, message: str, **values: Any) -> None:
        """Record how far it is, and extend the lease. Progress never runs backwards. Raises Superseded."""
        self._mine().filter(cancel_requested_at=None).filter(
            Q(progress=None) | Q(progress__lte=100 if progress is None else progress)
        ).change(
            self.document.assessment_id,
            progress=progress,
            message=message,
            lease_expires_at=from_now(settings.LEASE),
            **values,
        )

    def finish(self, **facts: Any) -> "DocumentVersion":
        """Make the stored file the document's newest version. Raises Superseded when the lease is lost.

        Facts: the fields of DocumentVersion that say what is in the file.
        """
        with transaction.atomic():
            self._end(
                self.Outcome.SUCCESS,
                Document._without_lease(
                    status=Document.Status.SUCCESS, progress=100, message=facts.get("message", ""), ended_at=Now()
                ),
            )
            version = DocumentVersion.objects.create(
                document=self.document,
                number=self.document.next_version(),
                attempt=self,
                batch=self.batch,
                made_by=self.batch.requested_by if self.batch else None,
                file=self.stored_name,
                **facts,
            )
            Document.objects.filter(pk=self.document_id).update(current=version, outdated_by="", outdated_at=None)
        return version

    def fail(self, error: str) -> None:
        """End the document with an error, in the user's words. Raises Superseded when the lease is lost."""
        self._end(self.Outcome.ERROR, Document.failed(error, self.reference), error)

    def crash(self, error: str) -> None:
        """The child process died: wait for another attempt, or fail when all are used. Raises Superseded."""
        with transaction.atomic():
            document = self._locked()
            words = f"{error} It was tried {MAX_ATTEMPTS} times."
            values = document.after_loss("It stopped unexpectedly; starting again", words)
            self._end(self.Outcome.ERROR, values, error)

    def cancel(self) -> None:
        """End the document as cancelled, as it was told. Raises Superseded when the lease is lost."""
        self._end(self.Outcome.CANCELLED, Document.set_aside("Cancelled"))

    def release(self) -> None:
        """Give the document back unmade, as if never begun. Raises Superseded when the lease is lost."""
        with transaction.atomic():
            if self._locked().cancel_requested_at:
                values = Document.set_aside("Cancelled")
            else:
                values = {"attempts": F("attempts") - 1, **Document.back_in_line("Waiting again")}
            # The task that would wake a worker for it ends with this one: let the sweep do so at once.
            Assessment.objects.filter(pk=self.document.assessment_id).update(woken_at=None)
            self._end(self.Outcome.RELEASED, values)

    def _locked(self) -> Document:
        """The document as it is now; until the transaction ends it stays so. Raises Superseded."""
        Assessment.objects.lock(self.document.assessment_id)
        document = self._mine().first()
        if document is None:
            raise Superseded
        return document

    def _end(self, outcome: str, values: dict[str, Any], error: str = "") -> None:
        with transaction.atomic():
            self._mine().change(self.document.assessment_id, **values)
            Attempt.objects.filter(pk=self.pk).update(outcome=outcome, error=error, ended_at=Now())


class DocumentVersion(models.Model):
    """A file that an attempt produced. The newest is the document's current one; the others are its history."""

    document = models.ForeignKey(Document, models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    attempt = models.OneToOneField(Attempt, models.SET_NULL, null=True, related_name="version")
    batch = models.ForeignKey(Batch, models.SET_NULL, null=True, related_name="versions")
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    made_at = models.DateTimeField(db_default=Now())
    # A digest of each part of the data that the file shows, by the part's name.
    digests = models.JSONField(default=dict, db_default={})
    file = models.FileField(max_length=200)
    size = models.PositiveBigIntegerField("bytes")
    sha256 = models.CharField("SHA-256", max_length=64)
    pages = models.PositiveIntegerField(null=True)
    photos = models.PositiveIntegerField(null=True)
    # What is in it, such as "7 pages" or "58 of 60 photos; unreadable: IMG_0012.jpg".
    message = models.TextField(blank=True)
    seconds = models.FloatField("seconds to make", default=0)

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["document", "number"], name="version_number_once")]

    def __str__(self) -> str:
        return f"{self.document}, version {self.number}"


class Heartbeat(models.Model):
    """The sign of life of one worker or sweep; it is alive while the last one is recent."""

    class Role(models.TextChoices):
        WORKER = "worker", "Worker"
        SWEEP = "sweep", "Sweep"

    RECENT = timedelta(seconds=20)

    name = models.CharField(max_length=120, primary_key=True)
    role = ChoiceField(choices=Role)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.role} {self.name}"

    @classmethod
    def beat(cls, role: str) -> None:
        cls.objects.update_or_create(name=here(), defaults={"role": role, "seen_at": Now()})
        cls.objects.filter(seen_at__lt=from_now(-timedelta(days=1))).delete()

    @classmethod
    def stop(cls) -> None:
        """Take the sign of life back; whoever ends may have been stopped in the middle of a transaction."""
        connection.close()
        cls.objects.filter(name=here()).delete()

    @classmethod
    def alive(cls, role: str) -> int:
        """How many processes of a role gave a sign of life in the last 20 seconds."""
        return cls.objects.filter(role=role, seen_at__gte=from_now(-cls.RECENT)).count()
