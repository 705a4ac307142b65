"""A worker: runs the tasks of django-tasks-db one after another, and gives signs of life."""

import time
from typing import Any

from django.core.management.base import BaseCommand
from django.utils.crypto import get_random_string
from django_tasks_db.management.commands.db_worker import Worker
from django_tasks_db.models import DBTaskResult

from assessments import worker as documents
from assessments.models import Heartbeat

# Seconds between two looks for work.
POLL = 0.1


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
        documents.warm_up()
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
                engine.beat()
                engine.run()
                if engine.running:
                    time.sleep(POLL)
        finally:
            Heartbeat.stop()
