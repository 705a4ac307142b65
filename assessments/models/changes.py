"""When the data behind the documents last changed, part by part, so that a document can say that it is out of date."""

from functools import partial
from typing import Any

from django.db import connection, models, transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.utils import timezone

from .assessment import Assessment
from .estimate import Estimate, EstimateLine
from .photo import Photo
from .vehicle import Accessory, Damage, Tyre, Valuation, Vehicle

PARTS: dict[type[models.Model], str] = {
    Assessment: "details_changed_at",
    Vehicle: "details_changed_at",
    Valuation: "details_changed_at",
    Tyre: "details_changed_at",
    Accessory: "details_changed_at",
    Damage: "details_changed_at",
    Estimate: "estimate_changed_at",
    EstimateLine: "estimate_changed_at",
    Photo: "photos_changed_at",
}


@receiver([post_save, post_delete], dispatch_uid="data_changed")
def note_change(sender: type[models.Model], instance: models.Model, **options: Any) -> None:
    if sender in PARTS:
        pk, column = owner(instance) or 0, PARTS[sender]
        stamp(pk, column)
        if connection.in_atomic_block:
            # Again when it is seen by others: a document begun in between shows the old data.
            transaction.on_commit(partial(stamp, pk, column))


def stamp(assessment_id: int, column: str) -> None:
    Assessment.objects.filter(pk=assessment_id).update(**{column: timezone.now()})


def owner(instance: Any) -> int | None:
    match instance:
        case Assessment():
            return instance.pk
        case EstimateLine():
            # While an estimate is being deleted with its lines, it cannot be asked for any more.
            found = Estimate.objects.filter(pk=instance.estimate_id).values_list("assessment_id", flat=True)
            return found.first()
        case _:
            return int(instance.assessment_id)
