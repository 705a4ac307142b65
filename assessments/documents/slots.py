"""The step for the migration of a new kind of document."""

from typing import Any

from .kinds import SLUGS


def open_slots(apps: Any, schema_editor: Any) -> None:
    """Give each assessment an empty document of each kind that is missing, and all documents their positions."""
    slots = apps.get_model("assessments", "Document").objects
    for position, slug in enumerate(SLUGS):
        slots.filter(kind=slug).exclude(position=position).update(position=position)
        without = apps.get_model("assessments", "Assessment").objects.exclude(documents__kind=slug)
        new = (
            slots.model(assessment_id=pk, kind=slug, position=position) for pk in without.values_list("pk", flat=True)
        )
        slots.bulk_create(new, batch_size=1000)
