"""The temporary files of a process that serves: a folder of its own, which does not outlast a killed process for long.

A process locks its folder. The kernel ends the lock with the process, so a folder without a lock is left over.
"""

import atexit
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "assessments-files-"


def use_own_folder(role: str) -> None:
    """Have this process make its temporary files in a folder of its own; remove the folders of killed processes."""
    remove_left()
    # When the folder cannot be made, temporary files go into the system's own folder.
    with suppress(OSError):
        new = Path(tempfile.mkdtemp(prefix="assessments-new-"))
        # The folder is locked for the life of this process, and before it has the name by which others look for it.
        fcntl.flock(os.open(new, os.O_RDONLY | os.O_DIRECTORY), fcntl.LOCK_EX)
        folder = new.rename(new.with_name(new.name.replace("assessments-new-", f"{PREFIX}{role}-")))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["TMPDIR"] = str(folder)
        tempfile.tempdir = None


def remove_left(dry_run: bool = False) -> int:
    """Remove the folders of killed processes of this machine; return how many. In a dry run, only count them."""
    removed = 0
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with left(folder) as is_left:
            removed += is_left
            if is_left and not dry_run:
                shutil.rmtree(folder, ignore_errors=True)
    return removed


@contextmanager
def left(folder: Path) -> Iterator[bool]:
    """Tell whether a folder of this user has no process any more; hold its lock meanwhile."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield os.fstat(handle).st_uid == os.geteuid()
    except BlockingIOError:
        yield False
    finally:
        os.close(handle)
