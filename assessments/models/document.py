"""The states of a document, and the changes between them.

A ``Document`` is a slot: one per assessment and kind. Only its row holds its state. Every change of the state is one
conditional UPDATE (compare and set), which also checks the lease while a worker makes the document. A process whose
UPDATE finds no row has lost, and writes nothing. So several workers are safe, on SQLite and on PostgreSQL.

Every change adds one to the assessment's ``revision`` and copies it to the document, in the same transaction. So a
query finds the changes since revision N, and no log of events is needed.
"""

from typing import Any

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models
from django.db.models import Case, F, Max, Q, Value, When
from django.db.models.functions import Now

from assessments.documents.kinds import CHOICES, KINDS, SLUGS, Kind
from assessments.words import missing_photos

from .assessment import Assessment
from .fields import ChoiceField, differs
from .lease import MAX_ATTEMPTS
from .slots import DocumentQuerySet

# The message of a document whose last request was cancelled.
CANCELLED = "Cancelled"

AllDocuments = models.Manager.from_queryset(DocumentQuerySet)


class KnownDocuments(AllDocuments):  # type: ignore[type-arg]
    """Leaves out documents of unknown kinds: during an update, machines with the new version add them."""

    def get_queryset(self) -> DocumentQuerySet:
        return DocumentQuerySet(self.model, using=self._db).filter(kind__in=SLUGS)


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
    # The person who asked for this document last. Another person may have begun the batch.
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    requested_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    # Per cent of the running attempt, 100 only when the file is stored; None when the progress is not known.
    progress = models.PositiveSmallIntegerField(null=True, default=0)
    # Calculated from this site's past attempts; None when there are none.
    expected_seconds = models.FloatField(null=True)
    message = models.TextField(blank=True)
    # The reason of the last failure, kept while the document is made again: a cancel then brings the failure back.
    error = models.TextField(blank=True)
    # The reference by which support finds the cause in the log.
    reference = models.CharField(max_length=8, blank=True)
    lease_token = models.UUIDField(null=True)
    lease_expires_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    revision = models.PositiveBigIntegerField(default=0)
    current = models.ForeignKey("DocumentVersion", models.SET_NULL, null=True, related_name="+")
    # The data that changed since the current file was made, such as "Estimate and vehicle", and when that was last
    # noticed. Empty while a new file would print the same data. See documents/outdated.py.
    outdated_by = models.CharField(max_length=200, blank=True, db_default="", editable=False)
    outdated_at = models.DateTimeField(null=True)
    # When data of the assessment last changed while this document was being made.
    data_changed_at = models.DateTimeField(null=True)
    # The status as which the tally counts the document; empty before the first time.
    counted_as = models.CharField(max_length=24, blank=True, db_default="", editable=False)
    uncounted = differs("status", "counted_as")

    objects = KnownDocuments()

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
            models.Index(fields=["ended_at"], condition=Q(status="error"), name="document_failed"),
            models.Index(fields=["kind"], condition=Q(uncounted=True), name="document_uncounted"),
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

    @property
    def failure(self) -> str:
        return self.error if self.status == self.Status.ERROR else ""

    @property
    def outdated(self) -> bool:
        return bool(self.status == self.Status.SUCCESS and self.current_id and self.outdated_by)

    @classmethod
    def is_outdated(cls) -> Q:
        """Return the condition of ``outdated``."""
        return Q(status=cls.Status.SUCCESS, current__isnull=False) & ~Q(outdated_by="")

    @property
    def missing(self) -> int:
        """The number of photos that the current file leaves out. Lists have to select ``current``."""
        return self.current.missing if self.status == self.Status.SUCCESS and self.current else 0

    @property
    def icon(self) -> str:
        return "stale" if self.outdated or self.missing else str(self.status)

    @property
    def status_words(self) -> str:
        flaws = [missing_photos(self.missing), "out of date" if self.outdated else ""]
        return ", ".join(filter(None, [self.get_status_display(), *flaws]))

    # The changes into the queue and out of processing, each as the values of its one UPDATE.

    @classmethod
    def asked_for(cls, batch: Any, by: AbstractBaseUser | None) -> dict[str, Any]:
        """Return the values of a request. A document that still stops loses its lease: its attempt writes nothing."""
        unmade = Q(status__in=[cls.Status.ERROR, *cls.ACTIVE])
        return cls._without_lease(
            status=cls.Status.PENDING,
            batch=batch,
            requested_by=by,
            requested_at=Now(),
            attempts=0,
            progress=0,
            expected_seconds=None,
            message="",
            error=Case(When(unmade, then=F("error")), default=Value("", models.TextField())),
            reference=Case(When(unmade, then=F("reference")), default=Value("", models.CharField())),
        )

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
    def made(cls, message: str) -> dict[str, Any]:
        return cls._without_lease(
            status=cls.Status.SUCCESS, ended_at=Now(), progress=100, message=message, error="", reference=""
        )

    @classmethod
    def set_aside(cls) -> dict[str, Any]:
        """Return the values that undo a request: the slot has failed again, has its last good file again, or is idle.

        The document then belongs to no batch, so no batch counts an older failure or file as its own.
        """
        failed, idle = ~Q(error=""), Q(current=None)
        return cls._without_lease(
            status=Case(
                When(failed, then=Value(cls.Status.ERROR)),
                When(idle, then=Value(cls.Status.IDLE)),
                default=Value(cls.Status.SUCCESS),
            ),
            progress=Case(When(failed | idle, then=Value(0)), default=Value(100)),
            batch=None,
            ended_at=Now(),
            message=CANCELLED,
        )

    def next_version(self) -> int:
        return int(self.versions.aggregate(last=Max("number"))["last"] or 0) + 1

    def after_loss(self, message: str, error: str) -> dict[str, Any]:
        """Return the values after a lost attempt: wait for another one, or fail with ``error`` after the last."""
        if self.cancel_requested_at:
            return self.set_aside()
        if self.attempts < MAX_ATTEMPTS:
            return self.back_in_line(message)
        return self.failed(error, str(self.lease_token)[:8])
