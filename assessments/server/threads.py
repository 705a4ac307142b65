"""Threads for requests: no request keeps a thread or a connection longer than it needs it."""

import asyncio
import re
from typing import Any

from asgiref.sync import ThreadSensitiveContext
from channels.routing import ProtocolTypeRouter
from django.db import connections

from assessments.connections import own_thread
from assessments.live.threads import STREAM_THREAD

from .request_log import RequestLog

# The event stream, the JSON stream and the downloads: responses that may take as long as their reader likes.
# Never one that writes: it may wait for a lock, and all streams with it.
LASTING = re.compile(r"(GET|HEAD) /assessments/[^/]+/(events|documents/[^/]+)/|POST /api/[^/]+")
# Uploads of photos. More than a few at once are stored no sooner, and each page would wait for its turn among them.
UPLOAD = re.compile(r"POST /assessments/[^/]+/photos/")
UPLOADS_AT_ONCE = asyncio.Semaphore(4)


class Threads:
    """Gives each request a thread for its synchronous parts; requests whose responses last share one.

    Django keeps a request's thread, and its connection, until the response has been sent: a thousand open streams would
    hold a thousand threads, each with a connection. Here a connection is closed before that, as a reader may be slow.
    """

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        asked = f"{scope['method']} {scope['path']}"
        if LASTING.fullmatch(asked):
            async with ThreadSensitiveContext(executor=STREAM_THREAD):
                await self.application(scope, receive, send)
        elif UPLOAD.fullmatch(asked):
            async with UPLOADS_AT_ONCE:
                await self.run_in_own_thread(scope, receive, send)
        else:
            await self.run_in_own_thread(scope, receive, send)

    async def run_in_own_thread(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        with own_thread("request") as thread:

            async def send_on(message: dict[str, Any]) -> None:
                if message["type"] == "http.response.start":
                    thread.submit(connections.close_all)
                await send(message)

            async with ThreadSensitiveContext(executor=thread):
                await self.application(scope, receive, send_on)


def around(django_application: Any) -> ProtocolTypeRouter:
    """Return the ASGI application that the server runs."""
    return ProtocolTypeRouter({"http": RequestLog(Threads(django_application))})
