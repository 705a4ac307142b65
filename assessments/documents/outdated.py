"""The documents that are out of date: a new file would print other data than their current file.

A version keeps a digest of each part of the data that it shows. The digests are compared when data has changed, when a
document was made while data changed, and when a page is opened. The document's row keeps the result, for lists and
streams.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from django.apps import apps
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Exists, F, Model, OuterRef, Prefetch, Q, QuerySet
from django.db.models.functions import Now
from django.db.models.signals import post_delete, post_save
from django.tasks import task
from django.utils.text import capfirst, get_text_list

from assessments import models
from assessments.models.slots import Superseded, document_changed
from assessments.words import counted

from . import snapshot
from .kinds import KINDS, Kind

# Assessments that one task compares. The number is small, so that other tasks get their turn soon.
AT_ONCE = 50
# The newest assessments of a shared row that are compared without a task. Their pages may be open, and all workers may
# be busy. One takes 15 ms of processor time.
NEWEST = 10
# The most parts that a text names, and the parts that the text names in another way than the snapshot.
NAMED = 2
NAMES = {"valuation": "values", "inspection": "inspection or status"}
# The tables of rows of one assessment, each with a lookup on the assessment and the row's attribute with its value.
OWN: dict[type[Model], tuple[str, str]] = {
    models.Assessment: ("pk", "pk"),
    models.EstimateLine: ("estimate", "estimate_id"),
    **dict.fromkeys(
        (models.Vehicle, models.Valuation, models.Tyre, models.Accessory, models.Damage, models.Estimate, models.Photo),
        ("pk", "assessment_id"),
    ),
}
# The tables of rows that many assessments share, each with a filter for the assessments of a row.
SHARED: dict[type[Model], Callable[[Any], Q]] = {
    models.Client: lambda row: Q(client=row.pk),
    models.Repairer: lambda row: Q(estimate__repairer=row.pk),
    User: lambda row: Q(assessor=row.pk),
    models.Office: lambda row: Q(),
}


def compare(assessment_ids: Collection[int], kinds: Collection[Kind] = tuple(KINDS.values())) -> None:
    slugs = [kind.slug for kind in kinds]
    made = models.Document.objects.filter(current__isnull=False, kind__in=slugs).select_related("current")
    rows = snapshot.with_data(*kinds).prefetch_related(Prefetch("documents", made.order_by(), to_attr="made"))
    office = models.Office.current()
    for assessment in rows.filter(pk__in=assessment_ids):
        note(assessment, assessment.made, office)


def note(assessment: models.Assessment, documents: Iterable[models.Document], office: models.Office) -> bool:
    """Record on documents which data of the assessment has changed; return whether any row was updated."""
    noted = False
    for document in documents:
        # A version from before digests were kept cannot be compared: its document's row stays as it is.
        if document.current is None or not (known := document.current.digests):
            continue
        now = snapshot.digests(snapshot.of(assessment, document.entry, office))
        words = in_words([part for part in now if now[part] != known.get(part)])
        if words == document.outdated_by:
            continue
        unchanged = models.Document.objects.filter(
            pk=document.pk, current=document.current_id, outdated_by=document.outdated_by
        )
        with suppress(Superseded):
            unchanged.change(assessment.pk, outdated_by=words, outdated_at=Now())
            noted = True
    return noted


def in_words(parts: list[str]) -> str:
    """Return the changed parts as the beginning of a sentence, such as "Estimate and vehicle"; empty without parts."""
    names = [NAMES.get(part, part).replace("_", " ") for part in parts]
    if len(names) > NAMED:
        names = [*names[:NAMED], counted(len(names) - NAMED, "other part")]
    return capfirst(get_text_list(names, "and"))


# Changes --------------------------------------------------------------------------------------------------------------


class Changed(threading.local):
    """The assessments whose own rows were changed in the present transaction of this thread.

    They are kept by the column that has the revision of such a change, and by the lookup in OWN.

    The changes of a rolled-back transaction stay here until the next commit, which takes them for its own, in vain.
    """

    def __init__(self) -> None:
        self.by: defaultdict[tuple[str, str], set[int]] = defaultdict(set)


changed = Changed()


def note_change(sender: type[Model], instance: Any, **options: Any) -> None:
    """Compare after the commit: the assessment of an own row at once, and the newest of a shared row.

    A worker compares the others of a shared row.
    """
    if sender in OWN:
        way, attribute = OWN[sender]
        column = "photos_revision" if sender is models.Photo else "facts_revision"
        changed.by[column, way].add(getattr(instance, attribute))
        transaction.on_commit(compare_changed, robust=True)
    elif sender in SHARED and options.get("update_fields") != frozenset({"last_login"}):
        shared = partial(compare_shared.enqueue, sender._meta.label, instance.pk)
        transaction.on_commit(shared, robust=True)
        transaction.on_commit(partial(compare_newest, sender, instance.pk), robust=True)


def compare_changed() -> None:
    """Compare once for all changes of a transaction: the first call after the commit takes all changes."""
    rows, changed.by = changed.by, defaultdict(set)
    found: defaultdict[int, set[str]] = defaultdict(set)
    for (column, way), ids in rows.items():
        for assessment_id in models.Assessment.objects.filter(**{f"{way}__in": ids}).values_list("pk", flat=True):
            found[assessment_id].add(column)
    for assessment_id, columns in found.items():
        newer = F("revision") + 1
        models.Assessment.objects.filter(pk=assessment_id).update(revision=newer, **dict.fromkeys(columns, newer))
    if found:
        document_changed.send(models.Document, assessment_ids=list(found))
        changed_in(list(with_documents().filter(pk__in=found).values_list("pk", flat=True)))


def sharing(model: type[Model], row: int) -> QuerySet[models.Assessment]:
    return with_documents().filter(SHARED[model](model(pk=row)))


def compare_newest(model: type[Model], row: int) -> None:
    changed_in(list(sharing(model, row).order_by("-pk").values_list("pk", flat=True)[:NEWEST]))


# Before documents: a bulk request has a task for each of its assessments, and a mark must not wait for all of these.
@task(priority=10)
def compare_shared(label: str, row: int, after: int = 0) -> None:
    """Compare some assessments that a shared row is part of, and leave the others to a further task."""
    whose = sharing(apps.get_model(label), row).filter(pk__gt=after).order_by("pk")
    ids = list(whose.values_list("pk", flat=True)[:AT_ONCE])
    changed_in(ids)
    if len(ids) == AT_ONCE:
        compare_shared.enqueue(label, row, ids[-1])


def with_documents() -> QuerySet[models.Assessment]:
    """Return the assessments that have a document which is made, or is being made."""
    made = Q(current__isnull=False) | Q(status=models.Document.Status.PROCESSING)
    return models.Assessment.objects.filter(Exists(models.Document.objects.filter(made, assessment=OuterRef("pk"))))


def changed_in(assessment_ids: Collection[int]) -> None:
    """Compare after a change of data. A document that is being made may show the data from before: note that, too.

    The note comes first: a document that is finished before the note is compared here, and one that is finished after
    it is compared by its worker.
    """
    models.Document.objects.processing().filter(assessment__in=assessment_ids).update(data_changed_at=Now())
    compare(assessment_ids)


def compare_made(attempt: models.Attempt) -> None:
    """Compare a document that was just made, if data has changed since it was begun."""
    changed = models.Document.objects.filter(pk=attempt.document_id, data_changed_at__gte=F("started_at"))
    if changed.exists():
        compare([attempt.document.assessment_id], [attempt.document.entry])


def connect() -> None:
    for signal in (post_save, post_delete):
        signal.connect(note_change, dispatch_uid="outdated")
