"""The threads of requests: a request keeps a thread and a connection only as long as it needs them."""

import asyncio
import re
from typing import Any

from asgiref.sync import ThreadSensitiveContext
from channels.routing import ProtocolTypeRouter
from django.conf import settings
from django.db import connections

from assessments.connections import own_thread
from assessments.live.threads import STREAM_THREAD

from .handlers import PageHandler, StreamHandler
from .request_log import PROBES, RequestLog

# The event stream, the JSON stream and the downloads: responses that last as long as their reader takes.
# These requests must not write in their shared thread: a write may wait for a lock, and all streams would wait with it.
STREAM = re.compile(r"GET /assessments/[^/]+/events/")
LASTING = re.compile(r"(GET|HEAD) /assessments/[^/]+/(events|documents/[^/]+)/|POST /api/[^/]+")
# Uploads of photos. Storing more than a few at once is no faster, and each page would wait for its turn among them.
UPLOAD = re.compile(r"POST /assessments/[^/]+/photos/")
UPLOADS_AT_ONCE = asyncio.Semaphore(4)
# The address at which a proxy asks before each request whether this process lives: the answer takes no thread.
LIVE = "/livez"


class Threads:
    """Gives each request a thread for its synchronous parts; all requests with lasting responses share one thread.

    Django keeps a request's thread and connection until the response has been sent: a thousand open streams would hold
    a thousand threads and connections. Here a connection is closed before the response is sent: its reader may be slow.
    """

    def __init__(self, application: Any) -> None:
        self.application = application
        self.streams, self.pages = StreamHandler(), PageHandler()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        asked = f"{scope['method']} {scope['path']}"
        if scope["path"] == LIVE:
            await send({"type": "http.response.start", "status": 204, "headers": [(b"Cache-Control", b"no-store")]})
            await send({"type": "http.response.body"})
        elif STREAM.fullmatch(asked):
            async with ThreadSensitiveContext(executor=STREAM_THREAD):
                await self.streams(scope, receive, send)
        elif LASTING.fullmatch(asked):
            async with ThreadSensitiveContext(executor=STREAM_THREAD):
                await self.application(scope, receive, send)
        elif UPLOAD.fullmatch(asked):
            async with UPLOADS_AT_ONCE:
                await self.run_in_own_thread(self.pages, scope, receive, send)
        elif scope["path"] in PROBES or scope["path"].startswith(settings.STATIC_URL):
            await self.run_in_own_thread(self.application, scope, receive, send)
        else:
            await self.run_in_own_thread(self.pages, scope, receive, send)

    async def run_in_own_thread(self, application: Any, scope: dict[str, Any], receive: Any, send: Any) -> None:
        with own_thread("request") as thread:

            async def send_on(message: dict[str, Any]) -> None:
                if message["type"] == "http.response.start":
                    thread.submit(connections.close_all)
                await send(message)

            async with ThreadSensitiveContext(executor=thread):
                await application(scope, receive, send_on)


def around(django_application: Any) -> ProtocolTypeRouter:
    """Return the ASGI application that the server runs."""
    return ProtocolTypeRouter({"http": RequestLog(Threads(django_application))})
