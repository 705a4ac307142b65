"""Connections to the database: who has one, and for how long."""

from django.db import connection


def give_back() -> None:
    """Give this thread's connection back to the pool, before a wait. A transaction needs it."""
    if "pool" in connection.settings_dict["OPTIONS"] and not connection.in_atomic_block:
        connection.close()
