"""The event stream of one viewer, made by django-eventstream."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import StreamingHttpResponse
from django_eventstream.eventrequest import EventRequest
from django_eventstream.utils import sse_encode_error
from django_eventstream.views import stream

from .changes import up_to_date
from .relay import relay
from .viewers import Viewer


def watch(user: AbstractBaseUser, session_key: str, number: str) -> Viewer:
    """Begin to watch an assessment. Raises TooManyStreams."""
    viewer = Viewer(user, session_key, number)
    relay.start()
    return viewer


async def events_for(viewer: Viewer, since: int, current: int) -> AsyncIterator[str]:
    """Yield a viewer's events after the revision ``since``, until the viewer is dismissed.

    ``current`` is the assessment's revision, which the door has just read.
    """
    # Not made of the HTTP request, from which the library reads parameters that clients must not set.
    request = EventRequest()
    request.is_next = False
    request.user = viewer
    request.channels = viewer.channels
    request.channel_last_ids = {viewer.number: since}
    viewer.since = since
    up_to_date.set((viewer.number, current))
    try:
        async with aclosing(stream(request, viewer)) as texts:
            async for text in texts:
                if up_to_date.get():
                    # The library listens from now on. The relay finds what has changed since the door's read.
                    up_to_date.set(None)
                    relay.enter(viewer.number)
                if viewer.dismissed:
                    break
                if unsent := viewer.unsent(text):
                    yield unsent
                # The next text may come in an hour. Until then this text must not take memory.
                del text, unsent
        if viewer.dismissed:
            yield sse_encode_error("forbidden", "You may no longer watch this assessment.")
    finally:
        viewer.leave()


def event_stream(content: AsyncIterator[str]) -> StreamingHttpResponse:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingHttpResponse(content, content_type="text/event-stream", headers=headers)
