"""The sweep: frees what dead workers left. A process of its own, outside of the queue that it guards."""

import logging
import signal
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable
from io import StringIO
from threading import Thread
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection

from assessments import mails, tasks
from assessments.management.serving import ServingCommand
from assessments.models import Attempt, Heartbeat
from assessments.storage import remove_left_parts
from config.checks import check_other_machines

logger = logging.getLogger(__name__)


# Seconds after the start: a sweep that is started again every day has to get to its daily chores, too.
SOON = 60.0


class Chore:
    """Something done every so many seconds, and soon after the start, whatever became of it the last time."""

    def __init__(self, every: float, work: Callable[[], object]) -> None:
        self.every = every
        self.work = work
        self.due = time.monotonic() + min(every, SOON)

    def do(self) -> None:
        if time.monotonic() < self.due:
            return
        self.due = time.monotonic() + self.every
        # The sweep guards everything else, so nothing that goes wrong in one round may end it.
        try:
            self.work()
        except Exception:
            logger.exception("The sweep could not do all of its work; it tries again")
            connection.close()


def report_other_machines() -> None:
    """What the start could not see: machines that started at the same moment."""
    for found in check_other_machines(None, databases=["default"]):
        logger.error("%s %s", found.msg, found.hint)


class Beside:
    """Work with files, done in a thread: a bucket may hang, and the sweep guards everything else meanwhile.

    It may be cut off at any point; the next time goes on. Asked for while it is still done, it is left at that.
    """

    def __init__(self, work: Callable[[], object]) -> None:
        self.work = work
        self.thread: Thread | None = None

    def __call__(self) -> None:
        if self.thread is None or not self.thread.is_alive():
            self.thread = Thread(target=self.run, daemon=True)
            self.thread.start()

    def run(self) -> None:
        try:
            self.work()
        except Exception:
            logger.exception("Files that are not needed could not all be removed; it is tried again")
        finally:
            connection.close()


def prune() -> None:
    said = StringIO()
    call_command("prune", stdout=said)
    logger.info("Pruned: %s", ", ".join(said.getvalue().splitlines()))


class Command(ServingCommand):
    help = "Recovers the documents that dead workers left, now and then; with --once, now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="Sweep one time and end.")

    def handle(self, *, once: bool, **options: Any) -> None:
        if once:
            self.stdout.write(f"{tasks.recover()} assessments woken.")
            Attempt.remove_lost_files()
            return
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        # Often enough that a lost document waits for its lease, not for the sweep.
        pause = min(5.0, settings.LEASE.total_seconds() / 4)
        chores = [
            Chore(0, lambda: Heartbeat.beat(Heartbeat.Role.SWEEP)),
            Chore(0, tasks.recover),
            Chore(60, mails.report_overdue),
            Chore(settings.LEASE.total_seconds(), Beside(Attempt.remove_lost_files)),
            Chore(86_400, Beside(remove_left_parts)),
            Chore(600, report_other_machines),
            Chore(86_400, Beside(prune)),
        ]
        try:
            while True:
                for chore in chores:
                    chore.do()
                time.sleep(pause)
        except KeyboardInterrupt:
            pass
        finally:
            Heartbeat.stop()
