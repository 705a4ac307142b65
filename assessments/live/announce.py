"""The announcement of changed documents to the relays of all processes."""

import asyncio
import atexit
import logging
import threading
from concurrent.futures import Future, wait
from functools import cache
from typing import Any

from channels.layers import get_channel_layer
from django.conf import settings

from assessments.models import Document
from assessments.models.slots import document_changed

from .relay import GROUP, relay

logger = logging.getLogger(__name__)

# Seconds within which the channel layer has to accept a message. Nobody waits for that, but a process that ends.
TELL_PATIENCE = 2.0

# The messages that are on their way.
under_way: set[Future[None]] = set()


@cache
def loop_to_announce_in() -> asyncio.AbstractEventLoop:
    """Return an event loop that runs to the end of the process. The loop is kept, as it has the connection to Redis."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="announcing", daemon=True).start()
    return loop


def announce(assessment_ids: list[int], **options: Any) -> None:
    """Send the changed assessments to the relays of all processes, after commit. A lost message costs one tick.

    The caller does not wait: a channel layer that hangs must not hold up a click, nor a worker, whose lease runs on.
    """
    try:
        if settings.REDIS_URL:
            # The loop of the relay ends before its process: a message in it would be lost, and waited for in vain.
            message = asyncio.run_coroutine_threadsafe(tell(assessment_ids), loop_to_announce_in())
            under_way.add(message)
            message.add_done_callback(under_way.discard)
        elif relay.running:
            # The in-memory layer reaches this process alone.
            asyncio.run_coroutine_threadsafe(tell(assessment_ids), relay.loop)
    except RuntimeError:
        logger.warning("A change could not be announced, as this process ends; the relays find it by looking")


@atexit.register
def let_messages_arrive() -> None:
    """Wait, at the end of the process, for the messages on their way: a change often comes last."""
    wait(set(under_way), TELL_PATIENCE)


async def tell(assessment_ids: list[int]) -> None:
    try:
        # The first call imports the layer.
        layer = get_channel_layer()
        async with asyncio.timeout(TELL_PATIENCE):
            await layer.group_send(GROUP, {"type": "changed", "assessments": assessment_ids})
    except Exception:
        logger.warning("A change could not be announced; the relays find it by looking", exc_info=True)


def connect() -> None:
    document_changed.connect(announce, sender=Document, dispatch_uid="announce")
