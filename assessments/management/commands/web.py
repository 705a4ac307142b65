"""The web process: Daphne, with back-pressure."""

import asyncio
from argparse import ArgumentParser
from functools import partial
from typing import Any

from daphne.endpoints import build_endpoint_description_strings
from daphne.server import Server
from django.conf import settings
from django.core.management.base import BaseCommand

# Bytes of a request that are handed on at a time.
PIECE = 2**20


class Brake:
    """Tells whether a connection takes more bytes; Twisted calls it as the transport's buffer fills and drains."""

    def __init__(self) -> None:
        self.released = asyncio.Event()
        self.released.set()

    def pauseProducing(self) -> None:  # noqa: N802
        self.released.clear()

    def resumeProducing(self) -> None:  # noqa: N802
        self.released.set()

    def stopProducing(self) -> None:  # noqa: N802
        self.released.set()


class PatientServer(Server):
    """Daphne that waits for a slow reader instead of keeping in memory what the reader has not yet taken."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.brakes: dict[Any, Brake] = {}

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and protocol in self.connections:
            self.brakes[protocol] = Brake()
            protocol.registerProducer(self.brakes[protocol], True)
        ending = message["type"] == "http.response.body" and not message.get("more_body", False)
        if ending and self.brakes.pop(protocol, None):
            protocol.unregisterProducer()
        await super().handle_reply(protocol, message)
        if brake := self.brakes.get(protocol):
            await brake.released.wait()

    def protocol_connected(self, protocol: Any) -> None:
        super().protocol_connected(protocol)
        protocol.handle_exception = partial(self.break_off, protocol)

    @staticmethod
    def break_off(protocol: Any, error: Exception) -> None:
        """End a response that failed. Half of one must not look whole; Daphne would try to begin a second one."""
        if not protocol._response_started:
            type(protocol).handle_exception(protocol, error)
        elif protocol.channel is not None:
            protocol.channel.transport.abortConnection()

    def kill_all_applications(self) -> Any:
        # Daphne takes it for granted that each connection has one.
        for protocol in [each for each, details in self.connections.items() if "application_instance" not in details]:
            del self.connections[protocol]
        return super().kill_all_applications()

    def protocol_disconnected(self, protocol: Any) -> None:
        if brake := self.brakes.pop(protocol, None):
            brake.stopProducing()
        super().protocol_disconnected(protocol)


class Command(BaseCommand):
    help = "Runs one web process; `serve` runs it together with the workers and the sweep."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--bind", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=settings.PORT)

    def handle(self, *, bind: str, port: int, **options: Any) -> None:
        from config.asgi import application

        PatientServer(
            application,
            endpoints=build_endpoint_description_strings(host=bind, port=port),
            server_name="",
            request_buffer_size=PIECE,
            verbosity=0,
        ).run()
