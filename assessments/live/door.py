"""The door of the streams: it checks the people who come at the same moment together, by four queries for all."""

import asyncio
import contextvars
from collections.abc import Collection, Iterable
from typing import NamedTuple

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.sessions.models import Session
from django.db.models.functions import Now
from django.utils.crypto import constant_time_compare

from assessments.models import Assessment
from assessments.models.assessment import NUMBER
from assessments.models.rights import readers_of_all, reads

from .threads import in_stream_thread

# People in one check: the thread of all streams is soon free for other work.
AT_ONCE = 500


class Claim(NamedTuple):
    """A session's claim to watch an assessment."""

    session_key: str
    number: str


class Right(NamedTuple):
    """The person of a session, None without one; the assessment's revision, None when the person may not see it."""

    person: AbstractBaseUser | None = None
    revision: int | None = None


def rights(claims: Collection[Claim]) -> list[Right]:
    """Return the right to each claim, in their order."""
    people = people_of({claim.session_key for claim in claims})
    of_all = readers_of_all(people.values())
    assessments = Assessment.objects.filter(number__in={claim.number for claim in claims})
    facts = {
        number: (assessor, revision)
        for number, assessor, revision in assessments.order_by().values_list("number", "assessor_id", "revision")
    }

    def right(claim: Claim) -> Right:
        person = people.get(claim.session_key)
        assessor, revision = facts.get(claim.number, (None, None))
        if person is None or assessor is None or not reads(person.pk, assessor, of_all):
            return Right(person)
        return Right(person, revision)

    return [right(claim) for claim in claims]


def people_of(session_keys: Iterable[str]) -> dict[str, AbstractBaseUser]:
    """Return who is signed in with some sessions, by session key. The rules are those of django.contrib.auth."""
    sessions = Session.objects.filter(session_key__in=session_keys, expire_date__gt=Now())
    found = {session.session_key: session.get_decoded() for session in sessions}
    backends = settings.AUTHENTICATION_BACKENDS
    signed_in = {key: data for key, data in found.items() if data.get(BACKEND_SESSION_KEY) in backends}
    people = get_user_model()._default_manager.in_bulk({data[SESSION_KEY] for data in signed_in.values()})
    by_key = {str(pk): person for pk, person in people.items() if person.is_active}
    hashes = {key: person.get_session_auth_hash() for key, person in by_key.items()}
    return {
        key: by_key[data[SESSION_KEY]]
        for key, data in signed_in.items()
        # The hash changes with the password.
        if constant_time_compare(data.get(HASH_SESSION_KEY, ""), hashes.get(data[SESSION_KEY], "\0"))
    }


class Door:
    """Checks claims together: while one check runs, the claims that come wait for the next."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Claim, asyncio.Future[Right]]] = []
        self.task: asyncio.Task[None] | None = None

    async def knock(self, claim: Claim) -> Right:
        loop = asyncio.get_running_loop()
        if self.task and self.task.get_loop() is not loop:
            self.__init__()  # type: ignore[misc]
        if not NUMBER.fullmatch(claim.number):
            claim = claim._replace(number="")
        answer: asyncio.Future[Right] = loop.create_future()
        self.waiting.append((claim, answer))
        if self.task is None or self.task.done():
            # In an empty context: the check is for many requests.
            self.task = loop.create_task(self.check(), name="door", context=contextvars.Context())
        return await answer

    async def check(self) -> None:
        while self.waiting:
            present, self.waiting = self.waiting[:AT_ONCE], self.waiting[AT_ONCE:]
            try:
                found = await in_stream_thread(rights, [claim for claim, _ in present])
            except Exception as error:
                outcomes: list[Right | Exception] = [error] * len(present)
            else:
                outcomes = [*found]
            for (_, answer), outcome in zip(present, outcomes, strict=True):
                # The request may have been given up.
                if answer.done():
                    continue
                if isinstance(outcome, Exception):
                    answer.set_exception(outcome)
                else:
                    answer.set_result(outcome)


door = Door()
