"""What a child tells its parent: JSON, one packet for each message.

A child may have been taken over, so its parent checks the size and the shape of each packet. A packet that an honest
child would not send ends the child's work as Broken.
"""

import errno
import json
import os
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

# The most characters of a text, and bytes of a packet. JSON needs up to six bytes for a character.
TEXT = 10_000
PACKET = 64 * 1024
# The largest number that a column of the database holds.
LARGEST = 2**31 - 1


class Refusal(Exception):  # noqa: N818
    """The base class of what a function raises when its work cannot be done. The text says why, in the user's words."""


# The parent's side --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Progressed:
    """How far the work is, 0 to 99 (None when that is not known), and what is being done."""

    progress: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Returned:
    """The function's result as JSON. ``shaped`` checks it."""

    result: Any


@dataclass(frozen=True, slots=True)
class Complained:
    """A line for the log."""

    line: str


class Refused(Exception):  # noqa: N818
    """The function raised a Refusal. The text is for people."""


class OutOfMemory(Exception):  # noqa: N818
    """The work needs more memory than it may have."""


class Broken(Exception):  # noqa: N818
    """The function has a fault, or the child was taken over. The text, such as a traceback, is for the log alone."""


def told(packet: bytes) -> Progressed | Returned | Complained:
    """Return the content of a packet. Raises Refused, OutOfMemory, OSError or Broken when the work ended so."""
    try:
        said = json.loads(packet)
    except (ValueError, RecursionError):
        said = None
    match said:
        case ["progress", None, str(message)]:
            return Progressed(None, plain(message))
        case ["progress", int(progress), str(message)]:
            # The parent reports 100, once the file is stored.
            return Progressed(min(max(progress, 0), 99), plain(message))
        case ["complained", str(line)]:
            return Complained(plain(line))
        case ["returned", result]:
            return Returned(result)
        case ["refused", str(words)]:
            raise Refused(plain(words))
        case ["memory"]:
            raise OutOfMemory
        case ["system", int(number), str(trace)] if number in errno.errorcode:
            error = OSError(number, os.strerror(number))
            error.add_note(plain(trace))
            raise error
        case ["broken", str(trace)]:
            raise Broken(plain(trace))
    raise Broken(f"It sent a message of no known kind: {packet[:200]!r}")


def shaped[Shape](shape: type[Shape], result: object) -> Shape:
    """Return a result as ``shape``: a dataclass or typed tuple of numbers, texts and paths, or NoneType.

    Raises Broken when the result does not have this shape.
    """
    if shape is type(None) and result is None:
        return result
    kinds = get_args(shape) or tuple(get_type_hints(shape).values())
    if not kinds or not isinstance(result, list) or len(result) != len(kinds):
        raise Broken(f"It answered with no {shape.__name__}: {result!r:.200}")
    parts = [part(kind, value) for kind, value in zip(kinds, result, strict=True)]
    return shape(parts) if get_args(shape) else shape(*parts)  # type: ignore[call-arg]


def part(kind: Any, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(plain(value))
    fits = isinstance(value, kind) and not isinstance(value, bool)
    if not fits or (isinstance(value, int) and not 0 <= value <= LARGEST):
        raise Broken(f"It answered {value!r:.200} where {kind} belongs.")
    return plain(value) if isinstance(value, str) else value


def plain(text: str) -> str:
    """Return the text as every database accepts it: not too long, without NUL, without half characters."""
    return text[:TEXT].replace("\0", "\ufffd").encode("utf-8", "replace").decode()


# The child's side ----------------------------------------------------------------------------------------------


def returned(result: Any) -> bytes:
    """A dataclass or a named tuple becomes the list of its values, a path becomes text."""
    values = [getattr(result, name) for name in get_type_hints(type(result))] or result
    return packed("returned", values)


def failed(error: Exception) -> bytes:
    match error:
        case Refusal():
            return packed("refused", str(error))
        case MemoryError():
            return packed("memory")
        case OSError(errno=int(number)):
            return packed("system", number, trace_of(error))
    return packed("broken", trace_of(error))


def trace_of(error: Exception) -> str:
    return "".join(traceback.format_exception(error))[-TEXT:]


def packed(*message: object) -> bytes:
    return json.dumps(short(message), ensure_ascii=False).encode()


def short(value: object) -> object:
    if isinstance(value, list | tuple):
        return [short(each) for each in value]
    return plain(str(value)) if isinstance(value, str | Path) else value
