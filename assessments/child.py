"""The disposable process in which one generator runs: it may hang, eat memory or crash, and costs one document.

The fork server imports this module once, with WeasyPrint behind it; each child is a fork of that, ready in
milliseconds. Nothing here touches Django's ORM or settings.
"""

import errno
import hashlib
import os
import resource
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from django.utils.module_loading import import_string

from .generators.contract import DocumentError, Made
from .generators.snapshot import Snapshot
from .processes import confine

# Seconds between two messages about progress.
PACE = 0.1
# On top of the worker's, which has to keep the lease meanwhile.
NICENESS = 5
# A disk that is full, a quota that is used up, a file that grew past its limit.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Progressed:
    progress: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Finished:
    made: Made
    size: int
    sha256: str
    cpu_seconds: float
    peak_memory: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The document cannot be made; the reason is in the user's words."""

    reason: str


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    pass


@dataclass(frozen=True, slots=True)
class Broken:
    """The generator has a fault; the traceback is for the log alone."""

    traceback: str


Message = Progressed | Finished | Refused | OutOfMemory | Broken


class Pace:
    """Sends progress on, at most ten times a second, never backwards."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self.best = 0
        self.next = 0.0

    def __call__(self, progress: int | None, message: str) -> None:
        if progress is not None:
            # 100 is for the worker to say, once the file is stored.
            self.best = progress = min(max(progress, self.best), 99)
        if time.monotonic() < self.next:
            return
        self.next = time.monotonic() + PACE
        self.pipe.send(Progressed(progress, message))


def main(pipe: Connection, generator: str, snapshot: Snapshot, work: Path, memory: int) -> None:
    """Run the generator of that dotted path, and tell over the pipe how it goes.

    ``memory`` is how much it may use, in bytes.
    """
    confine(memory)
    os.nice(NICENESS)
    pipe.send(run(generator, snapshot, work, Pace(pipe)))
    pipe.close()


def run(generator: str, snapshot: Snapshot, work: Path, progress: Pace) -> Message:
    try:
        made = import_string(generator)(snapshot, work, progress)
        with made.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return Finished(made, made.path.stat().st_size, digest, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
    except DocumentError as error:
        return Refused(str(error))
    except MemoryError:
        return OutOfMemory()
    except OSError as error:
        if error.errno not in NO_ROOM:
            return Broken(traceback.format_exc())
        return Refused("There was no room left on the disk to make this. Ask support to make room, then retry.")
    except Exception:
        return Broken(traceback.format_exc())
