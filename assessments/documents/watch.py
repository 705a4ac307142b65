"""The watch over a running attempt: its lease, its progress, its deadline."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextvars import copy_context

from django.conf import settings
from django.db import connection

from assessments import sandbox
from assessments.connections import DATABASE_AWAY
from assessments.models import Attempt, Heartbeat
from assessments.models.slots import Superseded
from assessments.printing.contract import DocumentError

logger = logging.getLogger(__name__)

# Seconds between two checks for a cancel of the document, and between two records of progress.
LOOK = 0.25

# Seconds between two signs of life of this worker.
BEAT = 5.0

# Photos that are fetched at the same time.
FETCHES = 4


class Cancelled(Exception):  # noqa: N818
    """The document was cancelled while it was being made."""


class Watch:
    """Renews the lease of a running attempt and records its progress, up to its deadline."""

    def __init__(self, attempt: Attempt, expected_seconds: float | None = None) -> None:
        self.attempt = attempt
        self.deadline = time.monotonic() + settings.DOCUMENT_DEADLINE
        # The engine has given a sign of life before it began the task.
        self.last_look = self.last_renewal = self.last_beat = time.monotonic()
        # The first record of progress brings the expected time. A document that is made sooner needs no such record.
        self.said: sandbox.Progressed | None = sandbox.Progressed(0, "Starting")
        self.facts: dict[str, object] = {"expected_seconds": expected_seconds}

    def look(self) -> None:
        """Check the attempt, several times a second. Raises DocumentError, Cancelled or Superseded to end it."""
        now = time.monotonic()
        if now > self.deadline:
            raise DocumentError(
                f"This took longer than {settings.DOCUMENT_DEADLINE} seconds and was stopped. "
                "Retry it; if it happens again, give support the reference "
                f"{self.attempt.reference}."
            )
        if now - self.last_look < LOOK:
            return
        self.last_look = now
        try:
            # The sign of life comes first, because the other updates may wait for a lock.
            if now - self.last_beat > BEAT:
                Heartbeat.beat(Heartbeat.Role.WORKER)
                self.last_beat = now
            if self.said is not None:
                record(self.attempt, self.said.progress, self.said.message, **self.facts)
                self.said, self.facts, self.last_renewal = None, {}, now
            elif now - self.last_renewal > settings.LEASE.total_seconds() / 3:
                if not self.attempt.renew():
                    raise Superseded
                self.last_renewal = now
            else:
                check_standing(self.attempt)
        except DATABASE_AWAY:
            # The work goes on. If the database stays away longer than the lease, another worker takes the document.
            logger.warning("%s: the database does not answer", self.attempt, exc_info=True)
            connection.close()

    def during(self, jobs: Sequence[Callable[[threading.Event], None]], message: str = "") -> None:
        """Do slow jobs in threads. Each job gets an event, which is set when all jobs have to stop.

        ``message`` gets the number of the present job and the number of all jobs. Raises the errors of the jobs and of
        look(), and does not wait for jobs that hang.
        """
        over = threading.Event()
        pool = ThreadPoolExecutor(FETCHES, "transfers")
        told = 0
        try:
            # Each with the context of its own: its log lines then name the attempt.
            waiting = {pool.submit(copy_context().run, job, over) for job in jobs}
            while waiting:
                number = len(jobs) - len(waiting) + 1
                if message and number > told:
                    self.said = sandbox.Progressed(0, message.format(number, len(jobs)))
                    told = number
                done, waiting = wait(waiting, LOOK, FIRST_COMPLETED)
                for job in done:
                    job.result()
                self.look()
        finally:
            over.set()
            pool.shutdown(wait=False, cancel_futures=True)


def record(attempt: Attempt, progress: int | None, message: str, **values: object) -> None:
    try:
        attempt.report(progress, message, **values)
    except Superseded:
        check_standing(attempt)


def check_standing(attempt: Attempt) -> None:
    match attempt.standing():
        case "cancelled":
            raise Cancelled
        case "lost":
            raise Superseded
