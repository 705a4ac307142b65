"""Redis only speeds up changes: pages show changes seconds late without Redis, and at once when Redis is back."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import closing

from redis import Redis as Client
from redis.client import PubSub

from assessments.live.relay import GROUP
from tests import family
from tests.running import Site, run_manage, wait_until
from tests.servers import Redis

from .scene import OWN, all_made, ask, health, serve, workers
from .viewer import Viewer, nothing_missed, nothing_twice

# Seconds between two queries of a relay that hears nothing, and seconds that a busy machine may add.
TICK, SLACK = 5, 15
# Changes a document as the last thing that its process does.
CHANGE = f"""
from assessments.models import Document
report = Document.objects.get(assessment__number="{OWN}", kind="report")
Document.objects.filter(pk=report.pk).change(report.assessment_id, message="Looked at")
"""


def test_changes_are_seen_without_redis_and_at_once_when_it_is_back(
    start_site: Callable[..., Site], redis: Redis
) -> None:
    site = start_site(REDIS_URL=redis.url, LEASE_SECONDS="30")
    (worker,) = workers(site)
    viewer = Viewer(site, OWN)
    viewer.start()
    wait_until(lambda: viewer.opened, "the page does not open")
    wait_until(lambda: health(site)["healthy"], "it is not healthy")
    ask(site)
    renderer = family.hold_renderer(worker)
    redis.stop()
    expected = {
        "healthy": False,
        "database": "alive",
        "channel layer": "not answering",
        "workers": "alive",
        "sweep": "alive",
    }
    wait_until(lambda: health(site) == expected, "it does not say what is away")
    known = viewer.revision
    os.kill(renderer, signal.SIGCONT)
    wait_until(lambda: viewer.revision > known, "no change is seen without Redis", TICK + SLACK)
    wait_until(lambda: all_made(site), "the documents are not made", 60)
    wait_until(lambda: nothing_missed(viewer), "the page misses a change", TICK + SLACK)

    redis.start()
    wait_until(lambda: health(site)["healthy"], "it is not healthy")
    wait_until(lambda: seen_at_once(site, viewer), "changes are still late", 180)
    wait_until(lambda: all_made(site), "the documents are not made", 60)
    wait_until(lambda: nothing_missed(viewer), "the page misses a change", TICK + SLACK)
    with closing(Client.from_url(redis.url)) as client, client.pubsub() as messages:
        messages.subscribe(f"asgi__group__{GROUP}")
        known = viewer.revision
        run_manage(site.environment, "shell", "--verbosity", "0", "--command", CHANGE)
        wait_until(lambda: told(messages), "a process ends without announcing its last change", 20)
    wait_until(lambda: viewer.revision > known, "the page misses a change", TICK + SLACK)
    assert nothing_twice(viewer), viewer.revisions
    assert viewer.opened == 1
    assert workers(site) == [worker]
    assert len(family.named(serve(site), "web")) == 1


def told(messages: PubSub) -> bool:
    message = messages.get_message(timeout=1)
    return bool(message and message["type"] == "message")


def seen_at_once(site: Site, viewer: Viewer) -> bool:
    """Return whether three changes in a row reach the page sooner than the relay's queries would find them."""
    for _ in range(3):
        wait_until(lambda: all_made(site) and nothing_missed(viewer), "the document is not made", 60)
        known = viewer.revision
        asked = time.monotonic()
        ask(site, "estimate")
        wait_until(lambda known=known: viewer.revision > known, "the change is not seen")
        if time.monotonic() - asked > 1:
            return False
    return True
