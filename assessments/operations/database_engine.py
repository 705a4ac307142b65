"""The engine with a queue in a table of the database: django-tasks-db."""

import logging
import time
from typing import Any

from django.db import connection
from django.tasks import TaskResultStatus
from django.utils.crypto import get_random_string
from django_tasks_db.management.commands.db_worker import Worker
from django_tasks_db.models import DBTaskResult

from assessments.connections import DATABASE_AWAY

from .engine import Engine

logger = logging.getLogger(__name__)

# Seconds between two checks for work, and until the next check when the database was away. A check by an idle process
# costs some 2 ms of processor time.
POLL, PATIENCE = 0.2, 1.0


class DatabaseEngine(Engine, Worker):
    def __init__(self) -> None:
        Worker.__init__(
            self,
            queue_names=["*"],
            interval=0,
            # run() returns when there is no more work, so that this engine can give a sign of life.
            batch=True,
            backend_name="default",
            startup_delay=False,
            max_tasks=None,
            worker_id=get_random_string(32),
            excluded_queue_names=[],
        )
        Engine.__init__(self)

    def work(self) -> None:
        while self.running:
            self.beat()
            pause = POLL
            try:
                # Taking a task is a write. This query costs a third of a write, and holds up no writer.
                if DBTaskResult.objects.filter(status=TaskResultStatus.READY).exists():
                    self.run()
            except DATABASE_AWAY as error:
                logger.warning("The queue does not answer (%s); this worker tries again", error)
                connection.close()
                pause = PATIENCE
            if self.running:
                time.sleep(pause)

    def run_task(self, db_task_result: "DBTaskResult[Any, Any]") -> None:
        # A long queue may hold no document, so its tasks alone would give no sign of life.
        self.beat()
        super().run_task(db_task_result)
