"""The requests that the web server lets in: their bodies go to disk, and nobody sends more than they may."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from io import BytesIO
from typing import IO, Any

from daphne import http_protocol
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import close_old_connections

from assessments.live.threads import in_stream_thread
from assessments.views import errors

logger = logging.getLogger(__name__)

# Bytes of a request that are handed on at a time.
PIECE = 2**20
# Where files may be sent to, by who has a session.
FILES = re.compile(rb"/assessments/[^/]+/photos/")
# How many of the largest bodies may be on the way at once, in bytes: a slow one must not fill the disk with others.
LARGEST_AT_ONCE = 4
# Seconds that a refused sender has to hear it. Who is cut off in the middle of a word does not listen.
LINGER = 10.0


class PatientRequest(http_protocol.WebRequest):
    """A request whose body goes to disk, and is refused as soon as it is too large for who sends it.

    A small one anybody may send; before more of it is read, the database is asked whether the sender is signed in.
    """

    channel: Any
    content: Any
    refused = False
    complete = False
    asking: asyncio.Future[None] | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # Twisted would read a form into memory, for itself.
        super().__init__(*arguments, parsePOSTFormSubmission=False, **options)

    def gotLength(self, length: int | None) -> None:  # noqa: N802
        super().gotLength(length)
        # There are no web sockets here; who asks for one gets the page.
        self.requestHeaders.removeHeader(b"Upgrade")
        # No proxy of ours sends it, so it is for nobody to say where the site begins.
        self.requestHeaders.removeHeader(b"Daphne-Root-Path")
        self.session = self.received_cookies.get(settings.SESSION_COOKIE_NAME.encode(), b"").decode("latin-1")
        self.limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if FILES.match(self.channel._path) and self.session.isalnum():
            self.limit = settings.REQUEST_MAX_BYTES
        self.expect(length or 0)

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        self.expect(self.content.tell() + len(data))
        if self.refused:
            return
        try:
            super().handleContentChunk(data)
        except OSError:
            self.refuse(errors.NO_ROOM)

    def expect(self, size: int) -> None:
        """Prepare for a body of that many bytes, or refuse it."""
        if size > self.limit:
            self.refuse(errors.too_large(self.limit))
        elif self.asking is None:
            if size > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
                self.server.large.add(self)
                self.channel.transport.pauseProducing()
                self.asking = asyncio.ensure_future(self.ask())
        elif sum(each.content.tell() for each in self.server.large) > LARGEST_AT_ONCE * settings.REQUEST_MAX_BYTES:
            self.refuse(errors.TOO_MUCH)

    async def ask(self) -> None:
        try:
            signed_in = await in_stream_thread(is_signed_in, self.session)
        except Exception:
            # Whatever it is, the sender must not be left waiting.
            logger.exception("It could not be seen who sends a large request")
            case: errors.Case | None = errors.TOO_MUCH
        else:
            case = None if signed_in else errors.too_large(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        if self.channel is None:
            return
        # All of it may have been there already; then it is the application's to answer.
        if case and not self.complete:
            self.refuse(case)
        self.channel.transport.resumeProducing()

    def requestReceived(self, *line: bytes) -> None:  # noqa: N802
        try:
            self.content.flush()
        except OSError:
            self.refuse(errors.NO_ROOM)
        if self.refused:
            self.channel.loseConnection()
        else:
            self.complete = True
            super().requestReceived(*line)

    def refuse(self, case: errors.Case) -> None:
        """Answer before the body is there, and keep nothing of what still comes of it."""
        if self.refused:
            return
        self.refused = True
        # What it has not written yet, it tries once more on closing.
        with suppress(OSError):
            self.content.close()
        self.content = BytesIO()
        self.clientproto = b"HTTP/1.1"
        self.setResponseCode(case.status)
        body = errors.page(case).encode()
        for name, value in {**HEADERS, b"Content-Length": str(len(body)).encode(), b"Connection": b"close"}.items():
            self.setHeader(name, value)
        self.write(body)
        self.channel.transport.loseWriteConnection()
        self.channel.callLater(LINGER, self.channel.transport.abortConnection)

    def handle_exception(self, exception: Exception) -> None:
        """End a response that failed. Half of one must not look whole; Daphne would try to begin a second one."""
        if not self._response_started:
            case = errors.case_of(exception)
            self.handle_reply({"type": "http.response.start", "status": case.status, "headers": list(HEADERS.items())})
            self.handle_reply({"type": "http.response.body", "body": errors.page(case).encode()})
        elif self.channel is not None:
            self.channel.transport.abortConnection()


def is_signed_in(session: str) -> bool:
    close_old_connections()
    return SESSION_KEY in SessionStore(session)


HEADERS = {
    b"Content-Type": b"text/html; charset=utf-8",
    b"Content-Security-Policy": b"default-src 'self'; frame-ancestors 'none'",
    b"X-Content-Type-Options": b"nosniff",
    b"Cache-Control": b"private, no-store",
}


def in_pieces(application: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Give the application a request's body as it asks for it; Daphne alone would put all of it into a queue."""

    async def run(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[..., Any]) -> None:
        body: IO[bytes] = scope.pop("body")

        async def receive_piece() -> Any:
            if not body.closed:
                if piece := body.read(PIECE):
                    return {"type": "http.request", "body": piece, "more_body": True}
                body.close()
            return await receive()

        with body:
            await application(scope, receive_piece, send)

    return run
