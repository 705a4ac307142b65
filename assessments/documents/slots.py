"""The step for the migration of a new kind of document."""

from collections.abc import Callable
from typing import Any

from .kinds import SLUGS


def open_slots(kind: str) -> Callable[[Any, Any], None]:
    """Return a step that gives each assessment an empty document of a kind, and all documents their positions.

    The step concerns this one kind: each kind of a later version has a migration of its own.
    """

    def step(apps: Any, schema_editor: Any) -> None:
        slots = apps.get_model("assessments", "Document").objects
        for position, slug in enumerate(SLUGS):
            slots.filter(kind=slug).exclude(position=position).update(position=position)
        if kind not in SLUGS:
            # A later version has given the kind up.
            return
        without = apps.get_model("assessments", "Assessment").objects.exclude(documents__kind=kind)
        position = SLUGS.index(kind)
        new = (
            slots.model(assessment_id=pk, kind=kind, position=position) for pk in without.values_list("pk", flat=True)
        )
        slots.bulk_create(new, batch_size=1000)

    return step
