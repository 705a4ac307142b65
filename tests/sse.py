"""A small reader of event streams, true to the specification, for tests that watch a stream over HTTP."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx


@dataclass(frozen=True)
class SentEvent:
    type: str
    id: str
    data: str
    # Seconds since the reading began.
    at: float

    @property
    def revision(self) -> int:
        return int(self.id.rpartition(":")[2])

    @property
    def document(self) -> str:
        """The slug of the row that the event is about."""
        match = re.search(r'data-document="([^"]+)"', self.data)
        assert match, self.data
        return match.group(1)

    @property
    def status(self) -> str:
        match = re.search(r'data-status="([^"]+)"', self.data)
        assert match, self.data
        return match.group(1)


def read(response: httpx.Response) -> Iterator[SentEvent]:
    """Yield the events of a streaming response, also named ones such as ``keep-alive``."""
    begun = time.monotonic()
    kind, identity, data = "", "", []
    for line in lines(response):
        if not line:
            if data:
                yield SentEvent(kind, identity, "\n".join(data), time.monotonic() - begun)
            kind, identity, data = "", "", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "id":
            identity = value
        elif name == "data":
            data.append(value)


def lines(response: httpx.Response) -> Iterator[str]:
    """Yield the lines of a response. CR, LF and CRLF end a line, as in an event stream, and nothing else of Unicode."""
    rest = ""
    for text in response.iter_text():
        *whole, rest = re.split(r"\r\n|\n|\r", rest + text)
        yield from whole


def changes(response: httpx.Response) -> Iterator[SentEvent]:
    """Return the unnamed events: the changes of documents."""
    return (event for event in read(response) if not event.type)
