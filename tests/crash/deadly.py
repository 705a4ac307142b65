"""Tasks that run after all documents: ``die`` kills each worker that takes it, ``mark`` makes a file."""

import os
import signal
from pathlib import Path

from django.tasks import task


@task(priority=-10)
def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@task(priority=-10)
def mark(path: str) -> None:
    Path(path).touch()
