"""The pages that a person reads when a request is refused or fails."""

import sys
from sqlite3 import SQLITE_ERROR, SQLITE_FULL, SQLITE_IOERR_SHMSIZE
from typing import NamedTuple

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, TooManyFilesSent
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.defaultfilters import filesizeformat
from django.template.loader import render_to_string

from assessments.connections import DATABASE_AWAY
from assessments.storage.folder import NO_ROOM as DISK_FULL

# The codes of a database whose disk is full: SQLite's for its file and for the index of its journal, PostgreSQL's.
DATABASE_FULL = {SQLITE_FULL, SQLITE_IOERR_SHMSIZE}
DISK_FULL_ON_POSTGRESQL = "53100"


class Case(NamedTuple):
    """A page that says what happened and what to do next, from the template ``name`` in ``templates/errors``."""

    status: int
    name: str
    # Seconds after which to try again; with 0 the response does not say when.
    retry_after: int = 0
    # The most that may be sent at once.
    limit: str | int = ""

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)} if self.retry_after else {}


BAD_REQUEST = Case(400, "bad_request")
TOO_MANY_FILES = Case(400, "too_many_files", limit=settings.DATA_UPLOAD_MAX_NUMBER_FILES)
TOO_LONG = Case(400, "too_long")
SIGNED_OUT = Case(403, "signed_out")
TOO_LARGE = Case(413, "too_large")
FAILED = Case(500, "failed")
DAMAGED = Case(500, "damaged")
TOO_MUCH = Case(503, "too_much")
BUSY = Case(503, "busy", retry_after=10)
FILES_AWAY = Case(503, "files_away", retry_after=60)
NO_ROOM = Case(507, "no_room")


def page(case: Case) -> str:
    return render_to_string(f"errors/{case.name}.html", {"limit": case.limit})


def answer(case: Case) -> HttpResponse:
    return HttpResponse(page(case), status=case.status, headers=case.headers)


def plain(words: str, status: int, headers: dict[str, str] | None = None) -> HttpResponse:
    return HttpResponse(f"{words}\n", status=status, content_type="text/plain; charset=utf-8", headers=headers)


def too_large(limit: int) -> Case:
    return TOO_LARGE._replace(limit=filesizeformat(limit))


def case_of(error: BaseException | None) -> Case:
    """Return the case of an unexpected error. Only errors that people or the office can mend have their own pages."""
    # The database's own error, such as psycopg's or sqlite3's, has a code.
    cause = getattr(error, "__cause__", None)
    sqlite_code = getattr(cause, "sqlite_errorcode", None)
    no_room = sqlite_code in DATABASE_FULL or getattr(cause, "sqlstate", None) == DISK_FULL_ON_POSTGRESQL
    if no_room or (isinstance(error, OSError) and error.errno in DISK_FULL):
        return NO_ROOM
    # SQLite raises OperationalError for a missing table, too, and waiting does not mend that.
    return BUSY if isinstance(error, DATABASE_AWAY) and sqlite_code != SQLITE_ERROR else FAILED


# The handlers that Django calls ---------------------------------------------------------------------------------------


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Refuse the whole request, before any view has seen it."""
    if isinstance(exception, TooManyFilesSent):
        return answer(TOO_MANY_FILES)
    return answer(TOO_LONG if isinstance(exception, RequestDataTooBig) else BAD_REQUEST)


def failed(request: HttpRequest) -> HttpResponse:
    case = case_of(sys.exc_info()[1])
    if case in (BUSY, NO_ROOM):
        words = render_to_string(f"errors/{case.name}.html#words")
        if request.content_type == "application/json":
            return JsonResponse({"message": words}, status=case.status, headers=case.headers)
        if "HX-Request" in request.headers:
            return plain(words, case.status, case.headers)
    return answer(case)
