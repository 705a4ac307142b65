"""The work that a parent gives to a child. It is sent as a pickle, because a child trusts its parent."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The folder of the program.
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Work:
    """A function by its dotted name, its arguments and its limits.

    Of the site's files, the child can read those in ``reads`` (files or folders) and can write into ``folder`` alone.
    ``memory`` is in bytes on top of the loaded libraries. ``disk`` is in bytes, for each file and for all files in the
    folder together. With ``progress`` the function gets one more argument: a function that reports progress.
    """

    function: str
    arguments: tuple[Any, ...]
    memory: int
    disk: int
    reads: tuple[Path, ...] = ()
    folder: Path | None = None
    niceness: int = 0
    progress: bool = False
