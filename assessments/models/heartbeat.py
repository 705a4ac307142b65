"""The signs of life of workers and sweeps."""

import os
import socket
from datetime import timedelta

from django.db import connection, models
from django.db.models.functions import Now

from .fields import ChoiceField
from .lease import from_now


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
        cls.objects.update_or_create(name=here(), defaults={"role": role, "seen_at": Now()})
        cls.objects.filter(seen_at__lt=from_now(-timedelta(days=1))).delete()

    @classmethod
    def stop(cls) -> None:
        """Remove the sign of life of this process, which may have been stopped in the middle of a transaction."""
        connection.close()
        cls.objects.filter(name=here()).delete()

    @classmethod
    def alive(cls, role: str) -> int:
        """Return how many processes of a role gave a sign of life in the last 20 seconds."""
        return cls.objects.filter(role=role, seen_at__gte=from_now(-cls.RECENT)).count()
