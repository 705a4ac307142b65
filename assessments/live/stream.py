"""The event stream of one viewer, made by django-eventstream."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import aclosing

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import StreamingHttpResponse
from django_eventstream.eventrequest import EventRequest
from django_eventstream.utils import sse_encode_error
from django_eventstream.views import stream

from .changes import up_to_date
from .relay import relay
from .viewers import TooManyStreams, Viewer


def watch(user: AbstractBaseUser, session_key: str, *numbers: str) -> list[Viewer]:
    """Begin to watch assessments. Raises TooManyStreams, and then watches none of them."""
    viewers: list[Viewer] = []
    try:
        for number in numbers:
            viewers.append(Viewer(user, session_key, number))
    except TooManyStreams:
        for viewer in viewers:
            viewer.leave()
        raise
    relay.start()
    return viewers


async def events_for(viewer: Viewer, since: int, current: int) -> AsyncGenerator[str]:
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


async def together(streams: Collection[AsyncGenerator[str]]) -> AsyncGenerator[str]:
    """Yield the events of several streams as they come, until one of the streams ends."""
    # The short queue makes the streams wait for a slow reader.
    texts: asyncio.Queue[str | Exception | None] = asyncio.Queue(1)

    async def pass_on(stream: AsyncGenerator[str]) -> None:
        try:
            async with aclosing(stream):
                async for text in stream:
                    await texts.put(text)
        except Exception as error:
            await texts.put(error)
        else:
            await texts.put(None)

    tasks = [asyncio.create_task(pass_on(stream)) for stream in streams]
    try:
        while isinstance(text := await texts.get(), str):
            yield text
        if text:
            raise text
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def event_stream(content: AsyncIterator[str]) -> StreamingHttpResponse:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingHttpResponse(content, content_type="text/event-stream", headers=headers)
