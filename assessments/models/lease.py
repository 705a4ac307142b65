"""The limits of a lease: how often a worker tries, how long a waiting row is left alone, and moments ahead."""

from datetime import timedelta
from typing import Any

from django.db.models import DateTimeField, ExpressionWrapper
from django.db.models.functions import Now

MAX_ATTEMPTS = 3
# How long a pending document waits for a worker until one is woken again.
PATIENCE = timedelta(seconds=10)


def from_now(delay: timedelta) -> "ExpressionWrapper[Any]":
    """A moment ahead by the database's clock: the machines' own clocks may disagree."""
    return ExpressionWrapper(Now() + delay, output_field=DateTimeField())
