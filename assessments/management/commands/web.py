"""The web process: Daphne, with back-pressure both ways, with limits, and with an end that loses nobody's request."""

import asyncio
import logging
import re
import signal
import time
from argparse import ArgumentParser
from collections.abc import Awaitable, Callable
from contextlib import suppress
from io import BytesIO
from types import FrameType
from typing import IO, Any

from daphne.endpoints import build_endpoint_description_strings

# Before Twisted's reactor: it says which one that is.
from daphne.server import Server  # isort: skip
from daphne import http_protocol
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import close_old_connections
from twisted.internet import reactor as the_reactor
from twisted.internet.defer import Deferred
from twisted.internet.tcp import Port

from assessments import connections
from assessments.live.stream import in_stream_thread
from assessments.operations.site import ServingCommand
from assessments.views import errors

logger = logging.getLogger(__name__)
# It gets its methods when it is installed.
reactor: Any = the_reactor

# Bytes of a request that are handed on at a time.
PIECE = 2**20
# Where files may be sent to, by who has a session.
FILES = re.compile(rb"/assessments/[^/]+/photos/")
# How many of the largest bodies may be on the way at once, in bytes: a slow one must not fill the disk with others.
LARGEST_AT_ONCE = 4
# Seconds that a refused sender has to hear it. Who is cut off in the middle of a word does not listen.
LINGER = 10.0
# Seconds that requests have to come to their end when this process is told to; a stream is ended at once.
GRACE = 10.0
# Seconds after which Daphne cancels a request whose caller has left. Everything that a request waits for has a shorter
# limit; a view whose request is cancelled goes on in its thread, with its files closed.
ABANDONED = 3600
# Seconds between two looks at them: a caller that has just been let in has begun to speak by then.
LOOK = 0.1


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


class Brake(asyncio.Event):
    """Set while a connection takes more bytes; Twisted calls it as the transport's buffer fills and drains."""

    pauseProducing = asyncio.Event.clear  # noqa: N815
    resumeProducing = stopProducing = asyncio.Event.set  # noqa: N815


class PatientServer(Server):
    """Daphne that waits for a slow reader instead of keeping in memory what the reader has not yet taken."""

    def __init__(self, application: Callable[..., Awaitable[None]], **options: Any) -> None:
        super().__init__(in_pieces(application), **options)
        self.brakes: dict[Any, Brake] = {}
        # The requests with more than everybody may send.
        self.large: set[PatientRequest] = set()
        # The pages that watch. Each comes back by itself when its stream ends, and goes on where it was.
        self.streams: set[Any] = set()
        self.stops = 0

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        body, protocol.content = protocol.content, BytesIO()
        return super().create_application(protocol, {**scope, "body": body})

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and protocol in self.connections:
            self.brakes[protocol] = Brake()
            self.brakes[protocol].set()
            protocol.registerProducer(self.brakes[protocol], True)
            if protocol.method == b"GET" and is_event_stream(message):
                self.streams.add(protocol)
        if protocol.method == b"HEAD" and message["type"] == "http.response.body":
            # Daphne keeps the first piece of a body back, and sends the others: they would look like the next answer.
            message = {**message, "body": b""}
        ending = message["type"] == "http.response.body" and not message.get("more_body", False)
        if ending and self.brakes.pop(protocol, None):
            protocol.unregisterProducer()
        await super().handle_reply(protocol, message)
        if brake := self.brakes.get(protocol):
            await brake.wait()

    def told_to_stop(self, number: int, frame: FrameType | None) -> None:
        """End well; told again, at once."""
        self.stops += 1
        if self.stops == 1:
            reactor.callFromThread(self.stop)

    def kill_all_applications(self) -> Any:
        """What Daphne calls at the end, and waits for."""
        return Deferred.fromFuture(asyncio.ensure_future(self.end()))

    async def end(self) -> None:
        """Let nobody in any more, send the streams elsewhere, and wait until every other request has its answer."""
        for port in [reader for reader in reactor.getReaders() if isinstance(reader, Port)]:
            # Who knocked already is let in: closing the door on them would look like a request that broke off.
            port.doRead()
            port.stopListening()
        last = time.monotonic() + GRACE
        await asyncio.sleep(LOOK)
        while self.busy() and time.monotonic() < last and self.stops < 2:
            for protocol in list(self.streams):
                await self.end_stream(protocol)
            await asyncio.sleep(LOOK)
        # Daphne takes it for granted that each connection has one.
        for protocol in [each for each, details in self.connections.items() if "application_instance" not in details]:
            del self.connections[protocol]
        await super().kill_all_applications()

    def busy(self) -> bool:
        return any("disconnected" not in each for each in self.connections.values()) or bool(reactor.getWriters())

    async def end_stream(self, protocol: Any) -> None:
        if brake := self.brakes.get(protocol):
            brake.set()
        self.streams.discard(protocol)
        await self.handle_reply(protocol, {"type": "http.response.body", "body": b""})

    def protocol_disconnected(self, protocol: Any) -> None:
        if brake := self.brakes.pop(protocol, None):
            brake.set()
        self.large.discard(protocol)
        self.streams.discard(protocol)
        super().protocol_disconnected(protocol)


def is_event_stream(start: dict[str, Any]) -> bool:
    headers = {name.lower(): value for name, value in start.get("headers", [])}
    return bool(headers.get(b"content-type", b"").startswith(b"text/event-stream"))


class Command(ServingCommand):
    help = "Runs one web process; `serve` runs it together with the workers and the sweep."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--bind", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=settings.PORT)

    def handle(self, *, bind: str, port: int, **options: Any) -> None:
        from config.asgi import application

        connections.limit_statements()
        connections.share()
        # Daphne has no other place to say which requests it makes.
        http_protocol.WebRequest = PatientRequest  # type: ignore[misc]
        server = PatientServer(
            application,
            endpoints=build_endpoint_description_strings(host=bind, port=port),
            server_name="",
            application_close_timeout=ABANDONED,
            verbosity=0,
            signal_handlers=False,
        )
        signal.signal(signal.SIGTERM, server.told_to_stop)
        signal.signal(signal.SIGINT, server.told_to_stop)
        server.run()
