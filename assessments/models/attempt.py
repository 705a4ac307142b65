"""The tries at a document. The token of an attempt is its lease: it fences everything that the attempt writes."""

import logging
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from .assessment import Assessment
from .batch import Batch
from .document import Document, DocumentQuerySet, Superseded
from .fields import ChoiceField
from .lease import MAX_ATTEMPTS, PATIENCE, from_now
from .version import DocumentVersion

logger = logging.getLogger(__name__)


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
