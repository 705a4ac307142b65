"""The viewers: the person, the assessment and the session of each open stream."""

import asyncio
from collections import defaultdict
from contextlib import suppress
from typing import ClassVar, Self
from weakref import WeakSet

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django_eventstream.views import Listener, get_listener_manager

from .changes import EVENT_REVISION


class TooManyStreams(Exception):  # noqa: N818
    """The person already watches as many assessments at once as one person may."""

    def __init__(self) -> None:
        super().__init__(
            f"You are watching {settings.STREAMS_PER_USER} pages at the same time, which is as many as is allowed. "
            "Close some of them; then this one goes on."
        )


class Viewer(Listener):
    """One open stream: the person, the assessment, and the session that gives the right to watch it.

    Raises TooManyStreams when the person has too many. A viewer counts until leave(), or as long as an object holds it.
    """

    of_users: ClassVar[defaultdict[int, WeakSet["Viewer"]]] = defaultdict(WeakSet)

    def __init__(self, user: AbstractBaseUser, session_key: str, number: str) -> None:
        super().__init__()
        self.watcher: int = user.pk
        self.session_key = session_key
        # This hash changes with the password.
        self.session_hash = user.get_session_auth_hash()
        self.number = number
        self.channels = {number}
        self.dismissed = False
        # The revision that the page had, if the request names it, and the newest revision that was sent.
        self.since: int | None = None
        self.sent = 0
        self.assign_loop()
        mine = self.of_users[self.watcher]
        if len(mine) >= settings.STREAMS_PER_USER:
            raise TooManyStreams
        mine.add(self)

    def unsent(self, text: str) -> str:
        """Remove events that were sent before: the stream's own read and the relay may both give the same event."""
        kept = []
        for event in text.split("\n\n"):
            if event.startswith(":"):
                # This is padding for very old browsers, of which every stream would keep a copy.
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
        """End the stream, because the right to it is gone. The page then connects again, under its present rights."""
        self.dismissed = True
        # With ``overflow``, django-eventstream reads the storage again, and returns even when there is nothing to send.
        self.overflow = True
        self.wake_threadsafe()

    # The use of a viewer for a stream in another format than django-eventstream's.

    async def __aenter__(self) -> Self:
        get_listener_manager().add_listener(self)
        return self

    async def __aexit__(self, *error: object) -> None:
        get_listener_manager().remove_listener(self)
        self.leave()

    async def changed(self, patience: float) -> bool:
        """Wait for a change or for a dismissal. Return False when neither came within ``patience`` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self.aevent.wait()
                self.aevent.clear()
                self.channel_items.clear()
                return True
        return False


def present_viewers() -> list[Viewer]:
    return [viewer for viewers in list(Viewer.of_users.values()) for viewer in viewers]
