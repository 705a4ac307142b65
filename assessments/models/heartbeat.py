"""The signs of life of workers and sweeps."""

import os
import socket
from datetime import timedelta

from django.db import connection, models
from django.db.models.functions import Now

from .fields import ChoiceField
from .lease import FromNow


def here() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


class Heartbeat(models.Model):
    """The last sign of life of one worker or sweep. The process counts as alive while the sign is recent."""

    class Role(models.TextChoices):
        WORKER = "worker", "Worker"
        SWEEP = "sweep", "Sweep"

    RECENT = timedelta(seconds=20)

    name = models.CharField(max_length=120, primary_key=True)
    role = ChoiceField(choices=Role)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.role} {self.name}"

    @classmethod
    def beat(cls, role: str) -> None:
        """Give a sign of life. The first one of a process also removes the signs that are older than a day."""
        if cls.objects.filter(name=here()).update(role=role, seen_at=Now()):
            return
        cls.objects.create(name=here(), role=role, seen_at=Now())
        cls.objects.filter(seen_at__lt=FromNow(-timedelta(days=1))).delete()

    @classmethod
    def stop(cls) -> None:
        """Remove the sign of life of this process, which may have been stopped in the middle of a transaction."""
        connection.close()
        cls.objects.filter(name=here()).delete()

    @classmethod
    def alive(cls, role: str) -> int:
        """Return how many processes of a role gave a sign of life in the last 20 seconds."""
        return cls.objects.filter(role=role, seen_at__gte=FromNow(-cls.RECENT)).count()
