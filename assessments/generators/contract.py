"""What a generator is: a pure function from a snapshot to a file, run in a process of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from assessments.sandbox import Refusal

from .snapshot import Snapshot

# Called with how far it is, 0 to 99 (None when that cannot be known), and what is being done, in the user's words.
Progress = Callable[[int | None, str], None]


@dataclass(frozen=True, slots=True)
class Made:
    """The file a generator made in its work folder, and what is in it."""

    path: Path
    # In the user's words, such as "7 pages" or "58 of 60 photos; unreadable: IMG_0012.jpg".
    message: str
    pages: int | None = None
    photos: int | None = None


class DocumentError(Refusal):
    """The document cannot be made; the text says why and what to do next, in the user's words."""


Generator = Callable[[Snapshot, Path, Progress], Made]
