"""Many readers of event streams in one process, at little cost: only revisions and their moments are recorded."""

import asyncio
import re
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

EVENT_ID = re.compile(rb"^id: ?[^\s:]+:(\d+)$", re.MULTILINE)
# The number of streams that are being opened at the same time.
OPENING = 50
# Seconds that the last state of an assessment has to arrive.
PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class Seen:
    """For each stream, in order, (revision, moment) of its events; and the cost of all readers."""

    arrivals: list[list[tuple[int, float]]]
    closed: int
    bytes: int
    cpu_seconds: float


class Watcher(asyncio.Protocol):
    """One stream. ``opened`` is done with its first event."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.arrivals: list[tuple[int, float]] = []
        self.closed = False
        self.bytes = 0
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self.bytes += len(data)
        *events, self.rest = (self.rest + data).split(b"\n\n")
        for event in events:
            if found := EVENT_ID.search(event):
                self.arrivals.append((int(found[1]), now))
        if events and not self.opened.done():
            self.opened.set_result(None)

    def has_seen(self, revision: int) -> bool:
        return not revision or bool(self.arrivals and self.arrivals[-1][0] >= revision)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(f"No stream: {self.rest[:500]!r}"))


def watch(pipe: Connection, port: int, paths: list[str], cookie: str) -> None:
    """Open a stream for each path and send the seconds of opening. After a first message, receive the revision with
    which each stream has to end (0 for none), wait for these revisions, and send a ``Seen``."""
    asyncio.run(watch_all(pipe, port, paths, cookie))


async def watch_all(pipe: Connection, port: int, paths: list[str], cookie: str) -> None:
    begun = time.monotonic()
    gate = asyncio.Semaphore(OPENING)
    watchers = await asyncio.gather(*(open_stream(port, path, cookie, gate) for path in paths))
    pipe.send(time.monotonic() - begun)
    await asyncio.to_thread(pipe.recv)
    cpu, before = time.process_time(), sum(watcher.bytes for watcher in watchers)
    last: list[int] = await asyncio.to_thread(pipe.recv)
    cpu = time.process_time() - cpu
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and not all(map(Watcher.has_seen, watchers, last)):
        await asyncio.sleep(0.1)
    received = sum(watcher.bytes for watcher in watchers) - before
    pipe.send(
        Seen([watcher.arrivals for watcher in watchers], sum(watcher.closed for watcher in watchers), received, cpu)
    )


async def open_stream(port: int, path: str, cookie: str, gate: asyncio.Semaphore) -> Watcher:
    headers = f"Host: 127.0.0.1:{port}\r\nAccept: text/event-stream\r\nCookie: {cookie}\r\n"
    request = f"GET {path} HTTP/1.1\r\n{headers}\r\n".encode()
    async with gate:
        _, watcher = await asyncio.get_running_loop().create_connection(lambda: Watcher(request), "127.0.0.1", port)
        await watcher.opened
    return watcher
