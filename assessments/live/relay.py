"""The relay: one task of each web process, which sends the changes of documents to the streams of the process."""

import asyncio
import contextvars
import logging
import time
from collections.abc import Collection
from contextlib import suppress
from itertools import batched

from channels.layers import get_channel_layer
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.db.models import Q
from django.db.models.functions import Now
from django_eventstream.views import get_listener_manager
from prometheus_client import Histogram

from assessments.models import Assessment
from assessments.models.assessment import AssessmentQuerySet
from assessments.models.rights import readers_of_all, reads

from .changes import read_news
from .threads import in_stream_thread
from .viewers import Viewer, present_viewers

logger = logging.getLogger(__name__)

# The time from the end of a document, by the database's clock, until the streams of this process have the change.
RELAY_LAG = Histogram(
    "assessments_relay_lag_seconds",
    "Seconds from the end of a document to its hand-over to the streams of this process.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=None,
)

# The channel-layer group that receives every change.
GROUP = "documents"
# Seconds between two checks of the viewers' rights.
GUARD_TICK = 2.0
# Assessments or viewers in one query of the relay. The number is small, so that the thread of all streams is soon free.
AT_ONCE = 500


def without_right(viewers: Collection[Viewer]) -> list[Viewer]:
    """Return the viewers who signed out, were deactivated, or may no longer see the assessment they watch."""
    people = get_user_model()._default_manager.in_bulk({viewer.watcher for viewer in viewers})
    hashes = {pk: person.get_session_auth_hash() for pk, person in people.items() if person.is_active}
    of_all = readers_of_all(people.values())
    sessions = Session.objects.filter(session_key__in={viewer.session_key for viewer in viewers}, expire_date__gt=Now())
    signed_in = set(sessions.values_list("session_key", flat=True))
    assessments = Assessment.objects.filter(number__in={viewer.number for viewer in viewers})
    assessors = dict(assessments.values_list("number", "assessor_id"))

    def may_stay(viewer: Viewer) -> bool:
        return (
            viewer.session_key in signed_in
            and hashes.get(viewer.watcher) == viewer.session_hash
            and viewer.number in assessors
            and reads(viewer.watcher, assessors[viewer.number], of_all)
        )

    return [viewer for viewer in viewers if not may_stay(viewer)]


class Relay:
    """Sends changes to this process's streams. One task per process, started by the first stream.

    The relay reads the assessments that the channel layer names, and once a tick all watched assessments. Each changed
    document is rendered once, for all its streams. A message is only a hint: when a message is lost, late or double,
    the next read finds the same state in the database.
    """

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self.forget()

    def forget(self) -> None:
        """Begin anew: the relay next reads all watched assessments, as if for the first time."""
        self.seen: dict[str, int] = {}
        # The assessments that messages have named since the last read, and an event that ends the wait for messages.
        self.told: set[int] = set()
        # The assessments that streams have begun to watch since the last read.
        self.entered: set[str] = set()
        self.news = asyncio.Event()
        # When all watched assessments have to be read, by the loop's clock.
        self.due = 0.0

    @property
    def running(self) -> bool:
        return self.task is not None and not self.task.done() and not self.loop.is_closed()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        assert self.task is not None
        return self.task.get_loop()

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        if self.running and self.loop is loop:
            return
        self.forget()
        # The task has an empty context, because it outlives the request that starts it.
        self.task = loop.create_task(self.run(), name="relay", context=contextvars.Context())

    async def run(self) -> None:
        besides = [asyncio.create_task(self.hear()), asyncio.create_task(self.guard())]
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(self.due):
                        await self.news.wait()
                self.news.clear()
                try:
                    await self.look()
                except Exception:
                    # Changes may be missed meanwhile. After forget(), every stream reads from the storage again.
                    logger.exception("The relay could not read the documents; it tries again")
                    await asyncio.sleep(1)
                    self.forget()
        finally:
            for task in besides:
                task.cancel()

    async def guard(self) -> None:
        while True:
            await asyncio.sleep(GUARD_TICK)
            try:
                for viewers in batched(present_viewers(), AT_ONCE):
                    for viewer in await in_stream_thread(without_right, viewers):
                        viewer.dismiss()
            except Exception:
                logger.exception("It could not be seen who may still watch; it is tried again")

    async def hear(self) -> None:
        while True:
            try:
                layer = get_channel_layer()
                name = await layer.new_channel()
                await layer.group_add(GROUP, name)
                # Changes that were announced before the subscription were missed, so all are read now.
                self.due = 0.0
                self.news.set()
                while True:
                    message = await layer.receive(name)
                    self.told.update(message["assessments"])
                    self.news.set()
            except Exception:
                logger.warning("The channel layer does not answer; changes are found by looking", exc_info=True)
                await asyncio.sleep(1)

    def enter(self, number: str) -> None:
        """Compare the newest stream of an assessment with the database: it may have missed a change as it began."""
        self.entered.add(number)
        self.news.set()

    async def look(self) -> None:
        told, self.told = self.told, set()
        entered, self.entered = self.entered, set()
        manager = get_listener_manager()
        with manager.lock:
            watched = set(manager.listeners_by_channel)
        now = asyncio.get_running_loop().time()
        if now < self.due:
            if watched:
                named = Assessment.objects.filter(Q(pk__in=told) | Q(number__in=entered))
                await self.pass_on(named, watched, entered)
            return
        self.due = now + settings.RELAY_TICK
        self.seen = {number: revision for number, revision in self.seen.items() if number in watched}
        for numbers in batched(watched, AT_ONCE):
            await self.pass_on(Assessment.objects.filter(number__in=numbers), watched, entered)

    async def pass_on(self, assessments: AssessmentQuerySet, watched: set[str], entered: Collection[str] = ()) -> None:
        """Give the streams the changes of some assessments since the last read of these assessments."""
        revisions, changes = await in_stream_thread(read_news, assessments, self.seen)
        for number in revisions.keys() & watched:
            # Otherwise a stream would miss a change between the door's read and its beginning.
            if number not in self.seen or number in entered:
                self.read_again(number, revisions[number])
            self.seen[number] = revisions[number]
        for number, changed in changes.items():
            for change in changed:
                get_listener_manager().add_to_queues(number, change)
                if change.ended_at is not None:
                    RELAY_LAG.observe(max(0.0, time.monotonic() - change.ended_at))

    @staticmethod
    def read_again(number: str, revision: int) -> None:
        """Make streams of an assessment read from the storage again, unless they are known to have that revision."""
        manager = get_listener_manager()
        with manager.lock:
            listeners = set(manager.listeners_by_channel.get(number, ()))
            for listener in listeners:
                if revision not in (listener.since, listener.sent):
                    listener.overflow = True
                    listener.wake_threadsafe()


relay = Relay()
