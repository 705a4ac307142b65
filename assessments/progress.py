"""How far the documents of many assessments are."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, Count, Exists, F, IntegerField, OuterRef, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce

from .models import Assessment, BulkRequest, Document


def having(assessments: QuerySet[Assessment], *statuses: str) -> QuerySet[Assessment]:
    """Those of the assessments that have a document in one of the statuses."""
    return assessments.filter(Exists(Document.objects.filter(assessment=OuterRef("pk"), status__in=statuses)))


@dataclass(frozen=True, slots=True)
class Totals:
    """How far all documents of some assessments are. ``percent`` says how much of the work is behind us."""

    assessments: int = 0
    with_failed: int = 0
    with_active: int = 0
    documents: int = 0
    ready: int = 0
    failed: int = 0
    active: int = 0
    # The per cents of all documents, added up.
    done: int = 0

    @property
    def percent(self) -> int:
        return self.done // self.documents if self.documents else 0

    @property
    def in_words(self) -> str:
        words = [f"{self.ready} of {self.documents} documents ready"]
        if self.failed:
            words.append(f"{self.failed} failed")
        if self.active:
            words.append(f"{self.active} waiting or being made")
        return ", ".join(words)


FAILED, ACTIVE = Q(status=Document.Status.ERROR), Q(status__in=Document.ACTIVE)
COUNTS: dict[str, Any] = {
    "assessments": Count("assessment", distinct=True),
    "with_failed": Count("assessment", distinct=True, filter=FAILED),
    "with_active": Count("assessment", distinct=True, filter=ACTIVE),
    "documents": Count("pk"),
    "ready": Count("pk", filter=Q(status=Document.Status.SUCCESS)),
    "failed": Count("pk", filter=FAILED),
    "active": Count("pk", filter=ACTIVE),
    "done": Sum(
        Case(
            When(status=Document.Status.PENDING, then=Value(0)),
            When(status=Document.Status.PROCESSING, then=Coalesce(F("progress"), Value(0))),
            default=Value(100),
            output_field=IntegerField(),
        )
    ),
}


def totals(bulk_requests: Iterable[BulkRequest]) -> dict[int, Totals]:
    """Count for each bulk request, in one query, however many assessments were chosen."""
    found = {bulk_request.pk: Totals() for bulk_request in bulk_requests}
    slots: QuerySet[Any, Any] = Document.objects.order_by().filter(assessment__bulk_requests__in=found)
    for counts in slots.values(bulk_request=F("assessment__bulk_requests")).annotate(**COUNTS):
        pk = counts.pop("bulk_request")
        found[pk] = Totals(**counts)
    return found
