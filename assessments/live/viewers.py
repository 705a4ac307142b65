"""The viewers: who watches which assessment, and what the right to it rests on."""

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
