"""The contract of a generator: a pure function from a snapshot to a file, run in a process of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from assessments.sandbox import Number, Refusal, Text

# Called with the progress, 0 to 99 (None when the progress is not known), and the present step in the user's words.
Progress = Callable[[int | None, str], None]


class Made(NamedTuple):
    """The file that a generator made in its work folder, and its content."""

    path: Path
    # The content in the user's words, such as "7 pages" or "58 of 60 photos; unreadable: IMG_0012.jpg".
    message: Text
    pages: Number | None = None
    photos: Number | None = None
    # The photos that are left out, because nobody could read them.
    missing: Number = 0


class DocumentError(Refusal):
    """The document cannot be made; the text says why and what to do next, in the user's words."""
