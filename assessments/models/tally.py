"""The counts of documents and attempts, kept so that nobody has to count all of them again."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from django.db import models, transaction
from django.db.models import Count, F, Sum, Value
from django.db.models.functions import Coalesce

from .assessment import Assessment
from .attempt import Attempt
from .document import Document

# The rows that are counted in one transaction, so that no other writer waits long.
CHUNK = 500


class Tally(models.Model):
    """How many documents of a kind have a status, or attempts an outcome, of those that are counted so far.

    A row says itself how it is counted, if at all. So the present counts are the tally and the few rows that have
    changed since, which an index finds; and nothing is written to a tally while a document is made.
    """

    class Subject(models.TextChoices):
        DOCUMENT = "document", "Documents"
        ATTEMPT = "attempt", "Ended attempts"

    subject = models.CharField(max_length=12, choices=Subject)
    kind = models.CharField(max_length=40)
    state = models.CharField(max_length=24)
    count = models.BigIntegerField(default=0)
    # The sum of the seconds that are known, and of how many attempts.
    timed = models.BigIntegerField(default=0)
    seconds = models.FloatField(default=0.0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subject", "kind", "state"], name="tally_once")]

    def __str__(self) -> str:
        return f"{self.subject} {self.kind} {self.state}: {self.count}"

    @classmethod
    def of_documents(cls) -> Counter[tuple[str, str]]:
        """Return the present count of documents by kind and status."""
        changed = Document.objects.filter(uncounted=True).order_by()
        kept = cls.objects.filter(subject=cls.Subject.DOCUMENT).values_list("kind", "state", Value(""), "count")
        # One statement, so that no row is counted twice or not at all while others count.
        rows = kept.union(changed.values_list("kind", "status", "counted_as").annotate(number=Count("pk")), all=True)
        counts = Counter[tuple[str, str]]()
        for kind, status, counted_as, number in rows:
            counts[kind, status] += number
            if counted_as:
                counts[kind, counted_as] -= number
        return +counts

    @classmethod
    def of_attempts(cls) -> dict[tuple[str, str], list[Any]]:
        """Return by kind and outcome: the present count of ended attempts, how many have a time, and its sum."""
        facts = {"count": Count("pk"), "timed": Count("seconds"), "total": Coalesce(Sum("seconds"), 0.0)}
        new = Attempt.objects.uncounted().order_by().values_list("document__kind", "outcome").annotate(**facts)
        kept = cls.objects.filter(subject=cls.Subject.ATTEMPT)
        rows = kept.values_list("kind", "state", "count", "timed", "seconds").union(new, all=True)
        found: dict[tuple[str, str], list[Any]] = {}
        for kind, outcome, *numbers in rows:
            sums = found.setdefault((kind, outcome), [0, 0, 0.0])
            sums[:] = (one + other for one, other in zip(sums, numbers, strict=True))
        return found

    @classmethod
    def count_changes(cls) -> None:
        """Count the rows that have changed since they were counted."""
        while cls._count_documents():
            pass
        while cls._count_attempts():
            pass

    @classmethod
    def _count_documents(cls) -> bool:
        with transaction.atomic():
            changed = (
                Document.objects.filter(uncounted=True).order_by().select_for_update(skip_locked=True, no_key=True)
            )
            rows = list(changed.values_list("pk", "assessment", "kind", "status", "counted_as")[:CHUNK])
            Document.objects.filter(pk__in=[row[0] for row in rows]).update(counted_as=F("status"))
            cls._add(cls.Subject.DOCUMENT, _differences(rows))
        # A machine with the version before this one does not note how the documents stand.
        with transaction.atomic():
            Document.objects.settle(Assessment.objects.filter(pk__in={row[1] for row in rows}).lock_free())
        return len(rows) == CHUNK

    @classmethod
    def _count_attempts(cls) -> bool:
        with transaction.atomic():
            ended = Attempt.objects.uncounted().order_by().select_for_update(of=["self"], skip_locked=True, no_key=True)
            rows = list(ended.values_list("pk", "document__kind", "outcome", "seconds")[:CHUNK])
            Attempt.objects.filter(pk__in=[row[0] for row in rows]).update(counted=True)
            cls._add(cls.Subject.ATTEMPT, ((*row[1:], 1) for row in rows))
        return len(rows) == CHUNK

    @classmethod
    def count_out(cls, assessment: Assessment) -> None:
        """Take the documents of an assessment out of the count before they are removed; their attempts stay counted."""
        documents = Document.objects.filter(assessment=assessment).order_by().select_for_update(no_key=True)
        attempts = Attempt.objects.uncounted().filter(document__assessment=assessment).order_by()
        counted = list(documents.values_list("kind", "counted_as"))
        cls._add(cls.Subject.DOCUMENT, ((kind, status, None, -1) for kind, status in counted if status))
        rows = attempts.values_list("document__kind", "outcome", "seconds", Value(1))
        cls._add(cls.Subject.ATTEMPT, rows)

    @classmethod
    def _add(cls, subject: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Add rows of a kind, a state, the seconds of an attempt if it has any, and the number to be added."""
        sums: dict[tuple[str, str], list[Any]] = {}
        for kind, state, seconds, number in rows:
            found = sums.setdefault((kind, state), [0, 0, 0.0])
            found[0] += number
            found[1] += seconds is not None
            found[2] += seconds or 0.0
        # All writers take the rows in one order, as otherwise two could wait for each other.
        for (kind, state), (count, timed, total) in sorted(sums.items()):
            row, _ = cls.objects.get_or_create(subject=subject, kind=kind, state=state)
            more = {"count": F("count") + count, "timed": F("timed") + timed, "seconds": F("seconds") + total}
            cls.objects.filter(pk=row.pk).update(**more)


def _differences(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    for _, _, kind, status, counted_as in rows:
        yield kind, status, None, 1
        if counted_as:
            yield kind, counted_as, None, -1
