"""The states of an assessment, and the steps that each state allows."""

from django.db.models import TextChoices


class Status(TextChoices):
    IN_PROGRESS = "in_progress", "In progress"
    SUBMITTED = "submitted", "Submitted"
    ARCHIVED = "archived", "Archived"
    CANCELLED = "cancelled", "Cancelled"


class Step(TextChoices):
    """A step that depends on the state. The label says that it is refused."""

    PHOTOS = "photos", "no photos can be added"
    RATES = "rates", "the rates of its estimate are frozen"
    DOCUMENTS = "documents", "no documents can be made"


# Running documents can be cancelled, and files can be read, in every state.
ALLOWED: dict[str, frozenset[Step]] = {
    Status.IN_PROGRESS: frozenset(Step),
    # The office sends the documents of a submitted assessment, so a failed document can be made again.
    Status.SUBMITTED: frozenset({Step.DOCUMENTS}),
    Status.ARCHIVED: frozenset(),
    Status.CANCELLED: frozenset(),
}


class NotAllowed(Exception):  # noqa: N818
    """The state of an assessment does not allow a step. The text says why, and what to do, in the user's words."""


def allowing(step: Step) -> list[str]:
    return [status for status, steps in ALLOWED.items() if step in steps]


def refusal(status: str, step: Step) -> str:
    """Return why a state does not allow a step, and what to do; empty when the state allows the step."""
    if step in ALLOWED[status]:
        return ""
    state = Status(status).label.lower()
    return f"This assessment is {state}, so {step.label}. The office can set it back to in progress."
