"""Connections to the database: their owners, their lifetimes, and their limits on PostgreSQL."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, InterfaceError, InternalError, OperationalError, connection, connections


@contextmanager
def own_thread(name: str) -> Iterator[ThreadPoolExecutor]:
    """Give a thread to one request. The thread closes its connection itself when it has done all its work.

    The request does not wait for the closing, so the end of a request whose thread waits for a lock cannot cancel the
    closing. A thread that ends with its connection open costs the pool a connection for good.
    """
    thread = ThreadPoolExecutor(1, name)
    try:
        yield thread
    finally:
        thread.submit(connections.close_all)
        thread.shutdown(wait=False)


def limit_statements() -> None:
    """Limit the time of each statement of this process. A command does not call this: a migration may take long."""
    if connection.vendor == "postgresql":
        connection.settings_dict["OPTIONS"]["options"] += f" -c statement_timeout={settings.STATEMENT_TIMEOUT}s"


def keep() -> None:
    """Keep this process's connection from task to task. A new connection would have to plan each statement again."""
    connections.settings[DEFAULT_DB_ALIAS] |= {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}


def share() -> None:
    """Have requests take their connections from a pool."""
    if connection.vendor == "postgresql":
        connections.settings[DEFAULT_DB_ALIAS]["OPTIONS"]["pool"] = settings.DATABASE_POOL
        connections.settings[DEFAULT_DB_ALIAS]["CONN_HEALTH_CHECKS"] = True


def keep_one() -> None:
    """Give this thread a connection beside the pool, so that its work goes on when the pool is empty."""
    options = {**connection.settings_dict["OPTIONS"]}
    if options.pop("pool", None):
        connection.settings_dict = {**connection.settings_dict, "OPTIONS": options, "CONN_MAX_AGE": None}


def give_back() -> None:
    """Give this thread's connection back to the pool, before a wait. Do nothing in a transaction, which needs it."""
    if "pool" in connection.settings_dict["OPTIONS"] and not connection.in_atomic_block:
        connection.close()


# The errors of a query when the database is away, restarts, is locked for too long, or has ended a slow statement.
DATABASE_AWAY = (OperationalError, InterfaceError, InternalError)


def insist[T](step: Callable[[], T]) -> T:
    """Do a step that ends an attempt. While the database does not answer, try again for the length of a lease."""
    give_up = time.monotonic() + settings.LEASE.total_seconds()
    while True:
        try:
            return step()
        except DATABASE_AWAY:
            if time.monotonic() > give_up:
                raise
            connection.close()
            time.sleep(0.5)
