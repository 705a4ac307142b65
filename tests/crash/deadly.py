"""Tasks behind all documents: one that ends each worker that takes it, and one that leaves a mark."""

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
