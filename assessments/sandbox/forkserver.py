"""The fork server, of which each child is a fork. The server has loaded the libraries and holds no secret of the site.

The parent starts the server with a socket for requests and no secrets in its environment. One child runs at a time.
"""

import gc
import json
import logging
import os
import pickle
import signal
import socket
import sys
import tempfile
import time
import traceback
from importlib import import_module
from typing import NoReturn

from django.utils.module_loading import import_string

from assessments.processes import die_with_parent

from . import messages
from .confinement import confine
from .work import Work

# Seconds between two messages about progress.
PACE = 0.1
# Seconds of the waits between two tries to fork.
PAUSES = (0.25, 0.5, 1, 2, 4)
# Lines for the log that a child may send.
COMPLAINTS = 10

SERVER = os.getpid()


def serve(parent: socket.socket) -> None:
    """Say that the server is ready, then start a child for each request, until the parent closes the socket."""
    parent.send(b"!")
    while True:
        asked, handles, _, _ = socket.recv_fds(parent, 1, 2)
        if not asked:
            return
        pid = forked()
        if not pid:
            parent.close()
            be_child(*handles)
        for handle in handles:
            os.close(handle)
        parent.send(str(pid).encode())
        # Before wait4() reaps the child, no other process gets its pid, which the parent may still signal.
        if not parent.recv(1):
            return
        _, status, usage = os.wait4(pid, 0)
        seconds, memory = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
        parent.send(json.dumps([os.waitstatus_to_exitcode(status), seconds, memory]).encode())


def forked() -> int:
    """Fork. While the machine has no room for another process, wait: else three tries at once would fail a document."""
    for pause in PAUSES:
        try:
            return os.fork()
        except OSError:
            time.sleep(pause)
    return os.fork()


def be_child(pipe: int, request: int) -> NoReturn:
    code = 1
    try:
        die_with_parent(SERVER)
        with open(request, "rb") as file:
            file.seek(0)
            work: Work = pickle.load(file)
        carry_out(work, socket.socket(fileno=pipe))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def carry_out(work: Work, pipe: socket.socket) -> None:
    function = import_string(work.function)
    tempfile.tempdir = str(work.folder) if work.folder else None
    logging.getLogger().addHandler(Complaints(pipe))
    for output in (1, 2):
        # Endless output would fill the disk with the site's log.
        os.dup2(0, output)
    confine(work)
    arguments = (*work.arguments, Pace(pipe)) if work.progress else work.arguments
    try:
        said = messages.packed(messages.Returned(function(*arguments)))
    except Exception as error:
        said = messages.packed(messages.failed(error))
    pipe.send(said)


class Pace:
    """Sends progress to the parent, at most ten times a second."""

    def __init__(self, pipe: socket.socket) -> None:
        self.pipe = pipe
        self.next = 0.0

    def __call__(self, progress: int | None, message: str) -> None:
        if time.monotonic() >= self.next:
            self.next = time.monotonic() + PACE
            self.pipe.send(messages.packed(messages.Progressed(progress, messages.plain(message))))


class Complaints(logging.Handler):
    """Sends the first few lines that are logged as warnings or worse to the parent."""

    def __init__(self, pipe: socket.socket) -> None:
        super().__init__(logging.WARNING)
        self.setFormatter(logging.Formatter("%(name)s: %(message)s"))
        self.pipe = pipe
        self.left = COMPLAINTS

    def emit(self, record: logging.LogRecord) -> None:
        if self.left:
            self.left -= 1
            self.pipe.send(messages.packed(messages.Complained(messages.plain(self.format(record)))))


def main(handle: str, parent: str, *modules: str) -> None:
    die_with_parent(int(parent))
    # Ctrl-C in the terminal reaches the parent too, and the parent ends its children.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Loading leaves no garbage to be searched for.
    gc.disable()
    for module in modules:
        import_module(module)
    gc.enable()
    serve(socket.socket(fileno=int(handle)))


if __name__ == "__main__":
    main(*sys.argv[1:])
