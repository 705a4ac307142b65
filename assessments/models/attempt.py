"""The attempts at a document, and the ways in which an attempt ends."""

import logging
from datetime import timedelta
from typing import Any, Self

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from assessments.documents.kinds import SLUGS

from .assessment import Assessment
from .batch import Batch
from .document import Document
from .fields import ChoiceField
from .lease import MAX_ATTEMPTS, PATIENCE, FromNow
from .slots import DocumentQuerySet, Superseded
from .version import DocumentVersion

logger = logging.getLogger(__name__)


def documents_folder(number: str) -> str:
    """Return the folder of all documents of the assessment of that number."""
    return f"documents/{number}"


class AttemptQuerySet(models.QuerySet["Attempt"]):
    def uncounted(self) -> Self:
        """Return the ended attempts that the tally has not counted."""
        return self.filter(~Q(outcome="running"), counted=False)


class Attempt(models.Model):
    """One try at a document. Its token is its lease: the attempt can write while the document's row has the token."""

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
    started_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True)
    outcome = ChoiceField(choices=Outcome, default=Outcome.RUNNING)
    error = models.TextField(blank=True)
    # The work in photos or lines, and the time and memory that it took: the history behind later expected times.
    units = models.PositiveIntegerField(default=1)
    seconds = models.FloatField(null=True)
    cpu_seconds = models.FloatField(null=True)
    peak_memory = models.PositiveBigIntegerField("peak memory (bytes)", null=True)
    # When the file was removed that a killed worker may have left.
    file_removed_at = models.DateTimeField(null=True, editable=False)
    counted = models.BooleanField(db_default=False, editable=False)

    objects = AttemptQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(
                fields=["ended_at"],
                condition=Q(outcome__in=["lost", "released"], file_removed_at=None),
                name="attempt_may_have_left_file",
            ),
            models.Index(
                fields=["outcome"], condition=Q(~Q(outcome="running"), counted=False), name="attempt_uncounted"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.document}, attempt {self.reference}"

    @property
    def reference(self) -> str:
        return str(self.token)[:8]

    @property
    def stored_name(self) -> str:
        """The name of this attempt's stored file, known beforehand so that a lost attempt's file can be found."""
        document = self.document
        folder = documents_folder(document.assessment.number)
        return f"{folder}/{document.kind}/{self.token}.{document.entry.extension}"

    def remove_stored_file(self) -> bool:
        """Remove this attempt's file, unless a version has it; return whether there is nothing left to remove.

        An OSError is only logged: the document goes on.
        """
        if DocumentVersion.objects.filter(attempt=self).exists():
            return True
        try:
            DocumentVersion._meta.get_field("file").storage.delete(self.stored_name)
        except OSError:
            logger.warning("%s: its file could not be removed", self, exc_info=True)
            return False
        return True

    @classmethod
    def remove_lost_files(cls) -> None:
        """Remove the files of the last day's lost and released attempts, each once: their workers may be dead.

        A file that a hanging worker stores later is removed by that worker, or else by pruning.
        """
        unmade = cls.objects.filter(outcome__in=[cls.Outcome.LOST, cls.Outcome.RELEASED], file_removed_at=None)
        recent = unmade.filter(ended_at__gte=FromNow(-timedelta(days=1)), document__kind__in=SLUGS)
        for attempt in recent.select_related("document__assessment"):
            if attempt.remove_stored_file():
                cls.objects.filter(pk=attempt.pk).update(file_removed_at=Now())

    @classmethod
    def begun_lately(cls) -> bool:
        """Return whether a worker has begun a document within the last PATIENCE, by the database's clock."""
        newest = cls.objects.order_by("-pk").values_list("document__started_at", Now()).first()
        return newest is not None and newest[0] is not None and newest[1] - newest[0] < PATIENCE

    @classmethod
    def leave(cls, documents: DocumentQuerySet) -> None:
        """Record the end of the attempts at documents whose leases the caller takes away, in the same transaction."""
        tokens = documents.processing().order_by().values("lease_token")
        cls.objects.filter(token__in=tokens).update(outcome=cls.Outcome.CANCELLED, ended_at=Now())

    def _mine(self) -> DocumentQuerySet:
        return Document.objects.filter(pk=self.document_id, lease_token=self.token).processing()

    def renew(self) -> bool:
        """Extend the lease. Return False when this attempt has lost the lease."""
        return bool(self._mine().update(lease_expires_at=FromNow(settings.LEASE)))

    def standing(self) -> str:
        """Return how the attempt stands in the database: "mine", "cancelled" (a cancel was requested) or "lost"."""
        cancels = list(self._mine().order_by().values_list("cancel_requested_at", flat=True))
        if not cancels:
            return "lost"
        return "mine" if cancels == [None] else "cancelled"

    def report(self, progress: int | None, message: str, **values: Any) -> None:
        """Record the progress, and extend the lease. Progress never runs backwards. Raises Superseded."""
        self._mine().filter(cancel_requested_at=None).filter(
            Q(progress=None) | Q(progress__lte=100 if progress is None else progress)
        ).change(
            self.document.assessment_id,
            progress=progress,
            message=message,
            lease_expires_at=FromNow(settings.LEASE),
            **values,
        )

    def finish(self, cost: dict[str, float] | None = None, **facts: Any) -> "DocumentVersion":
        """Make the stored file the document's newest version. Raises Superseded when the lease is lost.

        ``facts`` are the fields of DocumentVersion that describe the file; ``cost`` are the fields of the attempt that
        describe the work.
        """
        with transaction.atomic():
            self._end(self.Outcome.SUCCESS, Document.made(facts.get("message", "")), **(cost or {}))
            version = DocumentVersion.objects.create(
                document=self.document,
                number=self.document.next_version(),
                attempt=self,
                batch=self.batch,
                # No other person asks for the document meanwhile without taking the lease away.
                made_by_id=self.document.requested_by_id,
                file=self.stored_name,
                **facts,
            )
            Document.objects.filter(pk=self.document_id).update(current=version, outdated_by="", outdated_at=None)
        return version

    def fail(self, error: str) -> None:
        """End the document with an error, in the user's words. Raises Superseded when the lease is lost."""
        self._end(self.Outcome.ERROR, Document.failed(error, self.reference), error=error)

    def refuse(self, error: str) -> None:
        """End the document like fail(), with an error that says all: support would find no more in the log."""
        self._end(self.Outcome.ERROR, Document.failed(error, ""), error=error)

    def crash(self, error: str) -> None:
        """End the attempt after a crash: the document waits again, or fails after the last one. Raises Superseded."""
        with transaction.atomic():
            document = self._locked()
            words = f"{error} It was tried {MAX_ATTEMPTS} times."
            values = document.after_loss("It stopped unexpectedly; starting again", words)
            self._end(self.Outcome.ERROR, values, error=error)

    def cancel(self) -> None:
        """End the document as cancelled. Raises Superseded when the lease is lost."""
        self._end(self.Outcome.CANCELLED, Document.set_aside())

    def release(self) -> None:
        """Put the document back into the queue, as if never begun. Raises Superseded when the lease is lost."""
        with transaction.atomic():
            if self._locked().cancel_requested_at:
                values = Document.set_aside()
            else:
                values = {"attempts": F("attempts") - 1, **Document.back_in_line("Waiting again")}
            # The task of this worker ends without waking the next worker, so the sweep has to wake one at once.
            Assessment.objects.filter(pk=self.document.assessment_id).update(woken_at=None)
            self._end(self.Outcome.RELEASED, values)

    def _locked(self) -> Document:
        """Lock the document until the transaction ends, and return it as it is now. Raises Superseded."""
        Assessment.objects.lock(self.document.assessment_id)
        document: Document | None = self._mine().first()
        if document is None:
            raise Superseded
        return document

    def _end(self, outcome: str, values: dict[str, Any], **facts: Any) -> None:
        with transaction.atomic():
            self._mine().change(self.document.assessment_id, **values)
            Attempt.objects.filter(pk=self.pk).update(outcome=outcome, ended_at=Now(), **facts)
