"""What a person reads when a request could not be taken, or not to its end."""

import sys
from sqlite3 import SQLITE_ERROR
from typing import NamedTuple

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, TooManyFilesSent
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.defaultfilters import filesizeformat
from django.template.loader import render_to_string

from assessments import worker
from assessments.storage import NO_ROOM as DISK_FULL


class Case(NamedTuple):
    """A page that says what happened, and what to do next."""

    status: int
    title: str
    heading: str
    words: str
    # Seconds after which it is worth trying again; 0 says nothing about that.
    retry_after: int = 0

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)} if self.retry_after else {}


BAD_REQUEST = Case(
    400,
    "Not understood",
    "That could not be taken",
    "What was sent was incomplete or malformed, and nothing of it was saved. Go back and try again.",
)
TOO_MANY_FILES = BAD_REQUEST._replace(
    words="At most {limit} photos can be uploaded at once, and none of these was added. Go back, choose fewer, and "
    "send the rest in a second go."
)
TOO_LONG = BAD_REQUEST._replace(
    words="What you sent was too long, and nothing of it was saved. Go back, shorten the texts, and try again."
)
TOO_LARGE = Case(
    413,
    "Too large",
    "That was too large",
    "At most {limit} can be sent here at once, and nothing of this was kept. Go back and send less; of photos, send "
    "the rest in a second go.",
)
FAILED = Case(
    500,
    "Something went wrong",
    "Something went wrong here",
    "It is not your doing. What you did last may not have been saved: go back, look, and try again. If it goes wrong "
    "again, tell support what you did and when.",
)
TOO_MUCH = Case(
    503,
    "Not now",
    "Not just now",
    "The server cannot take this much at the moment, and nothing of what you sent was kept. Go back, wait a minute, "
    "then send it again.",
)
BUSY = TOO_MUCH._replace(
    words="The database did not answer in time, so this was not done to its end. Wait a moment, then try again. If you "
    "had filled in a form, go back first: what you wrote is still in it.",
    retry_after=10,
)
FILES_AWAY = TOO_MUCH._replace(
    words="This file cannot be fetched at the moment, because the place where files are kept does not answer. Nothing "
    "is lost: wait a minute, then reload this page. If it goes on, tell support.",
    retry_after=60,
)
NO_ROOM = Case(
    507,
    "No room",
    "There is no room left",
    "The server's disk is full, so not all of what you sent was saved. Ask support to make room, look at what is "
    "there, then try again.",
)


def page(case: Case, request: HttpRequest | None = None) -> str:
    """The page of a case. Without a request it needs no database: it does not show who is signed in."""
    return render_to_string("error.html", {"case": case}, request)


def answer(case: Case, request: HttpRequest | None = None) -> HttpResponse:
    return HttpResponse(page(case, request), status=case.status, headers=case.headers)


def plain(words: str, status: int, headers: dict[str, str] | None = None) -> HttpResponse:
    """An answer for a script, which shows its words."""
    return HttpResponse(f"{words}\n", status=status, content_type="text/plain; charset=utf-8", headers=headers)


def too_large(limit: int) -> Case:
    """More bytes were sent than may be sent there at once."""
    return TOO_LARGE._replace(words=TOO_LARGE.words.format(limit=filesizeformat(limit)))


def case_of(error: BaseException | None) -> Case:
    """The case of an error that nothing expected. Only what a person or the office can mend has a page of its own."""
    # SQLite also calls a table that is missing an operational error, which waiting does not mend.
    missing = getattr(getattr(error, "__cause__", None), "sqlite_errorcode", None) == SQLITE_ERROR
    if isinstance(error, worker.DATABASE_AWAY) and not missing:
        return BUSY
    return NO_ROOM if isinstance(error, OSError) and error.errno in DISK_FULL else FAILED


# What Django calls ----------------------------------------------------------------------------------------------------


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What was sent is refused as a whole, before any view has seen it."""
    case = BAD_REQUEST
    if isinstance(exception, TooManyFilesSent):
        case = TOO_MANY_FILES._replace(words=TOO_MANY_FILES.words.format(limit=settings.DATA_UPLOAD_MAX_NUMBER_FILES))
    elif isinstance(exception, RequestDataTooBig):
        case = TOO_LONG
    return answer(case)


def failed(request: HttpRequest) -> HttpResponse:
    case = case_of(sys.exc_info()[1])
    if case is BUSY and request.content_type == "application/json":
        return JsonResponse({"message": case.words}, status=case.status, headers=case.headers)
    if case is BUSY and "HX-Request" in request.headers:
        return plain(case.words, case.status, case.headers)
    return answer(case)
