"""The middleware around every view."""

from collections.abc import Awaitable, Callable
from itertools import chain

from django.contrib.auth import SESSION_KEY
from django.core.exceptions import BadRequest
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import async_only_middleware

from assessments import logs

type View = Callable[[HttpRequest], Awaitable[HttpResponseBase]]

# Our pages use none of these features, so a script that gets into a page must not use them either.
PERMISSIONS = ", ".join(
    f"{feature}=()" for feature in ("camera", "display-capture", "geolocation", "microphone", "payment", "usb")
)


@async_only_middleware
def HeadersMiddleware(get_response: View) -> View:  # noqa: N802
    """Add Permissions-Policy to each response, and `private, no-store` where the view sets no Cache-Control."""

    async def middleware(request: HttpRequest) -> HttpResponseBase:
        response = await get_response(request)
        response.setdefault("Permissions-Policy", PERMISSIONS)
        response.setdefault("Cache-Control", "private, no-store")
        return response

    return middleware


@async_only_middleware
def CharactersMiddleware(get_response: View) -> View:  # noqa: N802
    """Refuse an address or a cookie that contains NUL; no honest client sends one.

    PostgreSQL accepts no NUL in a text, so a query for such a text would fail. The fields of forms refuse NUL, too.
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
    """Add the user to the subject of the log, once a request has loaded its session; cause no query of its own."""

    async def middleware(request: HttpRequest) -> HttpResponseBase:
        response = await get_response(request)
        # A response of 500 or more may come from a session that cannot be loaded: loading it again would fail, too.
        known = response.status_code < 500 and request.session.accessed
        if known and (user := await request.session.aget(SESSION_KEY)):
            # The subject is not reset: a lasting response is sent after this middleware has returned.
            logs.subject.set({**logs.subject.get(), "user": str(user)})
        return response

    return middleware
