"""The removal of an assessment with everything that belongs to it."""

from datetime import timedelta
from typing import Self, Unpack

from django.conf import settings
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import models, transaction
from django.db.models import Model, Q
from django.db.models.functions import Now

from .assessment import Assessment
from .audit import AuditEntry
from .batch import Asker
from .lease import FromNow
from .tally import Tally

# A request and a document that began before a removal have ended after this time, and can write no file any more.
LONGEST_REQUEST = timedelta(hours=1)


class RemovalQuerySet(models.QuerySet["Removal"]):
    def due(self) -> Self:
        """Return the removals whose files are to be removed: at once, and again when nothing can write one any more."""
        longest = LONGEST_REQUEST + timedelta(seconds=settings.DOCUMENT_DEADLINE)
        return self.filter(Q(cleared_at=None) | Q(removed_at__lt=FromNow(-longest)))


class Removal(models.Model):
    """A removed assessment whose stored files are to be removed. The audit log keeps who removed it."""

    number = models.CharField(max_length=20, primary_key=True)
    removed_at = models.DateTimeField(db_default=Now())
    # When the files were removed for the first time.
    cleared_at = models.DateTimeField(null=True)

    objects = RemovalQuerySet.as_manager()

    def __str__(self) -> str:
        return self.number

    @classmethod
    def begin(cls, assessment: Assessment, **asker: Unpack[Asker]) -> None:
        """Remove the rows of an assessment, and note that its files are to be removed.

        The lock makes writers of new rows wait. Afterwards they find no assessment, and a worker has lost its lease.
        """
        with transaction.atomic():
            if not Assessment.objects.select_for_update().filter(pk=assessment.pk).exists():
                return
            AuditEntry.objects.record(AuditEntry.Action.REMOVED, {assessment: []}, **asker)
            cls.objects.create(number=assessment.number)
            estimate = getattr(assessment, "estimate", None)
            for row in filter(None, [assessment, estimate]):
                edits_of(row).delete()
            Tally.count_out(assessment)
            assessment.delete()


def edits_of(row: Model) -> "models.QuerySet[LogEntry]":
    """Return the admin's notes about edits of a row: they name what was typed. The note of its deletion does not."""
    kind = ContentType.objects.get_for_model(row)
    return LogEntry.objects.filter(content_type=kind, object_id=str(row.pk)).exclude(action_flag=DELETION)
