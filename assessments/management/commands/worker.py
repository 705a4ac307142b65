"""A worker: runs the tasks of django-tasks-db one after another, and gives signs of life."""

import logging
import time
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection
from django.utils.crypto import get_random_string
from django_tasks_db.management.commands.db_worker import Worker
from django_tasks_db.models import DBTaskResult

from assessments import processes
from assessments import worker as documents
from assessments.models import Heartbeat

logger = logging.getLogger(__name__)

# Seconds between two looks for work, and before the next one when the database was away.
POLL = 0.1
PATIENCE = 1.0


class BeatingWorker(Worker):
    """Gives a sign of life before each task, too: a queue may be long without any document in it."""

    last_beat = 0.0

    def beat(self) -> None:
        if time.monotonic() - self.last_beat > documents.BEAT:
            Heartbeat.beat(Heartbeat.Role.WORKER)
            self.last_beat = time.monotonic()

    def run_task(self, db_task_result: "DBTaskResult[Any, Any]") -> None:
        self.beat()
        super().run_task(db_task_result)


class Command(BaseCommand):
    help = "Runs one worker; `serve` runs it together with the web process and the sweep."

    def handle(self, **options: Any) -> None:
        # A lease runs from the claim on: nobody should hold one while libraries are imported.
        processes.wait_until_warm()
        engine = BeatingWorker(
            queue_names=["*"],
            interval=0,
            # Comes back when there is no more work, so that this loop can give its sign of life.
            batch=True,
            backend_name="default",
            startup_delay=False,
            max_tasks=None,
            worker_id=get_random_string(32),
            excluded_queue_names=[],
        )
        engine.configure_signals()
        try:
            while engine.running:
                self.work(engine)
        finally:
            Heartbeat.stop()

    @staticmethod
    def work(engine: BeatingWorker) -> None:
        """Run all tasks that wait; survive a database that is restarted, its fork server and warm libraries with it."""
        pause = POLL
        try:
            engine.beat()
            engine.run()
        except documents.DATABASE_AWAY:
            logger.warning("The database does not answer; this worker tries again", exc_info=True)
            connection.close()
            pause = PATIENCE
        if engine.running:
            time.sleep(pause)
