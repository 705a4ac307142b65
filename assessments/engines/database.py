"""The queue is a table of the database: django-tasks-db."""

import time
from typing import Any

from django.tasks import TaskResultStatus
from django.utils.crypto import get_random_string
from django_tasks_db.management.commands.db_worker import Worker
from django_tasks_db.models import DBTaskResult

from assessments import worker

from .engine import Engine

# Seconds between two looks for work.
POLL = 0.1


class DatabaseEngine(Engine, Worker):
    AWAY = worker.DATABASE_AWAY

    def __init__(self) -> None:
        Worker.__init__(
            self,
            queue_names=["*"],
            interval=0,
            # Comes back when there is no more work, so that there can be a sign of life.
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
            # To take a task is to write. Only to look costs a third of it, and holds up nobody who writes.
            if DBTaskResult.objects.filter(status=TaskResultStatus.READY).exists():
                self.run()
            if self.running:
                time.sleep(POLL)

    def run_task(self, db_task_result: "DBTaskResult[Any, Any]") -> None:
        # A queue may be long without any document in it.
        self.beat()
        super().run_task(db_task_result)
