"""The disposable process in which photos are decoded: it may crash, hang or eat memory, and costs that one photo.

Decoders are large programs in C that read what a stranger wrote. So neither the web process nor a worker decodes: each
has a child for it, which takes one photo after another, for all threads, and ends when there is nothing to do.
Nothing here imports WeasyPrint: that makes the whole process accept photos of which only a part arrived.
"""

import logging
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess

from django.conf import settings

from . import processes
from .generators.print_image import Undecodable, UnreadablePhoto

logger = logging.getLogger(__name__)

# Seconds after which a child ends that has nothing to do. One that is near its end is not given anything more.
IDLE = 5.0
FRESH = IDLE / 2
# Seconds between two looks at whether this process is ending.
LOOK = 0.25
MEBIBYTE = 2**20
ADVICE = "Save it as a new JPEG, then upload that."


class TooSlow(Undecodable):
    """Decoding the photo took longer than one may."""


class Busy(Undecodable):
    """Other photos were in the way for so long that the turn of this one did not come."""


@dataclass(frozen=True, slots=True)
class Done[Result]:
    result: Result


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    pass


@dataclass(frozen=True, slots=True)
class Fault:
    """The decoder's complaint is none that it should have; the traceback is for the log alone."""

    traceback: str


class Darkroom:
    """A child to decode in, started when it is needed and again when it died."""

    def __init__(self) -> None:
        # One photo at a time: one that the decoder cannot scale takes four bytes a pixel.
        self.lock = threading.Lock()
        self.closed = threading.Event()
        self.child: tuple[ForkServerProcess, Connection] | None = None
        self.used = 0.0

    def develop[*Arguments, Result](self, work: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
        """Return what ``work`` makes of its arguments in the child; both must be picklable.

        Raises the UnreadablePhoto or OSError that it raises, and Undecodable when the child does not get to its end:
        TooSlow or Busy, when no other photo should be tried at once.
        """
        # Who waits holds a thread and a database connection.
        if not self.lock.acquire(timeout=settings.PHOTO_DEADLINE):
            raise Busy("The server is busy with other photos; upload it again in a minute.")
        try:
            process, pipe = self.child = self.ready()
            try:
                answer = self.ask(pipe, (work, arguments))
            except BaseException as error:
                self.child = None
                code = processes.end(process, pipe)
                if not isinstance(error, EOFError | ConnectionError):
                    raise
                logger.error("The process that decodes photos ended: %s", processes.ending(code))
                raise Undecodable(f"The program that reads photos broke off over it. {ADVICE}") from None
            self.used = time.monotonic()
        finally:
            self.lock.release()
        match answer:
            case Done(result):
                return result  # type: ignore[no-any-return]
            case OutOfMemory():
                limit = settings.PHOTO_MEMORY // MEBIBYTE
                raise Undecodable(f"It needs more memory than the {limit} MiB allowed for a photo. {ADVICE}")
            case Fault(trace):
                logger.error("A photo could not be decoded:\n%s", trace)
                raise Undecodable(f"Its content is not what a photo's should be. {ADVICE}")
            case UnreadablePhoto() | OSError():
                raise answer
        raise AssertionError(answer)

    def ready(self) -> tuple[ForkServerProcess, Connection]:
        # Not kept over a start that fails: one that was ended can be asked nothing, not even whether it lives.
        child, self.child = self.child, None
        if child and time.monotonic() - self.used < FRESH and child[0].is_alive():
            return child
        if child:
            processes.end(*child)
        return processes.start(main, settings.PHOTO_MEMORY)

    def ask(self, pipe: Connection, question: object) -> object:
        pipe.send(question)
        deadline = time.monotonic() + settings.PHOTO_DEADLINE
        while not self.closed.is_set():
            if pipe.poll(LOOK):
                return pipe.recv()
            if time.monotonic() > deadline:
                raise TooSlow(f"Reading it took longer than {settings.PHOTO_DEADLINE} seconds. {ADVICE}")
        raise Undecodable("The server is being restarted; upload it again in a minute.")

    def close(self) -> None:
        """Give up what is being decoded, as this process is about to end."""
        self.closed.set()


darkroom = Darkroom()


def main(pipe: Connection, memory: int) -> None:
    """Do what is asked for over the pipe, until nothing is."""
    processes.confine(memory)
    try:
        while pipe.poll(IDLE):
            work, arguments = pipe.recv()
            pipe.send(attempt(work, arguments))
    except (EOFError, ConnectionError):
        return


def attempt(work: Callable[..., object], arguments: tuple[object, ...]) -> object:
    try:
        return Done(work(*arguments))
    except (UnreadablePhoto, OSError) as error:
        return error
    except MemoryError:
        return OutOfMemory()
    except Exception:
        return Fault(traceback.format_exc())
