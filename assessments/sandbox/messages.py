"""The messages of a child to its parent: JSON, one packet for each message.

A child may have been taken over, so its parent checks the size and the shape of each packet. A packet that an honest
child would not send ends the child's work as Broken.
"""

import errno
import os
import traceback
from typing import Annotated, Any, Literal

import msgspec

# Bytes of a packet. JSON needs up to six bytes for a character.
PACKET = 64 * 1024
# A text and a number that every database accepts.
LENGTH = 10_000
Text = Annotated[str, msgspec.Meta(max_length=LENGTH, pattern=r"\A[^\0]*\Z")]
Number = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]


class Refusal(Exception):  # noqa: N818
    """The base class of the errors of a function whose work cannot be done. The text says why, in the user's words."""


class Message(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A JSON array: a word for the kind of message, then its fields."""


class Progressed(Message, tag="progress"):
    """The progress of the work in per cent (None when it is not known), and the present step in words."""

    progress: int | None
    message: Text


class Complained(Message, tag="complained"):
    line: Text


class Returned(Message, tag="returned"):
    """The function's result as JSON. ``shaped`` checks it."""

    result: Any


class Failed(Message, tag="failed"):
    """The work ended without a result. ``number`` is the errno of a system error, else 0."""

    why: Literal["refused", "memory", "system", "fault"]
    words: Text
    number: int


# The parent's side ----------------------------------------------------------------------------------------------------


class Refused(Exception):  # noqa: N818
    """The function raised a Refusal. The text is for people."""


class OutOfMemory(Exception):  # noqa: N818
    """The work needs more memory than it may have."""


class Broken(Exception):  # noqa: N818
    """The function has a fault, or the child was taken over. The text, such as a traceback, is for the log alone."""


decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Progressed | Complained | Returned | Failed)


def told(packet: bytes) -> Progressed | Returned | Complained:
    """Return the content of a packet. Raises Refused, OutOfMemory, OSError or Broken when the work ended so."""
    said: Progressed | Returned | Complained | Failed
    try:
        said = decoder.decode(packet)
    except (ValueError, RecursionError):
        raise Broken(f"It sent a message of no known kind: {packet[:200]!r}") from None
    match said:
        case Failed("refused", words):
            raise Refused(words)
        case Failed("memory"):
            raise OutOfMemory
        case Failed("system", trace, number) if number in errno.errorcode:
            error = OSError(number, os.strerror(number))
            error.add_note(trace)
            raise error
        case Failed(_, trace):
            raise Broken(trace)
    return said


def shaped[Shape](shape: type[Shape], result: object) -> Shape:
    """Return a result as ``shape``: a typed tuple of numbers, texts and paths, or NoneType. Raises Broken."""
    try:
        return msgspec.convert(result, shape, dec_hook=lambda kind, value: kind(value))
    except msgspec.ValidationError as error:
        raise Broken(f"It answered with no {shape.__name__}, but {result!r:.200}: {error}") from None


# The child's side -----------------------------------------------------------------------------------------------------

# A path becomes a text.
packed = msgspec.json.Encoder(enc_hook=str).encode


def failed(error: Exception) -> Failed:
    match error:
        case Refusal():
            return Failed("refused", plain(str(error)), 0)
        case MemoryError():
            return Failed("memory", "", 0)
    trace = plain("".join(traceback.format_exception(error))[-LENGTH:])
    number = error.errno if isinstance(error, OSError) else None
    return Failed("fault" if number is None else "system", trace, number or 0)


def plain(text: str) -> str:
    """Return the text as every database accepts it: not too long, without NUL, without lone surrogates."""
    return text[:LENGTH].replace("\0", "\ufffd").encode("utf-8", "replace").decode()
