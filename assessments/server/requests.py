"""The requests that the web server accepts: their bodies go to disk, and each sender has a limit of bytes."""

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
from django.db import close_old_connections

from assessments.live.threads import in_stream_thread
from assessments.operations.sessions import SessionStore
from assessments.views import errors

logger = logging.getLogger(__name__)

# Bytes of a body that the application receives at a time.
PIECE = 2**20
# The addresses that take files, from senders with a session.
FILES = re.compile(rb"/assessments/[^/]+/photos/")
# All large bodies on the way may take so many times REQUEST_MAX_BYTES: slow senders together must not fill the disk.
LARGEST_AT_ONCE = 4
# Seconds that a refused sender has to receive the refusal: cutting the connection at once would lose the refusal.
LINGER = 10.0


class PatientRequest(http_protocol.WebRequest):
    """A request whose body goes to disk, and is refused as soon as the body is too large for its sender.

    Anybody may send a small body. Before more of a large body is read, a query finds whether the sender is signed in.
    """

    channel: Any
    content: Any
    refused = False
    complete = False
    asking: asyncio.Future[None] | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # Otherwise Twisted would parse a form itself, in memory.
        super().__init__(*arguments, parsePOSTFormSubmission=False, **options)

    def gotLength(self, length: int | None) -> None:  # noqa: N802
        super().gotLength(length)
        # The site has no web sockets: a request for one gets the page.
        self.requestHeaders.removeHeader(b"Upgrade")
        # Our proxies do not send this header, and a client must not choose the root path of the site.
        self.requestHeaders.removeHeader(b"Daphne-Root-Path")
        self.session = self.received_cookies.get(settings.SESSION_COOKIE_NAME.encode(), b"").decode("latin-1")
        self.limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        self.too_large = errors.too_large(self.limit)
        if FILES.match(self.channel._path):
            self.too_large = errors.SIGNED_OUT
            if self.session.isalnum():
                self.limit = settings.REQUEST_MAX_BYTES
                self.too_large = errors.too_large(self.limit)
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
        """Prepare for a body of ``size`` bytes, or refuse the request."""
        if size > self.limit:
            self.refuse(self.too_large)
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
            # After any error the sender must get a response.
            logger.exception("It could not be seen who sends a large request")
            case: errors.Case | None = errors.TOO_MUCH
        else:
            case = None if signed_in else errors.SIGNED_OUT
        if self.channel is None:
            return
        # When the whole body has arrived meanwhile, the application sends the response.
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
        """Send an error page before the whole body has arrived, and discard the rest of the body."""
        if self.refused:
            return
        self.refused = True
        # close() tries once more to write the bytes in the buffer.
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
        """End a failed response: half a response must not look whole. Daphne would try to begin a second response."""
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
    """Wrap an application so that it receives a body in pieces; Daphne alone would put the whole body into a queue."""

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
