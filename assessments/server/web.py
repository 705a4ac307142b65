"""The web process: Daphne, with back-pressure both ways, with limits, and with a shutdown that loses no request."""

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable
from io import BytesIO
from types import FrameType
from typing import Any

from channels.routing import get_default_application
from daphne.endpoints import build_endpoint_description_strings

# Daphne chooses Twisted's reactor, so this import comes before the import of the reactor.
from daphne.server import Server  # isort: skip
from daphne import http_protocol
from twisted.internet import reactor as the_reactor
from twisted.internet.defer import Deferred
from twisted.internet.tcp import Port

from assessments import connections
from assessments.operations import temporary

from .requests import PatientRequest, in_pieces

logger = logging.getLogger(__name__)
# The reactor gets its methods only when it is installed, so mypy does not know them.
reactor: Any = the_reactor

# Seconds that requests have to finish when this process is told to end. Streams are ended at once.
GRACE = 10.0
# Seconds after which Daphne cancels a request whose client has left. Each wait of a request has a shorter limit, as
# a view whose request is cancelled goes on in its thread, with its files closed.
ABANDONED = 3600
# Seconds between two checks of the open requests. A client that was just accepted has sent its first bytes by then.
LOOK = 0.1


class Brake(asyncio.Event):
    """Set while a connection takes more bytes. Twisted calls its methods as the transport's buffer fills and drains."""

    pauseProducing = asyncio.Event.clear  # noqa: N815
    resumeProducing = stopProducing = asyncio.Event.set  # noqa: N815


class PatientServer(Server):
    """Daphne that waits for a slow reader instead of keeping the unread part of a response in memory."""

    def __init__(self, application: Callable[..., Awaitable[None]], **options: Any) -> None:
        super().__init__(in_pieces(application), **options)
        self.brakes: dict[Any, Brake] = {}
        # The requests whose bodies are too large for a sender who is not signed in.
        self.large: set[PatientRequest] = set()
        # The event streams. A page whose stream ends reconnects by itself, and goes on where it was.
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
            # Daphne drops only the first piece of the body; the other pieces would look like the next response.
            message = {**message, "body": b""}
        ending = message["type"] == "http.response.body" and not message.get("more_body", False)
        if ending and self.brakes.pop(protocol, None):
            protocol.unregisterProducer()
        await super().handle_reply(protocol, message)
        if brake := self.brakes.get(protocol):
            await brake.wait()

    def told_to_stop(self, number: int, frame: FrameType | None) -> None:
        """Begin the orderly shutdown; at the second call, end it at once."""
        self.stops += 1
        if self.stops == 1:
            reactor.callFromThread(self.stop)

    def kill_all_applications(self) -> Any:
        """Return the Deferred of ``end``, which Daphne waits for at shutdown."""
        return Deferred.fromFuture(asyncio.ensure_future(self.end()))

    async def end(self) -> None:
        """Stop listening, end the streams, and wait, at most GRACE seconds, until all other requests have responses."""
        for port in [reader for reader in reactor.getReaders() if isinstance(reader, Port)]:
            # Accept the connections in the backlog: their clients would take a closed port for a broken request.
            port.doRead()
            port.stopListening()
        last = time.monotonic() + GRACE
        await asyncio.sleep(LOOK)
        while self.busy() and time.monotonic() < last and self.stops < 2:
            for protocol in list(self.streams):
                await self.end_stream(protocol)
            await asyncio.sleep(LOOK)
        # Daphne assumes that each connection has an "application_instance".
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


def serve(bind: str, port: int) -> None:
    """Serve pages until this process is told to end."""
    connections.limit_statements()
    connections.share()
    # A killed web leaves incoming files behind.
    temporary.use_own_folder("web")
    # Daphne has no option for the class of its requests.
    http_protocol.WebRequest = PatientRequest  # type: ignore[misc]
    server = PatientServer(
        get_default_application(),
        endpoints=build_endpoint_description_strings(host=bind, port=port),
        server_name="",
        application_close_timeout=ABANDONED,
        verbosity=0,
        signal_handlers=False,
    )
    signal.signal(signal.SIGTERM, server.told_to_stop)
    signal.signal(signal.SIGINT, server.told_to_stop)
    server.run()
