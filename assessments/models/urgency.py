"""The order of the list: failed, then running, then missing documents; closed assessments come last."""

from collections.abc import Collection
from typing import Any

from django.db.models import Case, Exists, IntegerChoices, PositiveSmallIntegerField, Q, Value, When

from .fields import Generated


class Standing(IntegerChoices):
    """How the documents of an assessment stand together."""

    FAILED_AND_RUNNING = 0, "Some failed, some running"
    FAILED = 1, "Some failed"
    RUNNING = 2, "Some running"
    UNMADE = 3, "None made"
    MADE = 4, "Some made"


def together(documents: Any) -> Case:
    """Return the standing of an assessment, by a query for its documents."""
    failed, running = Exists(documents.failed()), Exists(documents.active())
    return Case(
        When(Q(failed, running), then=Value(Standing.FAILED_AND_RUNNING)),
        When(failed, then=Value(Standing.FAILED)),
        When(running, then=Value(Standing.RUNNING)),
        When(Exists(documents.filter(status="success")), then=Value(Standing.MADE)),
        default=Value(Standing.UNMADE),
    )


def urgency_column(open_states: Collection[str]) -> Generated:
    """Return the column with the place of an assessment in the list: 0 comes first."""
    running = Q(standing__in=[Standing.FAILED_AND_RUNNING, Standing.RUNNING])
    closed = ~Q(status__in=open_states)
    place = Case(
        When(closed & running, then=Value(1)),
        When(closed, then=Value(4)),
        When(standing__in=[Standing.FAILED_AND_RUNNING, Standing.FAILED], then=Value(0)),
        When(running, then=Value(1)),
        When(standing=Standing.UNMADE, then=Value(2)),
        default=Value(3),
    )
    return Generated(expression=place, output_field=PositiveSmallIntegerField())
