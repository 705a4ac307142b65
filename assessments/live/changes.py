"""The changes of documents, as the events of django-eventstream.

Nothing is stored for the stream. The events of an assessment since revision N are its documents with a higher
revision, each rendered in its present state with its revision as event id. So Last-Event-ID resumes exactly, a slow
client skips outdated states, and there is no log to trim.
"""

import re
import time
from contextvars import ContextVar
from typing import Any

from django.db.models.functions import Now
from django.http import HttpRequest
from django_eventstream.channelmanager import ChannelManagerBase
from django_eventstream.event import Event
from django_eventstream.storage import StorageBase

from assessments.documents import panel
from assessments.models import Assessment, Document
from assessments.models.assessment import EVENT_ID, AssessmentQuerySet

# The assessment and the revision of a stream that begins at the revision which the door has just read.
up_to_date: ContextVar[tuple[str, int] | None] = ContextVar("up_to_date", default=None)

# The revision in an event's id.
EVENT_REVISION = re.compile(rf"^id: ?{EVENT_ID.pattern}$", re.ASCII | re.MULTILINE)


class AssessmentChannels(ChannelManagerBase):
    """One channel per assessment, named by its number. The path of the URL chooses it, never a query parameter."""

    def get_channels_for_request(self, request: HttpRequest, view_kwargs: dict[str, Any]) -> set[str]:
        return {view_kwargs["channel"]}

    def can_read_channel(self, user: Any, channel: str) -> bool:
        """Return whether a viewer may go on: the door has checked the right to the stream, and the guard checks it."""
        return user is not None and channel == user.number and not user.dismissed

    def is_channel_reliable(self, channel: str) -> bool:
        return True


class DocumentStorage(StorageBase):
    """Reads events from the documents; has nothing to append and nothing to trim."""

    def get_events(self, channel: str, last_id: int, limit: int = 100) -> "list[Change]":
        if (channel, last_id) == up_to_date.get():
            return []
        _, changes = read_news(Assessment.objects.filter(number=channel), {channel: last_id})
        return changes.get(channel, [])[:limit]

    def get_current_id(self, channel: str) -> int:
        return Assessment.objects.values_list("revision", flat=True).get(number=channel)


class Change(Event):
    """A document's change. ``ended_at`` is when its end was, by this process's monotonic clock; None for no end.

    The event of a document has no name. The event of saved data has one, for those who read documents alone.
    """

    def __init__(self, number: str, data: str, revision: int, ended_at: float | None, name: str = "") -> None:
        super().__init__(number, name, data, revision)  # type: ignore[arg-type]
        self.ended_at = ended_at


def read_news(assessments: AssessmentQuerySet, since: dict[str, int]) -> tuple[dict[str, int], dict[str, list[Change]]]:
    """Return the present revisions of some assessments, and the changes of those that have any; both by number.

    Only assessments in ``since`` have changes: those after their revision in ``since``. Each document is rendered once.
    There is one query for the revisions, and one panel.load() for all changed assessments. A revision from the future,
    as after a restored back-up, counts as 0.
    """
    revisions: dict[str, int] = {}
    behind: dict[int, int] = {}
    ahead = 0.0
    for pk, number, revision, now in assessments.order_by().values_list("pk", "number", "revision", Now()):
        revisions[number] = revision
        ahead = now.timestamp() - time.monotonic()
        if since.get(number, revision) != revision:
            behind[pk] = since[number] if since[number] < revision else 0
    changes: dict[str, list[Change]] = {}
    for pk, view in panel.load(behind).items():
        number = view.assessment.number
        # Another change may have come since the query for revisions. The panel is of one later moment, and includes it.
        revisions[number] = view.revision
        changed = [document for document in view.documents if document.revision > behind[pk]]
        changes[number] = [
            Change(number, panel.change(view, [document]), document.revision, ended_at(document, ahead))
            for document in sorted(changed, key=lambda document: document.revision)
        ]
        # A later change of a document tells the page of saved data, too.
        if view.saved > max([behind[pk], *(document.revision for document in changed)]):
            changes[number].append(Change(number, panel.data_change(view), view.saved, None, "saved"))
    return revisions, changes


def ended_at(document: Document, ahead: float) -> float | None:
    """Return when a document ended, by a clock ``ahead`` seconds behind the database's.

    Return None for a document that has not ended, and for one whose last change is its mark as out of date.
    """
    if document.active or document.ended_at is None or (document.outdated_at or document.ended_at) > document.ended_at:
        return None
    return document.ended_at.timestamp() - ahead
