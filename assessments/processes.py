"""Processes that end with the process that started them."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
STOPS = {signal.SIGTERM, signal.SIGINT}
# Looked up once: ctypes makes classes for a look-up, and a child of the fork server would make them again.
prctl = ctypes.CDLL(None, use_errno=True).prctl


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent, of the pid ``parent``, ends in any way."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have ended before this call.
    if os.getppid() != parent:
        os._exit(1)


def take_name(name: str) -> None:
    """Show this process in ``ps`` and ``top`` by a name of up to 15 characters: copies of one program look the same."""
    prctl(PR_SET_NAME, name.encode())


class ForkFailed(Exception):  # noqa: N818
    """The kernel made no copy of this process; the text says why. In the copy itself this is never raised."""


class Fork:
    """A copy of this process that goes on as ``main``, in a process group of its own, and ends with this process.

    The copy shares the memory of all imported modules. Make it while this process has one thread and no open
    connection. An error of ``main`` goes up the stack, and ends the copy as it would end any program.
    Raises ForkFailed.
    """

    def __init__(self, main: Callable[[], None]) -> None:
        parent = os.getpid()
        self.returncode: int | None = None
        # A signal to end that comes this early waits until the copy can handle it.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        try:
            self.pid = os.fork()
        except OSError as error:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
            raise ForkFailed(error.strerror) from error
        if not self.pid:
            # With its own group, Ctrl-C in the terminal reaches the parent alone, which ends its copies. With its own
            # session, the copy would get as much processor time as the parent's session, whatever their niceness.
            os.setpgrp()
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
        """Kill the copy, and wait for its end."""
        self.signal(signal.SIGKILL)
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def ending(code: int | None) -> str:
    """Return an exit code in words."""
    return (signal.strsignal(-code) or f"signal {-code}") if code is not None and code < 0 else f"exit code {code}"
