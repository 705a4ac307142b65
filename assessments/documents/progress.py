"""The progress of the documents of many assessments."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from assessments.models import Assessment, BulkRequest, Document
from assessments.words import ready

from .kinds import percent_done


def having(assessments: QuerySet[Assessment], *statuses: str) -> QuerySet[Assessment]:
    return assessments.filter(Exists(Document.objects.filter(assessment=OuterRef("pk"), status__in=statuses)))


def having_outdated(assessments: QuerySet[Assessment]) -> QuerySet[Assessment]:
    return assessments.filter(Exists(Document.objects.outdated().filter(assessment=OuterRef("pk"))))


@dataclass(frozen=True, slots=True)
class Totals:
    """The counts of all documents of some assessments. ``percent`` is the share of the work that is done."""

    assessments: int = 0
    with_failed: int = 0
    with_active: int = 0
    documents: int = 0
    ready: int = 0
    failed: int = 0
    active: int = 0
    outdated: int = 0
    with_outdated: int = 0
    # The sum of the per cents of the documents that are being made.
    running: int = 0

    @property
    def percent(self) -> int:
        return percent_done(self.documents - self.active, self.running, self.documents or 1)

    @property
    def in_words(self) -> str:
        words = ready(self.ready, self.documents, self.failed, self.active)
        return f"{words}, {self.outdated} out of date" if self.outdated else words

    @property
    def outcome(self) -> str:
        """One of "processing", "partial" (some failed or are out of date) and "complete"."""
        if self.active:
            return "processing"
        return "partial" if self.failed or self.outdated else "complete"


FAILED, ACTIVE = Q(status=Document.Status.ERROR), Q(status__in=Document.ACTIVE)
OUTDATED = Document.is_outdated()
COUNTS: dict[str, Any] = {
    "assessments": Count("assessment", distinct=True),
    "with_failed": Count("assessment", distinct=True, filter=FAILED),
    "with_active": Count("assessment", distinct=True, filter=ACTIVE),
    "documents": Count("pk"),
    "ready": Count("pk", filter=Q(status=Document.Status.SUCCESS)),
    "failed": Count("pk", filter=FAILED),
    "active": Count("pk", filter=ACTIVE),
    "outdated": Count("pk", filter=OUTDATED),
    "with_outdated": Count("assessment", distinct=True, filter=OUTDATED),
    "running": Coalesce(Sum("progress", filter=Q(status=Document.Status.PROCESSING)), 0),
}


def totals(bulk_requests: Iterable[BulkRequest]) -> dict[int, Totals]:
    """Return the totals of each bulk request, by its id, with one query for any number of assessments."""
    found = {bulk_request.pk: Totals() for bulk_request in bulk_requests}
    slots: QuerySet[Any, Any] = Document.objects.order_by().filter(assessment__bulk_requests__in=found)
    for counts in slots.values(bulk_request=F("assessment__bulk_requests")).annotate(**COUNTS):
        pk = counts.pop("bulk_request")
        found[pk] = Totals(**counts)
    return found
