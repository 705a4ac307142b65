"""The supervisor of one process tree: the web process, the workers and the sweep."""

import gc
import logging
import os
import signal
import socket
import sys
import time
from types import FrameType

from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.management.base import CommandError

from assessments.operations import site, temporary
from assessments.processes import Fork, ForkFailed, ending, take_name

logger = logging.getLogger(__name__)

# Seconds between two checks of the children.
LOOK = 0.1
# A child that has lived for so many seconds has started and works: its next death counts as its first.
SETTLED = 10.0
LONGEST_PAUSE = 30.0
# Seconds that children have to end: beyond DOCUMENT_DEADLINE at the first request to stop, in all at the second.
GRACE = 10.0


class Child:
    """One of our commands in a child process. A child that dies is started again, after pauses that grow."""

    def __init__(self, name: str, arguments: list[str]) -> None:
        self.name = name
        self.arguments = arguments
        self.deaths = 0
        self.due = 0.0
        self.started = 0.0
        self.process: Fork | None = None

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.alive

    def start(self) -> None:
        self.started = time.monotonic()
        self.process = Fork(self.run)
        logger.info("%s runs as process %d", self.name, self.process.pid)

    def run(self) -> None:
        take_name(self.arguments[0])
        execute_from_command_line([sys.argv[0], *self.arguments, "--skip-checks"])

    def look(self) -> None:
        """Log the death of the child; start the child when the pause after a death is over."""
        if self.alive:
            return
        if self.process is not None:
            how = f"ended ({ending(self.process.returncode)})"
            self.process = None
            self.died(how)
        if time.monotonic() >= self.due:
            try:
                self.start()
            except ForkFailed as failure:
                self.died(f"did not start ({failure})")

    def died(self, how: str) -> None:
        now = time.monotonic()
        self.deaths = 0 if now - self.started > SETTLED else self.deaths
        pause = min(2**self.deaths / 2, LONGEST_PAUSE)
        logger.error("%s %s; it starts again in %.1f s", self.name, how, pause)
        self.deaths += 1
        self.due = now + pause

    def signal(self, number: int) -> None:
        if self.process is not None:
            self.process.signal(number)


class Supervisor:
    """Runs the web process, the workers and the sweep as children, until this process is told to end."""

    def __init__(self, bind: str, port: int, workers: int) -> None:
        self.stops = 0
        self.children = [
            Child("web", ["web", "--bind", bind, "--port", str(port)]),
            *(Child(f"worker {number}", ["worker"]) for number in range(1, workers + 1)),
            Child("sweep", ["sweep"]),
        ]

    def run(self) -> None:
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGINT, self.stop)
        # The garbage collector leaves frozen objects alone, so the children go on sharing their memory.
        gc.collect()
        gc.freeze()
        while not self.stops:
            for child in self.children:
                child.look()
            time.sleep(LOOK)
        self.end()

    def stop(self, number: int, frame: FrameType | None) -> None:
        self.stops += 1

    def end(self) -> None:
        """Send SIGTERM to the children, again at a second request to stop, and SIGKILL when their time is over."""
        logger.info("Ending; a document that is being made is finished first (ask again to end at once)")
        told = self.stops
        for child in self.children:
            child.signal(signal.SIGTERM)
        last = time.monotonic() + settings.DOCUMENT_DEADLINE + GRACE
        while any(child.alive for child in self.children) and time.monotonic() < last:
            if self.stops > told:
                told = self.stops
                last = time.monotonic() + GRACE
                for child in self.children:
                    child.signal(signal.SIGTERM)
            time.sleep(LOOK)
        for child in self.children:
            if child.process is not None:
                child.process.kill()
        # A child that ended by a signal has left its temporary files.
        temporary.remove_at_end()
        logger.info("All ended")


def confirm_site_beside() -> None:
    """Run site.confirm() in a fork, as this process must not open a connection. Raises SystemExit when it fails."""
    copy = Fork(site.confirm)
    while copy.alive:
        time.sleep(LOOK / 2)
    if copy.returncode:
        sys.exit(copy.returncode)


def refuse_debug(bind: str) -> None:
    """Raise CommandError when others would see the errors of debug mode: a caller may name any host that is allowed."""
    if settings.DEBUG and bind not in ("localhost", "127.0.0.1", "::1"):
        words = f"DEBUG is on, so the site may not listen on {bind}: errors would show settings. Unset DEBUG or --bind."
        raise CommandError(words, returncode=2)


def check_free(bind: str, port: int) -> None:
    try:
        socket.create_server((bind, port), family=socket.AF_INET6 if ":" in bind else socket.AF_INET).close()
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        words = f"Cannot listen on {bind}:{port}: {reason}. Choose another with --port or PORT."
        raise CommandError(words, returncode=2) from error
