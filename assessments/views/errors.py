"""What a person reads when a request could not be taken, or not to its end."""

import sys

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, TooManyFilesSent
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from assessments.storage import NO_ROOM


def plain(words: str, status: int, headers: dict[str, str] | None = None) -> HttpResponse:
    """An answer for a script, which shows its words."""
    return HttpResponse(f"{words}\n", status=status, content_type="text/plain; charset=utf-8", headers=headers)


def files_away() -> HttpResponse:
    """A file is there, as far as is known, and cannot be read now."""
    return HttpResponse(render_to_string("assessments/files_away.html"), status=503, headers={"Retry-After": "60"})


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What was sent is refused as a whole, before any view has seen it."""
    return HttpResponse(render_to_string("400.html", {"reason": reason(exception)}), status=400)


def reason(error: Exception) -> str:
    if isinstance(error, TooManyFilesSent):
        return (
            f"At most {settings.DATA_UPLOAD_MAX_NUMBER_FILES} photos can be uploaded at once, and none of these was "
            "added. Go back, choose fewer, and send the rest in a second go."
        )
    if isinstance(error, RequestDataTooBig):
        return "What you sent was too long, and nothing of it was saved. Go back, shorten the texts, and try again."
    return ""


def failed(request: HttpRequest) -> HttpResponse:
    """A view failed. Only what the person or the office can do something about has a page of its own."""
    error = sys.exc_info()[1]
    status = 507 if isinstance(error, OSError) and error.errno in NO_ROOM else 500
    return HttpResponse(render_to_string(f"{status}.html"), status=status)
