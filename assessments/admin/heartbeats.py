"""The signs of life of workers and sweeps."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from assessments.models import (
    Heartbeat,
)
from assessments.models.lease import FromNow

from .base import ReadOnlyAdmin


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    list_display = ["name", "role", "seen_at", "alive"]
    list_filter = ["role"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.annotate(recent=Q(seen_at__gte=FromNow(-Heartbeat.RECENT)))  # type: ignore[no-any-return]

    @admin.display(boolean=True)
    def alive(self, heartbeat: Heartbeat) -> bool:
        return bool(heartbeat.recent)  # type: ignore[attr-defined]
