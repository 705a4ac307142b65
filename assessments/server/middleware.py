"""What is done around every view."""

from collections.abc import Awaitable, Callable
from itertools import chain

from django.contrib.auth import SESSION_KEY
from django.core.exceptions import BadRequest
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import async_only_middleware

from assessments import logs

type View = Callable[[HttpRequest], Awaitable[HttpResponseBase]]

# None of our pages uses a sensor, so nothing that gets into one may.
PERMISSIONS = ", ".join(
    f"{feature}=()" for feature in ("camera", "display-capture", "geolocation", "microphone", "payment", "usb")
)


@async_only_middleware
def HeadersMiddleware(get_response: View) -> View:  # noqa: N802
    """Adds Permissions-Policy; and where a view says nothing of caches, that its answer is for one person alone."""

    async def middleware(request: HttpRequest) -> HttpResponseBase:
        response = await get_response(request)
        response.setdefault("Permissions-Policy", PERMISSIONS)
        response.setdefault("Cache-Control", "private, no-store")
        return response

    return middleware


@async_only_middleware
def CharactersMiddleware(get_response: View) -> View:  # noqa: N802
    """Refuses an address or a cookie with a NUL in it, which nobody means well with.

    PostgreSQL takes none in a text, so looking for one there is an error. What comes in a form, its fields refuse.
    """

    async def middleware(request: HttpRequest) -> HttpResponseBase:
        parameters = chain.from_iterable([name, *values] for name, values in request.GET.lists())
        texts = chain([request.path], request.COOKIES.values(), parameters)
        if any("\0" in text for text in texts):
            raise BadRequest("There is a NUL in the address or in a cookie")
        return await get_response(request)

    return middleware


@async_only_middleware
def UserMiddleware(get_response: View) -> View:  # noqa: N802
    """Notes who it was, once a request has looked at its session; it causes no look at the database."""

    async def middleware(request: HttpRequest) -> HttpResponseBase:
        response = await get_response(request)
        # Where reading the session failed, it would fail again.
        known = response.status_code < 500 and request.session.accessed
        if known and (user := await request.session.aget(SESSION_KEY)):
            # Not taken back: the answer that lasts is sent after this has returned.
            logs.subject.set({**logs.subject.get(), "user": str(user)})
        return response

    return middleware
