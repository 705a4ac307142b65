"""The base of both engines: signs of life, and an end in two steps."""

import logging
import math
import signal
import time
from abc import ABC, abstractmethod
from types import FrameType

from django.db import connection

from assessments.connections import DATABASE_AWAY
from assessments.documents.watch import BEAT
from assessments.models import Heartbeat

logger = logging.getLogger(__name__)


class Engine(ABC):
    """Takes tasks from a queue and carries them out, one after another."""

    # The exception that ends a task in the middle.
    END: type[SystemExit] = SystemExit

    def __init__(self) -> None:
        self.running = True
        self.last_beat = -math.inf

    def configure_signals(self) -> None:
        signal.signal(signal.SIGINT, self.stop)
        signal.signal(signal.SIGTERM, self.stop)

    def stop(self, number: int, frame: FrameType | None) -> None:
        """End when the current task is done; at the second call, end at once: raise END."""
        if not self.running:
            raise self.END(1)
        self.running = False

    def beat(self) -> None:
        """Give a sign of life, once in BEAT seconds. Log the error of a database that is away, and do not raise it."""
        if time.monotonic() - self.last_beat < BEAT:
            return
        try:
            Heartbeat.beat(Heartbeat.Role.WORKER)
        except DATABASE_AWAY:
            logger.warning("The database does not answer; there is no sign of life", exc_info=True)
            connection.close()
        self.last_beat = time.monotonic()

    @abstractmethod
    def work(self) -> None:
        """Carry out tasks until this worker is told to end."""
