"""A worker: carries out the tasks of its queue one after another, and gives signs of life."""

import os
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from assessments import connections
from assessments.documents import worker
from assessments.models import Heartbeat
from assessments.operations.engine import Engine
from assessments.operations.site import ServingCommand

# A tenth of the processor time that a web gets when both want all of it. What a worker has locked keeps others waiting,
# and who waits leaves it the processor.
NICENESS = 10


class Command(ServingCommand):
    help = "Runs one worker; `serve` runs it together with the web process and the sweep."

    def handle(self, **options: Any) -> None:
        connections.limit_statements()
        # A lease runs from the claim on: nobody should hold one while libraries are imported.
        worker.warm_up()
        # The people at the web pages go first. Not before: until all is imported this may neither work nor end well.
        # The fork server, which is of the same process group, steps back with it.
        os.setpriority(os.PRIO_PGRP, 0, NICENESS)
        engine: Engine = import_string(settings.TASK_ENGINE)()
        engine.configure_signals()
        try:
            engine.work()
        finally:
            Heartbeat.stop()
