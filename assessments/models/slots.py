"""The queries for documents' slots, and the changes of their states with the revision of their assessment."""

from collections import defaultdict
from collections.abc import Collection
from functools import partial
from typing import Any, Self

from django.db import models, transaction
from django.db.models import Case, Exists, F, OuterRef, Q, Subquery, When
from django.db.models.functions import Now
from django.dispatch import Signal

from assessments.documents.kinds import SLUGS

from .assessment import Assessment
from .urgency import together

# Sent after commit, with ``assessment_ids``, whenever documents of those assessments changed.
document_changed = Signal()


class Superseded(Exception):  # noqa: N818
    """The row was no longer in the state that the change requires. Nothing was written."""


class DocumentQuerySet(models.QuerySet[Any]):
    def active(self) -> Self:
        return self.filter(status__in=self.model.ACTIVE)

    def pending(self) -> Self:
        return self.filter(status=self.model.Status.PENDING)

    def wanted(self) -> Self:
        """Return the active documents that nobody has told to stop."""
        return self.active().filter(cancel_requested_at=None)

    def stopping(self) -> Self:
        return self.processing().exclude(cancel_requested_at=None)

    def processing(self) -> Self:
        return self.filter(status=self.model.Status.PROCESSING)

    def failed(self) -> Self:
        return self.filter(status=self.model.Status.ERROR)

    def outdated(self) -> Self:
        return self.filter(self.model.is_outdated())

    def for_list(self) -> Self:
        """Return the documents in their order, each with what its mark in a list says."""
        return self.select_related("current").defer("current__digests", "current__message").order_by("position")

    def expired(self) -> Self:
        return self.processing().filter(lease_expires_at__lt=Now())

    def change(self, assessment_id: int, **values: Any) -> None:
        """Change the one document that this query set finds in the assessment, and add one to the revision.

        The revision is updated first: its row lock puts all changes of an assessment in one order, so no revision is
        given twice or seen out of order. Raises Superseded, and changes nothing, when no document is found.
        """
        with transaction.atomic():
            Assessment.objects.filter(pk=assessment_id).update(revision=F("revision") + 1)
            revision = Assessment.objects.filter(pk=assessment_id).values("revision")
            if self.filter(assessment_id=assessment_id).update(revision=Subquery(revision), **values) != 1:
                raise Superseded
            if "status" in values:
                self.settle([assessment_id])
            transaction.on_commit(partial(document_changed.send, self.model, assessment_ids=[assessment_id]))

    def change_many(self, assessment_ids: Collection[int], **values: Any) -> dict[int, list[str]]:
        """Change all documents that this query set finds in some assessments; return the changed kinds, by assessment.

        The result is the same as of change() for one document after another, with a few statements. The caller must
        have locked the assessments' rows: other changes of the documents lock the same rows, and come before or after.
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
                # Each document gets a revision of its own, in their order; the last one gets the assessment's revision.
                behind = Case(*(When(kind=kind, then=number) for number, kind in enumerate(reversed(changed))))
                self.filter(assessment__in=ids, kind__in=changed).update(revision=Subquery(revision) - behind, **values)
            if "status" in values:
                self.settle(found)
            if found:
                transaction.on_commit(partial(document_changed.send, self.model, assessment_ids=list(found)))
        return dict(found)

    def open_slots(self, assessment: Assessment) -> None:
        self.bulk_create(
            self.model(assessment=assessment, kind=kind, position=position) for position, kind in enumerate(SLUGS)
        )

    def outstanding(self) -> Self:
        """Return the documents of a request for all: all except those that a running batch has already ended."""
        running = self.model._default_manager.all().wanted().filter(assessment=OuterRef("assessment"))
        failed = Q(Exists(running.filter(batch=OuterRef("batch"))), status=self.model.Status.ERROR)
        made = Q(Exists(running.filter(batch=OuterRef("current__batch"))), status=self.model.Status.SUCCESS)
        return self.exclude(failed | made)

    def settle(self, assessment_ids: Collection[int]) -> None:
        """Note on assessments how their documents now stand. The caller must have locked the assessments' rows."""
        standing = together(self.model._default_manager.filter(assessment=OuterRef("pk")))
        Assessment.objects.filter(~Q(standing=standing), pk__in=assessment_ids).update(standing=standing)
