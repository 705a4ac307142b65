"""A worker: runs the tasks of django-tasks-db one after another, and gives signs of life."""

import time
from typing import Any

from django.core.management.base import BaseCommand
from django.utils.crypto import get_random_string
from django_tasks_db.management.commands.db_worker import Worker

from assessments import worker as documents
from assessments.models import Heartbeat

# Seconds between two looks for work.
POLL = 0.1


class Command(BaseCommand):
    help = "Runs one worker; `serve` runs it together with the web process and the sweep."

    def handle(self, **options: Any) -> None:
        documents.warm_up()
        engine = Worker(
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
        last_beat = 0.0
        try:
            while engine.running:
                if time.monotonic() - last_beat > documents.BEAT:
                    Heartbeat.beat(Heartbeat.Role.WORKER)
                    last_beat = time.monotonic()
                engine.run()
                if engine.running:
                    time.sleep(POLL)
        finally:
            Heartbeat.stop()
