"""Processes that end with the one that started them, and children that may crash, hang or eat memory."""

import ctypes
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from .documents.kinds import PRELOAD

PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
AUTOGROUP = Path("/proc/self/autogroup")
# Enough for many workers that start at the same moment.
GROUP_TRIES, GROUP_PAUSE = 100, 0.1
STOPS = {signal.SIGTERM, signal.SIGINT}

# What the fork server imports, unless its process chooses less: all that any child needs.
EVERYTHING = ("assessments.darkroom", "assessments.child", *PRELOAD, "assessments.generators.warm")

_context = multiprocessing.get_context("forkserver")
_chosen: list[str] = []
# The kernel takes the thread that started a process for its parent, and a request's thread ends with the request.
_starter = ThreadPoolExecutor(1, "starter")


def die_with_parent(parent: int) -> None:
    """Have the kernel end this process when its parent, of that pid, ends, however it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # It may have ended before we asked.
    if os.getppid() != parent:
        os._exit(1)


def give_way(niceness: int) -> None:
    """Have others go first where processor time is short: before this process and what it has started or will start.

    Linux shares the time out among sessions first (autogroups), and the niceness of a process counts within its session
    alone. So a session of our own gets the niceness, too.
    """
    if os.getsid(0) != os.getpid():
        os.nice(niceness)
        return
    os.setpriority(os.PRIO_PGRP, 0, niceness)
    for _ in range(GROUP_TRIES):
        try:
            AUTOGROUP.write_text(str(niceness))
        except BlockingIOError:
            # The kernel changes one group every tenth of a second, whoever asks.
            time.sleep(GROUP_PAUSE)
        except OSError:
            # It does not group by session.
            return
        else:
            return


def take_name(name: str) -> None:
    """Be known to ``ps`` and ``top`` by a name of up to 15 characters: copies of one program look the same there."""
    ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode())


class Fork:
    """A copy of this process that goes on as ``main``, in a session of its own, and ends with this process.

    It shares the memory of all that has been imported. To be made while this process has one thread, and no open
    connection. What ``main`` raises goes up the stack, to end the copy as it would end any program.
    """

    def __init__(self, main: Callable[[], None]) -> None:
        parent = os.getpid()
        self.returncode: int | None = None
        # Told to end this early, the copy does so as soon as it can.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        self.pid = os.fork()
        if not self.pid:
            # Ctrl-C in the terminal reaches the parent alone, which knows what to do.
            os.setsid()
            die_with_parent(parent)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        if not self.pid:
            main()
            sys.exit()

    @property
    def alive(self) -> bool:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode is None

    def signal(self, number: int) -> None:
        if self.alive:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once, and wait for its end."""
        self.signal(signal.SIGKILL)
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def warm_up(modules: Sequence[str] = EVERYTHING) -> None:
    """Start the fork server, so that the first child need not wait for these modules to be imported.

    The first choice in a process holds for as long as it lives.
    """
    if not _chosen:
        _chosen.extend(["assessments.tether", *modules])
        _context.set_forkserver_preload(_chosen)
    if threading.current_thread() is threading.main_thread():
        # It lasts as long as the process, which so needs no further thread until there is a child to start.
        forkserver.ensure_running()
    else:
        _starter.submit(forkserver.ensure_running).result()


def wait_until_warm() -> None:
    """Return when a child can be started in milliseconds: the fork server has imported all of its modules."""
    end(*start(_nothing))


def _nothing(pipe: Connection) -> None:
    """What the first child does."""


def start(main: Callable[..., None], *arguments: Any) -> tuple[ForkServerProcess, Connection]:
    """Start a child that runs ``main(pipe, *arguments)``; return it and our end of the pipe.

    The child is a fork of the fork server, ready in milliseconds.
    """
    warm_up()
    ours, theirs = _context.Pipe()
    process = _context.Process(target=main, args=(theirs, *arguments), daemon=True)
    try:
        _starter.submit(process.start).result()
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return process, ours


def end(process: ForkServerProcess, pipe: Connection) -> int | None:
    """End a child at once, if it has not ended; return its exit code, below zero for a signal."""
    process.kill()
    process.join()
    code = process.exitcode
    process.close()
    pipe.close()
    return code


def confine(memory: int) -> None:
    """Make this child end with its parent and keep it to ``memory`` bytes on top of the libraries it began with."""
    die_with_parent(os.getppid())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    limit = address_space() + memory
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def address_space() -> int:
    """The bytes of address space in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def ending(code: int | None) -> str:
    """An exit code in words."""
    return (signal.strsignal(-code) or f"signal {-code}") if code is not None and code < 0 else f"exit code {code}"
