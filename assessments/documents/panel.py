"""The Documents panel of an assessment, in words: the same rows for the page, the fragment and the event.

This module reads documents and writes nothing. The HTML needs no request, so a change is rendered once for all viewers.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import count, groupby

from django.contrib.humanize.templatetags.humanize import apnumber
from django.db.models.functions import Now
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.text import capfirst

from assessments.models import Assessment, Document, Heartbeat
from assessments.models.lease import read_at
from assessments.models.states import Step
from assessments.words import ready

from .kinds import percent_done
from .panel_words import (
    about,
    cancelled_words,
    day_words,
    failed_words,
    made_words,
    missing_words,
    outdated_words,
    place_words,
    was_set_aside,
)

TEMPLATE = "assessments/panel.html"
NO_WORKER = "No worker is running; this starts as soon as one does"

Status = Document.Status

# The columns that a panel does not need. They are long, and the relay reads panels many times a second.
UNSEEN = [
    f"assessment__{field.name}"
    for field in Assessment._meta.concrete_fields
    if field.name not in {"id", "number", "revision", "facts_revision", "photos_revision", "status"}
]


@dataclass(frozen=True, slots=True)
class Row:
    """One document. ``message`` is the text that matters most now; ``note`` (often empty) is a further one."""

    document: Document
    message: str
    note: str = ""
    left: float | None = None

    @property
    def progress(self) -> int | None:
        """The progress in per cent; None while the progress is not known."""
        if self.document.status == Status.PROCESSING:
            return self.document.progress
        return self.document.progress or 0

    @property
    def reference(self) -> str:
        return self.document.reference if self.document.status == Status.ERROR else ""

    @property
    def in_line(self) -> bool:
        """Whether the message is the place in the line."""
        return self.document.status == Status.PENDING and self.message != NO_WORKER

    @property
    def ready(self) -> bool:
        return self.document.status == Status.SUCCESS and self.document.current is not None

    @property
    def older(self) -> str:
        """The name of the older file that people can read while there is no newer one; empty without such a file."""
        version = self.document.current
        if version is None or self.ready:
            return ""
        return f"Version {version.number} of {day_words(version.made_at, read_at(self.document))}"


@dataclass(frozen=True, slots=True)
class Panel:
    """All documents of one assessment, in their order."""

    assessment: Assessment
    rows: tuple[Row, ...]

    @property
    def documents(self) -> list[Document]:
        return [row.document for row in self.rows]

    @property
    def revision(self) -> int:
        return self.assessment.revision

    @property
    def saved(self) -> int:
        """The revision of the last saved data."""
        return max(self.assessment.facts_revision, self.assessment.photos_revision)

    @property
    def closed(self) -> str:
        """Why the state of the assessment allows no new documents; empty when it does."""
        return self.assessment.refusal(Step.DOCUMENTS)

    @property
    def active(self) -> list[Document]:
        return [document for document in self.documents if document.active]

    @property
    def waiting(self) -> bool:
        """Whether documents wait and none is being made."""
        return any(self.active) and not any(document.status == Status.PROCESSING for document in self.active)

    @property
    def stopping(self) -> bool:
        return all(document.cancel_requested_at for document in self.active)

    @property
    def ready(self) -> int:
        return sum(document.status == Status.SUCCESS for document in self.documents)

    @property
    def failed(self) -> int:
        return sum(document.status == Status.ERROR for document in self.documents)

    @property
    def outcome(self) -> str:
        """One of "idle", "processing", "complete", "partial" and "failed"."""
        if self.active:
            return "processing"
        if self.ready == len(self.rows):
            return "complete"
        if self.failed:
            return "partial" if self.ready else "failed"
        return "idle"

    @property
    def outdated(self) -> int:
        return sum(document.outdated for document in self.documents)

    @property
    def missing(self) -> int:
        return sum(document.missing for document in self.documents)

    @property
    def percent(self) -> int:
        ended = sum(document.status in {Status.SUCCESS, Status.ERROR} for document in self.documents)
        running = sum(document.progress or 0 for document in self.documents if document.status == Status.PROCESSING)
        return percent_done(ended, running, len(self.rows))

    @property
    def words(self) -> str:
        return ready(self.ready, len(self.rows), self.failed, outdated=self.outdated, missing=self.missing)

    @property
    def left(self) -> str:
        """The time left in words; empty unless this site's history has a time for every active document."""
        lefts = [row.left for row in self.rows if row.document.active]
        known = [left for left in lefts if left is not None]
        return about(sum(known)) if known and len(known) == len(lefts) and not self.waiting else ""

    @property
    def title(self) -> str:
        return f"{self.ready}/{len(self.rows)} - {self.assessment.number}"

    @property
    def announcement(self) -> str:
        """The text of the live region: the last end of a document. The text changes only when a document ends."""
        if self.outcome == "complete" and not any(was_set_aside(document) for document in self.documents):
            return f"All {apnumber(len(self.rows))} documents ready{missing_words(self.missing)}"
        running = {document.batch_id for document in self.active}
        ended = [document for document in self.documents if not document.active and document.ended_at]
        if running:
            ended = [document for document in ended if document.batch_id in running]
        if not ended:
            return ""
        text = ending(max(ended, key=lambda document: document.revision))
        return f"{text.rstrip('.')}. {self.words}" if self.failed and not running else text

    @property
    def events_url(self) -> str:
        """The address of the stream of changes after this panel was read."""
        number = self.assessment.number
        return f"{reverse('assessments:events', args=[number])}?lastEventId={number}:{self.revision}"


def load(assessment_ids: Iterable[int]) -> dict[int, Panel]:
    """Return the panels of some assessments, by id, with one query, and with a second query when a document waits."""
    ids = list(assessment_ids)
    if not ids:
        return {}
    documents = list(
        Document.objects.filter(assessment__in=ids)
        .select_related("assessment", "current__made_by")
        .annotate(read_at=Now())
        .defer(*UNSEEN)
        .order_by("assessment_id", "position")
    )
    waiting = any(document.status == Status.PENDING for document in documents)
    workers = Heartbeat.alive(Heartbeat.Role.WORKER) if waiting else 0
    return {
        assessment_id: Panel(slots[0].assessment, rows_of(slots, workers))
        for assessment_id, slots in (
            (key, list(group)) for key, group in groupby(documents, lambda document: document.assessment_id)
        )
    }


def everything(panel: Panel) -> str:
    """Return the HTML of the whole panel as it is now, to be swapped in out of band."""
    return render(panel, panel.rows, panel.revision)


def data_change(panel: Panel) -> str:
    """Return the HTML of an event about saved data: failed rows say so, as the cause of the failure may be gone."""
    failed = {document.kind for document in panel.documents if document.status == Status.ERROR}
    return render(panel, rows_with(panel, failed), panel.saved)


def change(panel: Panel, documents: Collection[Document]) -> str:
    """Return the HTML of an event: the summary, the changed rows, and waiting rows, as their place may have changed.

    Its revision is that of the documents. A page that got this and no more has still to get the later changes.
    """
    rows = rows_with(panel, {document.kind for document in documents})
    return render(panel, rows, max(document.revision for document in documents))


def rows_with(panel: Panel, kinds: Collection[str]) -> list[Row]:
    """Return the rows of some kinds, and the waiting rows."""
    return [row for row in panel.rows if row.document.kind in kinds or row.document.status == Status.PENDING]


def render(panel: Panel, rows: Iterable[Row], revision: int) -> str:
    return render_to_string(f"{TEMPLATE}#change", {"panel": panel, "rows": rows, "revision": revision, "oob": True})


# The rows ---------------------------------------------------------------------------------------------------------


def rows_of(documents: list[Document], workers: int) -> tuple[Row, ...]:
    places = count(1)
    return tuple(row_of(document, places, workers) for document in documents)


def row_of(document: Document, places: Iterator[int], workers: int) -> Row:
    match document.status:
        case Status.PENDING:
            place = place_words(next(places))
            left = document.current.seconds if document.current else None
            return Row(document, place if workers else NO_WORKER, note=document.message, left=left)
        case Status.PROCESSING:
            left = None if document.cancel_requested_at else seconds_left(document)
            message = document.message if left is None else f"{document.message} - {about(left)}"
            return Row(document, message, left=left)
        case Status.SUCCESS if document.current:
            contents, _, missing = document.current.message.partition("; ")
            facts, note = made_words(document.current, contents, read_at(document)), capfirst(missing)
            note = ". ".join(filter(None, [note, cancelled_words(document)]))
            if outdated := outdated_words(document, document.current):
                return Row(document, outdated, f"{facts}. {note}".removesuffix(". "))
            return Row(document, facts, note)
        case Status.ERROR:
            return Row(document, document.failure, failed_words(document))
    return Row(document, document.message)


def ending(document: Document) -> str:
    if was_set_aside(document):
        return "Cancelled"
    if document.status == Status.ERROR:
        return f"{document.get_kind_display()} failed: {document.error}"
    return f"{document.get_kind_display()} ready{missing_words(document.missing)}"


# Words ------------------------------------------------------------------------------------------------------------


def seconds_left(document: Document) -> float | None:
    """Return the seconds left of a running attempt, by this site's history; None when they are not known."""
    if document.expected_seconds is None or document.started_at is None:
        return None
    if document.progress is not None:
        return document.expected_seconds * (100 - document.progress) / 100
    elapsed = (read_at(document) - document.started_at).total_seconds()
    return document.expected_seconds - elapsed if elapsed < document.expected_seconds else None
