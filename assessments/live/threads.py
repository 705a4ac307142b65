"""The one thread that all streams share, and the threads of single requests."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from django.db import Error, connection

from assessments.connections import keep_one, own_thread

# All streams of a process read through this one thread, and so through one database connection. Otherwise Django would,
# under ASGI, give each request that touches the ORM a thread of its own until its response ends, which for a stream is
# hours.
STREAM_THREAD = ThreadPoolExecutor(1, "streams", initializer=keep_one)


async def in_stream_thread[T](function: Callable[..., T], *args: Any) -> T:
    step = partial(contextvars.copy_context().run, _with_connection, function, *args)
    return await asyncio.get_running_loop().run_in_executor(STREAM_THREAD, step)


def _with_connection[T](function: Callable[..., T], *args: Any) -> T:
    try:
        return function(*args)
    except Error:
        # A broken connection would stay broken. The next query opens a new connection.
        connection.close()
        raise


async def in_own_thread[T](function: Callable[..., T], *args: Any) -> T:
    """Run a function that may wait for the database in a thread of its own, so that no other work waits with it."""
    step = partial(contextvars.copy_context().run, function, *args)
    with own_thread("writing") as thread:
        return await asyncio.get_running_loop().run_in_executor(thread, step)
