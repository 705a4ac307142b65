"""The command of a worker, which carries out the tasks of its queue one after another and gives signs of life."""

import os
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from assessments import connections
from assessments.documents import worker
from assessments.models import Heartbeat
from assessments.operations import temporary
from assessments.operations.engine import Engine
from assessments.operations.site import ServingCommand

# A worker gets a tenth of the processor time of a web process when both want all of it. A web process that waits for a
# lock of the worker leaves the processor to the worker.
NICENESS = 10


class Command(ServingCommand):
    help = "Runs one worker; `serve` runs it together with the web process and the sweep."

    def handle(self, **options: Any) -> None:
        connections.limit_statements()
        connections.keep()
        # A killed worker leaves the pictures of the photo that it looked at.
        temporary.use_own_folder("worker")
        # A lease runs from the claim on: a worker should not hold a lease while it imports libraries.
        worker.warm_up()
        # Web pages come first, but only from here on: a slowed import would delay the work, and an end of this process.
        # The fork server is in the same process group, so it gets the same niceness.
        os.setpriority(os.PRIO_PGRP, 0, NICENESS)
        engine: Engine = import_string(settings.TASK_ENGINE)()
        engine.configure_signals()
        try:
            engine.work()
        finally:
            Heartbeat.stop()
