"""The sweep: frees what dead workers left. A process of its own, outside of the queue that it guards."""

import logging
import signal
import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import OperationalError, connection

from assessments import mails, tasks
from assessments.models import Heartbeat

logger = logging.getLogger(__name__)

# Seconds between two looks for mails that no worker sent.
MAIL = 60.0


class Command(BaseCommand):
    help = "Recovers the documents that dead workers left, now and then; with --once, now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="Sweep one time and end.")

    def handle(self, *, once: bool, **options: Any) -> None:
        if once:
            self.stdout.write(f"{tasks.recover()} assessments woken.")
            return
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        # Often enough that a lost document waits for its lease, not for the sweep.
        pause = min(5.0, settings.LEASE.total_seconds() / 4)
        self.mails_due = time.monotonic() + MAIL
        try:
            while True:
                self.sweep()
                time.sleep(pause)
        except KeyboardInterrupt:
            pass
        finally:
            Heartbeat.stop()

    def sweep(self) -> None:
        try:
            Heartbeat.beat(Heartbeat.Role.SWEEP)
            if woken := tasks.recover():
                logger.info("%d assessments woken", woken)
            if time.monotonic() > self.mails_due:
                self.mails_due = time.monotonic() + MAIL
                mails.report_overdue()
        except OperationalError:
            logger.warning("The database does not answer; sweeping again soon", exc_info=True)
            connection.close()
