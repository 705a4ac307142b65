"""A word to the relays of all processes that documents have changed."""

import asyncio
import logging
import threading
from functools import cache
from typing import Any

from channels.layers import get_channel_layer
from django.conf import settings

from assessments.models import Document
from assessments.models.document import document_changed

from .relay import GROUP, relay

logger = logging.getLogger(__name__)

# Seconds that the channel layer has to take a message.
TELL_PATIENCE = 0.5


@cache
def loop_to_announce_in() -> asyncio.AbstractEventLoop:
    """An event loop for a process without streams: what is kept is the connection to Redis."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="announcing", daemon=True).start()
    return loop


def announce(assessment_ids: list[int], **options: Any) -> None:
    """Tell the relays of all processes to look. Called after commit; a message that gets lost costs one tick.

    Nobody waits for it: a channel layer that hangs must not hold up a click, nor a worker, whose lease runs meanwhile.
    """
    if not settings.REDIS_URL and not relay.running:
        # The in-memory layer reaches this process alone, and nobody here listens.
        return
    try:
        asyncio.run_coroutine_threadsafe(tell(assessment_ids), relay.loop if relay.running else loop_to_announce_in())
    except RuntimeError:
        logger.warning("A change could not be announced, as this process ends; the relays find it by looking")


async def tell(assessment_ids: list[int]) -> None:
    try:
        async with asyncio.timeout(TELL_PATIENCE):
            await get_channel_layer().group_send(GROUP, {"type": "changed", "assessments": assessment_ids})
    except Exception:
        logger.warning("A change could not be announced; the relays find it by looking", exc_info=True)


def connect() -> None:
    document_changed.connect(announce, sender=Document, dispatch_uid="announce")
