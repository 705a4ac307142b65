"""Many assessments at once: which ones a page is about, and how far their documents are."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from django.db.models import Case, Count, Exists, F, IntegerField, OuterRef, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce

from .models import Assessment, Document

# Assessments on one page address, so that an address made up by hand cannot ask for the impossible.
LIMIT = 10_000
# Characters of an address that web servers are sure to take.
ADDRESS = 6_000

SPAN = re.compile(r"(\d{1,18})(?:-(\d{1,18}))?")


def written(ids: Iterable[int]) -> str:
    """Write ids as an address holds them: runs are short, such as ``1-500,503``."""
    ordered = sorted(set(ids))
    breaks = [index + 1 for index, (one, next_one) in enumerate(pairwise(ordered)) if next_one != one + 1]
    runs = [ordered[begin:end] for begin, end in pairwise([0, *breaks, len(ordered)])] if ordered else []
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def read(text: str) -> list[int]:
    """Read what written() wrote. Raises ValueError for anything else, and for more than LIMIT ids."""
    ids: list[int] = []
    for part in filter(None, text.split(",")):
        span = SPAN.fullmatch(part)
        first, last = (int(span[1]), int(span[2] or span[1])) if span else (1, 0)
        if first > last:
            raise ValueError(f"{part!r} is neither an assessment nor a range of them.")
        if len(ids) + last - first >= LIMIT:
            raise ValueError(f"These are more than {LIMIT} assessments.")
        ids.extend(range(first, last + 1))
    return ids


def fitting(ids: Iterable[int]) -> tuple[str, int]:
    """Write as many ids as one address takes; return them, and how many had to be left out."""
    ordered = sorted(set(ids))
    text = written(ordered[:LIMIT])
    if len(text) > ADDRESS:
        text = text[: text.rindex(",", 0, ADDRESS)]
    return text, len(ordered) - len(read(text))


def having(assessments: QuerySet[Assessment], *statuses: str) -> QuerySet[Assessment]:
    """Those of the assessments that have a document in one of the statuses."""
    return assessments.filter(Exists(Document.objects.filter(assessment=OuterRef("pk"), status__in=statuses)))


@dataclass(frozen=True, slots=True)
class Totals:
    """How far all documents of some assessments are. ``percent`` says how much of the work is behind us."""

    assessments: int
    with_failed: int
    with_active: int
    documents: int
    ready: int
    failed: int
    active: int
    percent: int

    @property
    def in_words(self) -> str:
        words = [f"{self.ready} of {self.documents} documents ready"]
        if self.failed:
            words.append(f"{self.failed} failed")
        if self.active:
            words.append(f"{self.active} waiting or being made")
        return ", ".join(words)


def totals(assessments: QuerySet[Assessment]) -> Totals:
    """Count in one query, however many assessments there are."""
    slots = Document.objects.filter(assessment__in=assessments.order_by().values("pk"))
    active, failed = Q(status__in=Document.ACTIVE), Q(status=Document.Status.ERROR)
    counts = slots.aggregate(
        assessments=Count("assessment", distinct=True),
        with_failed=Count("assessment", distinct=True, filter=failed),
        with_active=Count("assessment", distinct=True, filter=active),
        documents=Count("pk"),
        ready=Count("pk", filter=Q(status=Document.Status.SUCCESS)),
        failed=Count("pk", filter=failed),
        active=Count("pk", filter=active),
        done=Coalesce(
            Sum(
                Case(
                    When(status=Document.Status.PENDING, then=Value(0)),
                    When(status=Document.Status.PROCESSING, then=Coalesce(F("progress"), Value(0))),
                    default=Value(100),
                    output_field=IntegerField(),
                )
            ),
            Value(0),
        ),
    )
    done = counts.pop("done")
    return Totals(**counts, percent=done // counts["documents"] if counts["documents"] else 0)
