"""The format of the log, and the subject of each of its lines."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from pythonjsonlogger.json import JsonFormatter

# The characters that a terminal or a reader of lines obeys: control characters and Unicode line ends, but not the tab.
CONTROL = {
    code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    for code in (*range(9), *range(11, 32), *range(127, 160), 0x2028, 0x2029)
}

# The known fields of a line in JSON, in this order. All other attributes that a library adds to its records stay out,
# such as a whole request with the text that people typed.
FIELDS = (
    "time",
    "level",
    "logger",
    "process",
    "message",
    "request_id",
    "user",
    "assessment",
    "attempt",
    "method",
    "path",
    "status",
    "ms",
    "exception",
    "stack",
)

# The subject of the present work: the ids of the request, the assessment, the attempt.
subject: ContextVar[Mapping[str, str | int]] = ContextVar("subject", default=MappingProxyType({}))


@contextmanager
def about(**ids: str | int) -> Iterator[None]:
    """Put ids on every line that is logged within the block, and in tasks and threads with a copy of its context."""
    token = subject.set({**subject.get(), **ids})
    try:
        yield
    finally:
        subject.reset(token)


class SubjectFilter(logging.Filter):
    """Lets all records pass, each with the ids of its subject."""

    def filter(self, record: logging.LogRecord) -> bool:
        vars(record).update(subject.get())
        return True


class LineFormatter(logging.Formatter):
    """Writes each record so that nobody can add a false record by a line break in a name.

    Further lines, such as those of a traceback, are indented; only the first line of a record is not.
    """

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record).translate(CONTROL).replace("\n", "\n    ")


class ObjectFormatter(JsonFormatter):
    """Writes each record as one line with one JSON object, its time in UTC."""

    def __init__(self) -> None:
        names = {"levelname": "level", "name": "logger", "exc_info": "exception", "stack_info": "stack"}
        super().__init__(
            ["levelname", "name", "message", "process"],
            rename_fields=names,
            timestamp="time",
            json_default=str,
        )

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        log_data["time"] = log_data["time"].isoformat(timespec="milliseconds")
        return {field: log_data[field] for field in FIELDS if log_data.get(field) is not None}

    def format(self, record: logging.LogRecord) -> str:
        # DEL is the one control character that JSON leaves as it is.
        return super().format(record).replace("\x7f", "\\u007f")
