"""The live stream: django-eventstream, with the documents themselves as its events.

Nothing is stored for the stream. "The events since revision N" of an assessment are its documents with a higher
revision, each rendered in its present state with its revision as event id. So Last-Event-ID resumes exactly, a slow
client skips states it no longer needs, and there is no log to trim.
"""

import asyncio
import contextvars
import logging
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, ClassVar, Self
from weakref import WeakSet

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.models import Session
from django.db import Error, close_old_connections, connection
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from django_eventstream.channelmanager import ChannelManagerBase
from django_eventstream.event import Event
from django_eventstream.eventrequest import EventRequest
from django_eventstream.storage import StorageBase
from django_eventstream.utils import sse_encode_error
from django_eventstream.views import Listener, get_listener_manager, stream

from . import panel
from .models import Assessment, Document
from .models.assessment import sees_all
from .models.document import document_changed

logger = logging.getLogger(__name__)

# All streams of a process share this one thread, and so one database connection, for what they read. Under ASGI Django
# would otherwise give each request that touches the ORM a thread of its own until its response ends, which for a
# stream is hours.
STREAM_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="streams")

# What a lasting response has to write may wait for a lock: not on the thread that all streams share.
WRITING_THREADS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="writing")

# The revision in an event's id.
EVENT_REVISION = re.compile(r"^id: ?\S+:(\d+)$", re.MULTILINE)

# The channel-layer group that hears of every change.
GROUP = "documents"
# Seconds that the channel layer has to take a message.
TELL_PATIENCE = 0.5
# Seconds between two looks at who may still watch.
GUARD_TICK = 2.0
# Seconds after which the subscription to the group is made anew; channel layers let them expire.
RESUBSCRIBE = 3600


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

    def get_events(self, channel: str, last_id: int, limit: int = 100) -> list[Event]:
        return events_since({channel: last_id}).get(channel, [])[:limit]

    def get_current_id(self, channel: str) -> int:
        return Assessment.objects.values_list("revision", flat=True).get(number=channel)


def events_since(revisions: dict[str, int]) -> dict[str, list[Event]]:
    """The changes of some assessments, by number, since the revisions given; each document rendered once.

    Two queries and one panel, however many assessments. A revision from the future, as after a restored back-up,
    counts as none at all.
    """
    present = dict(Assessment.objects.filter(number__in=revisions).values_list("number", "revision"))
    since = {
        number: revision if revision <= present[number] else 0
        for number, revision in revisions.items()
        if number in present
    }
    rows = Document.objects.filter(assessment__number__in=since, revision__gt=min(since.values(), default=0))
    changed: dict[int, list[tuple[int, int]]] = {}
    for assessment_id, number, pk, revision in rows.order_by("revision").values_list(
        "assessment_id", "assessment__number", "pk", "revision"
    ):
        if revision > since[number]:
            changed.setdefault(assessment_id, []).append((revision, pk))
    events: dict[str, list[Event]] = {}
    for assessment_id, view in panel.load(changed).items():
        documents = {row.document.pk: row.document for row in view.rows}
        events[view.assessment.number] = [
            # An unnamed event: htmx swaps those, and turns named ones into DOM events. Its id is the revision that was
            # found above, even where the document has changed again since: that change is then still to be told.
            Event(view.assessment.number, "", panel.change(view, [documents[pk]]), id=revision)  # type: ignore[arg-type]
            for revision, pk in changed[assessment_id]
        ]
    return events


def revisions_of(numbers: Iterable[str]) -> dict[str, int]:
    return dict(Assessment.objects.filter(number__in=numbers).values_list("number", "revision"))


async def in_stream_thread[T](function: Callable[..., T], *args: Any) -> T:
    return await asyncio.get_running_loop().run_in_executor(STREAM_THREAD, partial(_with_connection, function, *args))


def _with_connection[T](function: Callable[..., T], *args: Any) -> T:
    try:
        return function(*args)
    except Error:
        # A broken connection would stay broken: the next look opens a new one.
        connection.close()
        raise


async def in_writing_thread[T](function: Callable[..., T], *args: Any) -> T:
    return await asyncio.get_running_loop().run_in_executor(WRITING_THREADS, partial(_connected, function, *args))


def _connected[T](function: Callable[..., T], *args: Any) -> T:
    close_old_connections()
    try:
        return function(*args)
    finally:
        close_old_connections()


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
        # The newest revision that was sent.
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
            if revision := EVENT_REVISION.search(event):
                if int(revision[1]) <= self.sent:
                    continue
                self.sent = int(revision[1])
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
    try:
        async with aclosing(stream(request, viewer)) as texts:
            async for text in texts:
                if viewer.dismissed:
                    break
                if unsent := viewer.unsent(text):
                    yield unsent
        if viewer.dismissed:
            yield sse_encode_error("forbidden", "You may no longer watch this assessment.")
    finally:
        viewer.leave()


def event_stream(content: AsyncIterator[str]) -> StreamingHttpResponse:
    """The response that streams, which no proxy is to keep or collect."""
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

    It waits for a message of the channel layer or a tick, asks for the revisions of the watched assessments in one
    query, and hands each changed document, rendered once, to all streams that watch it. A message is only a hint:
    lost, late or double, the next look finds the same truth in the database.
    """

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self.seen: dict[str, int] = {}
        self.news = asyncio.Event()

    @property
    def running(self) -> bool:
        return self.task is not None and not self.task.done() and not self.loop.is_closed()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        assert self.task is not None
        return self.task.get_loop()

    def start(self) -> None:
        """Start it in the running event loop, unless it runs there already."""
        loop = asyncio.get_running_loop()
        if self.running and self.loop is loop:
            return
        self.news = asyncio.Event()
        self.seen = {}
        # An empty context: it outlives the request that happens to start it.
        self.task = loop.create_task(self.run(), name="relay", context=contextvars.Context())

    async def run(self) -> None:
        besides = [asyncio.create_task(self.hear()), asyncio.create_task(self.guard())]
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(settings.RELAY_TICK):
                        await self.news.wait()
                self.news.clear()
                try:
                    await self.look()
                except Exception:
                    # Whatever was missed meanwhile: as if seen for the first time, every stream reads again.
                    logger.exception("The relay could not read the documents; it tries again")
                    self.seen = {}
                    await asyncio.sleep(1)
        finally:
            for task in besides:
                task.cancel()

    async def guard(self) -> None:
        """See to it that nobody watches who may not any more."""
        while True:
            await asyncio.sleep(GUARD_TICK)
            try:
                viewers = present_viewers()
                for viewer in await in_stream_thread(without_right, viewers) if viewers else ():
                    viewer.dismiss()
            except Exception:
                logger.exception("It could not be seen who may still watch; it is tried again")

    async def hear(self) -> None:
        """Note that there is news whenever the channel layer says so."""
        while True:
            try:
                layer = get_channel_layer()
                name = await layer.new_channel()
                await layer.group_add(GROUP, name)
                # What was announced before the subscription stood was not heard.
                self.news.set()
                with suppress(TimeoutError):
                    async with asyncio.timeout(RESUBSCRIBE):
                        while True:
                            await layer.receive(name)
                            self.news.set()
                await layer.group_discard(GROUP, name)
            except Exception:
                logger.warning("The channel layer does not answer; changes are found by looking", exc_info=True)
                await asyncio.sleep(1)

    async def look(self) -> None:
        manager = get_listener_manager()
        with manager.lock:
            watched = set(manager.listeners_by_channel)
        if not watched:
            self.seen = {}
            return
        present = await in_stream_thread(revisions_of, watched)
        changed = {number: self.seen[number] for number in present if present[number] > self.seen.get(number, 2**63)}
        first = present.keys() - self.seen.keys()
        # A change between a stream's own first read and this first look would be lost to it: read again.
        for number in first:
            self.read_again(number)
        for number, events in (await in_stream_thread(events_since, changed) if changed else {}).items():
            for event in events:
                manager.add_to_queues(number, event)
        self.seen = present

    @staticmethod
    def read_again(number: str) -> None:
        """Make the streams of an assessment read from the storage, from where each of them is."""
        manager = get_listener_manager()
        with manager.lock:
            listeners = set(manager.listeners_by_channel.get(number, ()))
            for listener in listeners:
                listener.overflow = True
                listener.wake_threadsafe()


relay = Relay()


def announce(assessment_id: int, **options: Any) -> None:
    """Tell the relays of all processes to look. Called after commit; a message that gets lost costs one tick."""
    if not settings.REDIS_URL and not relay.running:
        # The in-memory layer reaches this process alone, and nobody here listens.
        return
    try:
        if relay.running:
            # In the loop of the streams, and without waiting for it: it may be ending.
            asyncio.run_coroutine_threadsafe(tell(assessment_id), relay.loop)
        else:
            async_to_sync(tell)(assessment_id)
    except Exception:
        logger.warning("A change could not be announced; the relays find it by looking", exc_info=True)


async def tell(assessment_id: int) -> None:
    # A channel layer that hangs must not hold up a worker, whose lease runs meanwhile.
    async with asyncio.timeout(TELL_PATIENCE):
        await get_channel_layer().group_send(GROUP, {"type": "changed", "assessment": assessment_id})


def connect() -> None:
    document_changed.connect(announce, sender=Document, dispatch_uid="announce")
