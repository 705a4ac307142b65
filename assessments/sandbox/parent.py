"""The parent's side: starts the fork server and the children, reads their messages, and ends them."""

import errno
import json
import logging
import os
import pickle
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from io import BufferedReader
from pathlib import Path
from typing import Self

from assessments.processes import ending

from . import messages
from .messages import Broken, Complained, Progressed, Returned, shaped
from .work import ROOT, Work

logger = logging.getLogger(__name__)

# The variables that a child may see: they lead to libraries and fonts, and DATA_DIR shows the site of the process.
ENVIRONMENT = (
    *("HOME", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "DATA_DIR"),
    *("FONTCONFIG_FILE", "FONTCONFIG_PATH", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"),
    *("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"),
)
# Without fast bins, the first large allocation of a child does not tidy up the heap, which would copy much of it: 4 ms.
# With a path, each start would run a compiler to look for libraries, which takes a tenth of a second.
TUNING = {"GLIBC_TUNABLES": "glibc.malloc.mxfast=0", "PATH": ""}
# Messages a second, and messages at once. An honest child sends fewer.
FLOOD = 20
# The most files in a child's folder, and the seconds between two checks of the folder.
MOST_FILES = 5000
LOOK = 0.25
# Seconds within which the fork server answers. The server may first have to load its modules from a slow disk.
PATIENCE = 120.0


class Crashed(Exception):  # noqa: N818
    """The child ended before it said how its work ended; the text names the signal or the exit code."""


class TooSlow(Exception):  # noqa: N818
    """The work took longer than allowed, and was ended."""


class ForkServer:
    """Starts children, one at a time. Its process starts with the first child, and again after it died."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        # The modules that the server loads, so that no child has to load them.
        self.modules: Sequence[str] = ()
        self.process: subprocess.Popen[bytes] | None = None

    def ensure_running(self) -> None:
        """Start the server, unless it runs, and wait until it has loaded its modules. Raises Crashed."""
        if self.process and self.process.poll() is None:
            return
        self.drop()
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(PATIENCE)
        program = [sys.executable, "-m", "assessments.sandbox.forkserver", str(theirs.fileno()), str(os.getpid())]
        try:
            with theirs:
                self.process = subprocess.Popen(
                    [*program, *self.modules],
                    env=TUNING | {name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                )
            if not self.socket.recv(1):
                raise ConnectionError("it ended at once")
        except OSError as error:
            raise Crashed(f"the process that starts others did not start: {error}") from error

    def fork(self, pipe: socket.socket, work: Work) -> int:
        """Start a child and return its pid. Raises Crashed when the server does not answer."""
        try:
            self.ensure_running()
            with open(os.memfd_create("work"), "wb") as request:
                pickle.dump(work, request)
                request.flush()
                socket.send_fds(self.socket, [b"!"], [pipe.fileno(), request.fileno()])
            return int(self.socket.recv(16))
        except BaseException as error:
            # The next answer of the server might belong to this request, so the server is dropped.
            self.drop()
            if isinstance(error, ConnectionError | TimeoutError | ValueError):
                raise Crashed("the process that starts others does not answer") from error
            raise

    def end(self, pid: int) -> tuple[str, float, int]:
        """End the child, if it has not ended; return its ending in words, its processor seconds and its peak memory."""
        try:
            if self.process and self.process.poll() is None:
                os.kill(pid, signal.SIGKILL)
            self.socket.send(b".")
            code, seconds, memory = json.loads(self.socket.recv(256))
        except BaseException as error:
            self.drop()
            if isinstance(error, OSError | ValueError):
                return "with the process that had started it", 0.0, 0
            raise
        return ending(code), seconds, memory

    def drop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.socket.close()
        self.process = None


_server = ForkServer()


class Child:
    """A child and its work. The child lives as long as the ``with`` block at most."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.ending = ""
        self.cpu_seconds = 0.0
        self.peak_memory = 0
        self.progress = 0
        self.heard = 0
        self.begun = self.last_look = time.monotonic()

    def __enter__(self) -> Self:
        _server.lock.acquire()
        try:
            self.pipe, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self.pid = _server.fork(theirs, self.work)
        except BaseException:
            _server.lock.release()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self.end()
        finally:
            _server.lock.release()

    def end(self) -> None:
        if not self.ending:
            self.ending, self.cpu_seconds, self.peak_memory = _server.end(self.pid)
            self.pipe.close()

    def listen(self, seconds: float) -> Progressed | Returned | None:
        """Return the child's next message, or None when there is none within ``seconds``.

        Raises Refused, OutOfMemory, OSError, Broken or Crashed when the work ended without a result.
        """
        self.look()
        self.pipe.settimeout(seconds)
        try:
            # A longer packet arrives cut off, and is then no valid JSON.
            packet = self.pipe.recv(messages.PACKET)
        except TimeoutError:
            return None
        except ConnectionError:
            packet = b""
        if not packet:
            self.end()
            raise Crashed(self.ending)
        self.heard += 1
        if self.heard > FLOOD * (time.monotonic() - self.begun + 1):
            raise Broken("It sent messages without end.")
        said = messages.told(packet)
        if isinstance(said, Complained):
            logger.warning("From a child: %r", said.line)
            return None
        if isinstance(said, Progressed) and said.progress is not None:
            # The parent reports 100, once the file is stored.
            self.progress = max(self.progress, min(said.progress, 99))
            return Progressed(self.progress, said.message)
        return said

    def look(self) -> None:
        """Raise OSError when the child's files together are too large. The kernel limits each file alone."""
        if self.work.folder is None or time.monotonic() - self.last_look < LOOK:
            return
        self.last_look = time.monotonic()
        room = self.work.disk
        with os.scandir(self.work.folder) as files:
            for number, file in enumerate(files):
                try:
                    room -= file.stat(follow_symlinks=False).st_size
                except FileNotFoundError:
                    continue
                if room < 0 or number > MOST_FILES:
                    raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))


def run[Shape](work: Work, shape: type[Shape], seconds: float) -> Shape:
    """Have a child do some work within some seconds; return its result in the given shape.

    Raises Refused, OutOfMemory, OSError, Broken, Crashed or TooSlow.
    """
    deadline = time.monotonic() + seconds
    with Child(work) as child:
        while (left := deadline - time.monotonic()) > 0:
            said = child.listen(min(left, LOOK))
            if isinstance(said, Returned):
                return shaped(shape, said.result)
    raise TooSlow


def made_file(path: Path, folder: Path) -> BufferedReader:
    """Open a file made by an ended child in its folder. Raises Broken unless it is a plain file there with one name."""
    try:
        if path.parent != folder:
            raise ValueError("it is elsewhere")
        file = open(path, "rb", opener=open_itself)  # noqa: SIM115
    except (OSError, ValueError) as error:
        raise Broken(f"It has not made {path}: {error}") from error
    found = os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        file.close()
        raise Broken(f"{path} is no plain file of its own.")
    return file


def open_itself(path: str, flags: int) -> int:
    """Open the path itself: follow no link, and do not wait for another process to open a named pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def warm_up(modules: Sequence[str] = ()) -> None:
    """Start the fork server and have it load these modules, so that a child starts in milliseconds.

    Only the first call with modules in a process chooses the modules.
    """
    _server.modules = _server.modules or modules
    _server.ensure_running()
