"""Connections to the database: who has one, for how long, and on PostgreSQL what it may do."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, InterfaceError, InternalError, OperationalError, connection, connections


@contextmanager
def own_thread(name: str) -> Iterator[ThreadPoolExecutor]:
    """A thread for one request, which closes its connection itself when it has done all that it was given.

    Nothing waits for that, so nothing can cancel it: not even the end of a request whose thread waits for a lock. A
    thread that ends with its connection open has cost the pool a connection for good.
    """
    thread = ThreadPoolExecutor(1, name)
    try:
        yield thread
    finally:
        thread.submit(connections.close_all)
        thread.shutdown(wait=False)


def limit_statements() -> None:
    """End each statement of this process that takes too long. One of a command, such as a migration, may take long."""
    if connection.vendor == "postgresql":
        connection.settings_dict["OPTIONS"]["options"] += f" -c statement_timeout={settings.STATEMENT_TIMEOUT}s"


def share() -> None:
    """Have requests take their connections from a pool; a worker needs one alone, and keeps it."""
    if connection.vendor == "postgresql":
        connections.settings[DEFAULT_DB_ALIAS]["OPTIONS"]["pool"] = settings.DATABASE_POOL
        connections.settings[DEFAULT_DB_ALIAS]["CONN_HEALTH_CHECKS"] = True


def keep_one() -> None:
    """Give this thread a connection beside the pool: what it does goes on when the pool is empty."""
    options = {**connection.settings_dict["OPTIONS"]}
    if options.pop("pool", None):
        connection.settings_dict = {**connection.settings_dict, "OPTIONS": options, "CONN_MAX_AGE": None}


def give_back() -> None:
    """Give this thread's connection back to the pool, before a wait. A transaction needs it."""
    if "pool" in connection.settings_dict["OPTIONS"] and not connection.in_atomic_block:
        connection.close()


# What a query raises when the database is away, restarts, is locked for too long, or has ended what took too long.
DATABASE_AWAY = (OperationalError, InterfaceError, InternalError)


def insist[T](step: Callable[[], T]) -> T:
    """Take a step that ends an attempt; while the database does not answer, try again for as long as the lease."""
    give_up = time.monotonic() + settings.LEASE.total_seconds()
    while True:
        try:
            return step()
        except DATABASE_AWAY:
            if time.monotonic() > give_up:
                raise
            connection.close()
            time.sleep(0.5)
