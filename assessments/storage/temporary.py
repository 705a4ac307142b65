"""Folders that do not outlast a killed process for long: its temporary files, its work, its notes of unsaved files.

A process locks its folders. The kernel ends a lock with the process, so a folder without a lock is left over.
"""

import fcntl
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.conf import settings

PREFIX = "assessments-files-"
# The name of the work folder of an attempt, and of the folder and the file of a note.
TOKEN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
UNSAVED, NAMES = "unsaved-", "names"


class Held:
    """A new folder that belongs to this process until it is removed or left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        while True:
            folder.mkdir(0o700, parents=True)
            # Another process may take the new folder for a left one until it is locked. Then it is made again.
            with suppress(FileNotFoundError):
                self.handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
                fcntl.flock(self.handle, fcntl.LOCK_EX)
                with suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(self.handle), os.stat(folder)):
                        return
                os.close(self.handle)

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.leave()

    def leave(self) -> None:
        """Let the next start of a process, or pruning, remove the folder."""
        os.close(self.handle)


def note(*names: str) -> Held:
    """Note stored files that no row names yet. Remove the note when rows name them, or when they are gone.

    When this process is killed, or leaves the note, these files are removed unless a row names them by then.
    """
    held = Held(Path(settings.WORK_ROOT, f"{UNSAVED}{uuid.uuid4()}"))
    try:
        (held.folder / NAMES).write_text("\n".join(names))
    except OSError:
        held.remove()
        raise
    return held


def noted(folder: Path) -> list[str]:
    """Return the names of the files that a folder is a note of. A note without names was begun before any file."""
    with suppress(FileNotFoundError):
        if folder.name.startswith(UNSAVED):
            return (folder / NAMES).read_text().splitlines()
    return []


def folders() -> list[Path]:
    """Return the folders of this machine's processes, of living and of killed ones."""
    work = Path(settings.WORK_ROOT)
    found = work.iterdir() if work.is_dir() else ()
    ours = (folder for folder in found if folder.name.startswith(UNSAVED) or TOKEN.fullmatch(folder.name))
    # Notes take the longest to clear. They come last, as "u" comes after all figures of a token.
    return [*Path(tempfile.gettempdir()).glob(f"{PREFIX}*"), *sorted(ours)]


@contextmanager
def left(folder: Path) -> Iterator[bool]:
    """Tell whether a folder of this user has no process any more; hold its lock meanwhile."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        yield False
        return
    is_left = False
    with suppress(BlockingIOError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_left = os.fstat(handle).st_uid == os.geteuid()
    try:
        yield is_left
    finally:
        os.close(handle)
