"""The live stream: django-eventstream, with the documents themselves as its events.

Nothing is stored for the stream. "The events since revision N" of an assessment are its documents with a higher
revision, each rendered in its present state with its revision as event id. So Last-Event-ID resumes exactly, a slow
client skips states it no longer needs, and there is no log to trim.
"""

import asyncio
import contextvars
import logging
import re
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from functools import cache, partial
from itertools import batched
from typing import Any, ClassVar, Self
from weakref import WeakSet

from channels.layers import get_channel_layer
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.models import Session
from django.db import Error, connection
from django.db.models.functions import Now
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from django_eventstream.channelmanager import ChannelManagerBase
from django_eventstream.event import Event
from django_eventstream.eventrequest import EventRequest
from django_eventstream.storage import StorageBase
from django_eventstream.utils import sse_encode_error
from django_eventstream.views import Listener, get_listener_manager, stream
from prometheus_client import Histogram

from . import panel
from .connections import keep_one, own_thread
from .models import Assessment, Document
from .models.assessment import EVENT_ID, AssessmentQuerySet, sees_all
from .models.document import document_changed

logger = logging.getLogger(__name__)

# All streams of a process share this one thread, and so one database connection, for what they read. Under ASGI Django
# would otherwise give each request that touches the ORM a thread of its own until its response ends, which for a
# stream is hours.
STREAM_THREAD = ThreadPoolExecutor(1, "streams", initializer=keep_one)

# From the moment that a document ended, by the database's clock, to when the streams of this process have it.
RELAY_LAG = Histogram(
    "assessments_relay_lag_seconds",
    "Seconds from the end of a document to its hand-over to the streams of this process.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=None,
)

# The revision in an event's id.
EVENT_REVISION = re.compile(rf"^id: ?{EVENT_ID.pattern}$", re.ASCII | re.MULTILINE)

# The channel-layer group that hears of every change.
GROUP = "documents"
# Seconds that the channel layer has to take a message.
TELL_PATIENCE = 0.5
# Seconds between two looks at who may still watch.
GUARD_TICK = 2.0
# Assessments or viewers in one query of the relay: the thread of all streams is soon free for the next.
AT_ONCE = 500


class AssessmentChannels(ChannelManagerBase):
    """One channel per assessment, by its number; the URL says which, never a query parameter."""

    def get_channels_for_request(self, request: HttpRequest, view_kwargs: dict[str, Any]) -> set[str]:
        return {view_kwargs["channel"]}

    def can_read_channel(self, user: AbstractBaseUser | None, channel: str) -> bool:
        return Assessment.objects.visible_to(user or AnonymousUser()).filter(number=channel).exists()

    def is_channel_reliable(self, channel: str) -> bool:
        return True


class DocumentStorage(StorageBase):
    """Reads events off the documents; has nothing to append and nothing to trim."""

    def get_events(self, channel: str, last_id: int, limit: int = 100) -> "list[Change]":
        _, changes = read_news(Assessment.objects.filter(number=channel), {channel: last_id})
        return changes.get(channel, [])[:limit]

    def get_current_id(self, channel: str) -> int:
        return Assessment.objects.values_list("revision", flat=True).get(number=channel)


class Change(Event):
    """A document's change; ``ended_at`` is when the document ended with it, by this process's monotonic clock."""

    def __init__(self, number: str, data: str, revision: int, ended_at: float | None) -> None:
        # Unnamed: htmx swaps those, and turns named ones into DOM events.
        super().__init__(number, "", data, revision)  # type: ignore[arg-type]
        self.ended_at = ended_at


def read_news(assessments: AssessmentQuerySet, since: dict[str, int]) -> tuple[dict[str, int], dict[str, list[Change]]]:
    """Return the present revisions of some assessments, and the changes of those that have any; both by number.

    Changes are told of assessments in ``since``, from that revision on; each document is rendered once.
    One query, and one panel however many assessments changed. A revision from the future, as after a restored back-up,
    counts as none at all.
    """
    revisions: dict[str, int] = {}
    behind: dict[int, int] = {}
    ahead = 0.0
    for pk, number, revision, now in assessments.order_by().values_list("pk", "number", "revision", Now()):
        revisions[number] = revision
        ahead = now.timestamp() - time.monotonic()
        if since.get(number, revision) != revision:
            behind[pk] = since[number] if since[number] < revision else 0
    changes: dict[str, list[Change]] = {}
    for pk, view in panel.load(behind).items():
        number = view.assessment.number
        # Another change may have come since: the panel is of one moment, and has it.
        revisions[number] = view.revision
        changed = [document for document in view.documents if document.revision > behind[pk]]
        changes[number] = [
            Change(number, panel.change(view, [document]), document.revision, ended_at(document, ahead))
            for document in sorted(changed, key=lambda document: document.revision)
        ]
    return revisions, changes


def ended_at(document: Document, ahead: float) -> float | None:
    """When a document ended, by a clock that the database's is ``ahead`` of; None while it has not."""
    return None if document.active or document.ended_at is None else document.ended_at.timestamp() - ahead


async def in_stream_thread[T](function: Callable[..., T], *args: Any) -> T:
    step = partial(contextvars.copy_context().run, _with_connection, function, *args)
    return await asyncio.get_running_loop().run_in_executor(STREAM_THREAD, step)


def _with_connection[T](function: Callable[..., T], *args: Any) -> T:
    try:
        return function(*args)
    except Error:
        # A broken connection would stay broken: the next look opens a new one.
        connection.close()
        raise


async def in_own_thread[T](function: Callable[..., T], *args: Any) -> T:
    """For what may have to wait for the database, so that nothing else waits with it."""
    step = partial(contextvars.copy_context().run, function, *args)
    with own_thread("writing") as thread:
        return await asyncio.get_running_loop().run_in_executor(thread, step)


# The viewers ------------------------------------------------------------------------------------------------------


class TooManyStreams(Exception):  # noqa: N818
    """Somebody watches as many assessments at once as one person may."""

    def __init__(self) -> None:
        super().__init__(
            f"You are watching {settings.STREAMS_PER_USER} pages at the same time, which is as many as is allowed. "
            "Close some of them; then this one goes on."
        )


class Viewer(Listener):
    """One open stream: who watches which assessment, and what the right to it rests on.

    Raises TooManyStreams for one too many. It counts from now until it is left, or for as long as anything holds it.
    """

    of_users: ClassVar[defaultdict[int, WeakSet["Viewer"]]] = defaultdict(WeakSet)

    def __init__(self, user: AbstractBaseUser, session_key: str, number: str) -> None:
        super().__init__()
        self.watcher: int = user.pk
        self.session_key = session_key
        # Changes with the password.
        self.session_hash = user.get_session_auth_hash()
        self.number = number
        self.channels = {number}
        self.dismissed = False
        # The revision that the page had, if it said so, and the newest that was sent.
        self.since: int | None = None
        self.sent = 0
        self.assign_loop()
        mine = self.of_users[self.watcher]
        if len(mine) >= settings.STREAMS_PER_USER:
            raise TooManyStreams
        mine.add(self)
        relay.start()

    def unsent(self, text: str) -> str:
        """Leave out of some events what was sent before: the stream's own reading and the relay may meet."""
        kept = []
        for event in text.split("\n\n"):
            if event.startswith(":"):
                # Padding for the browsers of long ago, of which every stream would keep a copy.
                continue
            if revision := EVENT_REVISION.search(event):
                if int(revision[2]) <= self.sent:
                    continue
                self.sent = int(revision[2])
            kept.append(event)
        return "\n\n".join(kept)

    def leave(self) -> None:
        self.of_users[self.watcher].discard(self)

    def dismiss(self) -> None:
        """End the stream: the right to it is gone. The page then asks again, and hears what it may still see."""
        self.dismissed = True
        # Read again: that makes django-eventstream come back even when there is nothing to send.
        self.overflow = True
        self.wake_threadsafe()

    # As a stream of another format than django-eventstream's.

    async def __aenter__(self) -> Self:
        get_listener_manager().add_listener(self)
        return self

    async def __aexit__(self, *error: object) -> None:
        get_listener_manager().remove_listener(self)
        self.leave()

    async def changed(self, patience: float) -> bool:
        """Wait for a change, or to be dismissed; False when neither came within ``patience`` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self.aevent.wait()
                self.aevent.clear()
                self.channel_items.clear()
                return True
        return False


def present_viewers() -> list[Viewer]:
    return [viewer for viewers in list(Viewer.of_users.values()) for viewer in viewers]


async def events_for(user: AbstractBaseUser, viewer: Viewer, since: str | None) -> AsyncIterator[str]:
    """The event stream of one viewer, from the revision ``since`` on (None: from now on), until it is dismissed."""
    # Not made of the HTTP request: of that, the library reads more than is meant for the public.
    request = EventRequest()
    request.is_next = False
    request.user = user
    request.channels = viewer.channels
    request.channel_last_ids = {} if since is None else {viewer.number: since}
    viewer.since = None if since is None else int(since)
    try:
        async with aclosing(stream(request, viewer)) as texts:
            async for text in texts:
                if viewer.dismissed:
                    break
                if unsent := viewer.unsent(text):
                    yield unsent
                # Until there is more, which may be in an hour, it is not kept.
                del text, unsent
        if viewer.dismissed:
            yield sse_encode_error("forbidden", "You may no longer watch this assessment.")
    finally:
        viewer.leave()


def event_stream(content: AsyncIterator[str]) -> StreamingHttpResponse:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingHttpResponse(content, content_type="text/event-stream", headers=headers)


def without_right(viewers: Collection[Viewer]) -> list[Viewer]:
    """Those of the viewers who signed out, were deactivated, or may no longer know of the assessment they watch."""
    people = get_user_model()._default_manager.in_bulk({viewer.watcher for viewer in viewers})
    hashes = {pk: person.get_session_auth_hash() for pk, person in people.items() if person.is_active}
    sessions = Session.objects.filter(
        session_key__in={viewer.session_key for viewer in viewers}, expire_date__gt=timezone.now()
    )
    signed_in = set(sessions.values_list("session_key", flat=True))
    assessments = Assessment.objects.filter(number__in={viewer.number for viewer in viewers})
    assessors = dict(assessments.values_list("number", "assessor_id"))

    def may_stay(viewer: Viewer) -> bool:
        return (
            viewer.session_key in signed_in
            and hashes.get(viewer.watcher) == viewer.session_hash
            and viewer.number in assessors
            and (sees_all(people[viewer.watcher]) or assessors[viewer.number] == viewer.watcher)
        )

    return [viewer for viewer in viewers if not may_stay(viewer)]


# The relay --------------------------------------------------------------------------------------------------------


class Relay:
    """Tells this process's streams of changes. One task per process, started by the first stream.

    It looks at the assessments that the channel layer names, and once in a tick at all that are watched, and hands each
    changed document, rendered once, to all streams that watch it. A message is only a hint: lost, late or double, the
    next look finds the same truth in the database.
    """

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self.forget()

    def forget(self) -> None:
        """Begin anew: all that is watched is looked at next, as if for the first time."""
        self.seen: dict[str, int] = {}
        # The assessments that have been named since the last look, and whether there is any.
        self.told: set[int] = set()
        self.news = asyncio.Event()
        # When all have to be looked at, by the loop's clock.
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
        # An empty context: it outlives the request that happens to start it.
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
                    # Whatever was missed meanwhile: as if seen for the first time, every stream reads again.
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
                # What was announced before the subscription stood was not heard.
                self.due = 0.0
                self.news.set()
                while True:
                    message = await layer.receive(name)
                    self.told.update(message["assessments"])
                    self.news.set()
            except Exception:
                logger.warning("The channel layer does not answer; changes are found by looking", exc_info=True)
                await asyncio.sleep(1)

    async def look(self) -> None:
        told, self.told = self.told, set()
        manager = get_listener_manager()
        with manager.lock:
            watched = set(manager.listeners_by_channel)
        now = asyncio.get_running_loop().time()
        if now < self.due:
            if watched:
                await self.pass_on(Assessment.objects.filter(pk__in=told), watched)
            return
        self.due = now + settings.RELAY_TICK
        self.seen = {number: revision for number, revision in self.seen.items() if number in watched}
        for numbers in batched(watched, AT_ONCE):
            await self.pass_on(Assessment.objects.filter(number__in=numbers), watched)

    async def pass_on(self, assessments: AssessmentQuerySet, watched: set[str]) -> None:
        """Hand the streams what has changed in some assessments since it was last looked at them."""
        revisions, changes = await in_stream_thread(read_news, assessments, self.seen)
        for number in revisions.keys() & watched:
            # A change between a stream's own first read and this first look would be lost to it.
            if number not in self.seen:
                self.read_again(number, revisions[number])
            self.seen[number] = revisions[number]
        for number, changed in changes.items():
            for change in changed:
                get_listener_manager().add_to_queues(number, change)
                if change.ended_at is not None:
                    RELAY_LAG.observe(max(0.0, time.monotonic() - change.ended_at))

    @staticmethod
    def read_again(number: str, revision: int) -> None:
        """Make the streams of an assessment that are not known to be at that revision read from the storage."""
        manager = get_listener_manager()
        with manager.lock:
            listeners = set(manager.listeners_by_channel.get(number, ()))
            for listener in listeners:
                if revision not in (listener.since, listener.sent):
                    listener.overflow = True
                    listener.wake_threadsafe()


relay = Relay()


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
