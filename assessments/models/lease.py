"""The limits of leases: the number of attempts, the pause before another wake-up, and the database's clock."""

from datetime import timedelta
from typing import Any

from django.db.models import DateTimeField, ExpressionWrapper
from django.db.models.functions import Now

MAX_ATTEMPTS = 3
# How long a pending document waits before a worker is woken again, and a photo before its next attempt.
PATIENCE = timedelta(seconds=10)


def from_now(delay: timedelta) -> "ExpressionWrapper[Any]":
    """Return the time ``delay`` from now by the database's clock: the clocks of the machines may disagree."""
    return ExpressionWrapper(Now() + delay, output_field=DateTimeField())
