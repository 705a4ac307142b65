"""What a generator is: a pure function from a snapshot to a file, run in a process of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from assessments.sandbox import Number, Refusal, Text

# Called with how far it is, 0 to 99 (None when that cannot be known), and what is being done, in the user's words.
Progress = Callable[[int | None, str], None]


class Made(NamedTuple):
    """The file a generator made in its work folder, and what is in it."""

    path: Path
    # In the user's words, such as "7 pages" or "58 of 60 photos; unreadable: IMG_0012.jpg".
    message: Text
    pages: Number | None = None
    photos: Number | None = None


class DocumentError(Refusal):
    """The document cannot be made; the text says why and what to do next, in the user's words."""
