"""The signs of life of workers and sweeps."""

from django.contrib import admin
from django.utils import timezone

from assessments.models import (
    Heartbeat,
)

from .base import ReadOnlyAdmin


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    list_display = ["name", "role", "seen_at", "alive"]
    list_filter = ["role"]

    @admin.display(boolean=True)
    def alive(self, heartbeat: Heartbeat) -> bool:
        return timezone.now() - heartbeat.seen_at < Heartbeat.RECENT
