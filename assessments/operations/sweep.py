"""The sweep, which frees the documents of dead workers: a process of its own, outside of the queue that it guards.

The loop of the sweep only gives signs of life and recovers documents. Threads beside the loop do all other work.
"""

import logging
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from threading import Thread
from types import FrameType
from typing import NoReturn

from django.conf import settings
from django.db import connection

from assessments.documents import mails, tasks
from assessments.models import Attempt, Heartbeat, Tally
from assessments.storage import folder as storage

from . import removal
from .prune import prune

logger = logging.getLogger(__name__)

# The most seconds until the first run of a chore: a sweep that is restarted every day must do its daily chores, too.
SOON = 60.0
# Seconds that a mail on its way has to be delivered when the sweep ends.
GRACE = 5.0


def try_to(work: Callable[[], object]) -> None:
    """Do work and log its errors: the sweep guards everything else, so an error in one round must not end the sweep."""
    try:
        work()
    except Exception:
        logger.exception("The sweep could not do all of its work; it tries again")
        connection.close()


def repeat(every: float, work: Callable[[], object]) -> None:
    """Do work in a thread of its own beside the loop: soon after the start, and then every ``every`` seconds.

    The loop goes on while a mail server or a bucket hangs. Work may be cut off at any point; the next run goes on.
    """
    time.sleep(min(every, SOON))
    while True:
        try_to(work)
        connection.close()
        time.sleep(every)


def prune_now() -> None:
    logger.info("Pruned: %s", ", ".join(f"{name}: {count}" for name, count in prune().items()))


def once() -> int:
    """Sweep one time; return how many assessments were woken."""
    woken = tasks.recover()
    Attempt.remove_lost_files()
    removal.remove_files()
    Tally.count_changes()
    return woken


def run() -> None:
    """Sweep until this process is told to end."""
    told: list[int] = []

    def end(number: int, frame: FrameType | None) -> NoReturn:
        # The request is noted, too: in a function that SQLite calls, the exception would be lost.
        told.append(number)
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    lease = settings.LEASE.total_seconds()
    # The loop runs so often that a lost document waits for its lease, not for the sweep.
    pause = min(5.0, lease / 4)
    chores: list[tuple[float, Callable[[], object]]] = [
        (pause, partial(mails.report_failures, mails.FRESH)),
        (60, mails.report_failures),
        (60, Tally.count_changes),
        (lease, Attempt.remove_lost_files),
        (pause, removal.remove_files),
        (86_400, storage.remove_left_parts),
        (86_400, prune_now),
    ]
    for chore in chores:
        Thread(target=repeat, args=chore, daemon=True).start()
    try:
        while not told:
            try_to(partial(Heartbeat.beat, Heartbeat.Role.SWEEP))
            try_to(tasks.recover)
            time.sleep(pause)
    finally:
        mails.sending.acquire(timeout=GRACE)
        Heartbeat.stop()
