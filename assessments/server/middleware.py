"""The middleware around every view."""

from inspect import iscoroutinefunction
from itertools import chain
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.core.exceptions import BadRequest, MiddlewareNotUsed
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin
from servestatic.middleware import ServeStaticMiddleware

from assessments import logs

# Our pages use none of these features, so a script that gets into a page must not use them either.
PERMISSIONS = ", ".join(
    f"{feature}=()" for feature in ("camera", "display-capture", "geolocation", "microphone", "payment", "usb")
)


class HeadersMiddleware(MiddlewareMixin):
    """Add Permissions-Policy to each response, and `private, no-store` where the view sets no Cache-Control.

    A sign-out also clears the browser's cache, which has the small pictures of photos: people share machines.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        # Both the page and the admin have a view of this name.
        if request.method == "POST" and request.resolver_match and request.resolver_match.url_name == "logout":
            response["Clear-Site-Data"] = '"cache", "storage"'
        response.setdefault("Permissions-Policy", PERMISSIONS)
        response.setdefault("Cache-Control", "private, no-store")
        return response


class CharactersMiddleware(MiddlewareMixin):
    """Refuse an address or a cookie that contains NUL; no honest client sends one.

    PostgreSQL accepts no NUL in a text, so a query for such a text would fail. The fields of forms refuse NUL, too.
    """

    def process_request(self, request: HttpRequest) -> None:
        parameters = chain.from_iterable([name, *values] for name, values in request.GET.lists())
        texts = chain([request.path], request.COOKIES.values(), parameters)
        if any("\0" in text for text in texts):
            raise BadRequest("There is a NUL in the address or in a cookie")


class StaticFilesMiddleware(ServeStaticMiddleware):
    """Send static files. A synchronous handler leaves this out, and gets no requests for static files."""

    sync_capable = True

    def __init__(self, get_response: Any) -> None:
        if not iscoroutinefunction(get_response):
            raise MiddlewareNotUsed
        super().__init__(get_response)


class UserMiddleware(MiddlewareMixin):
    """Add the user to the subject of the log, once a request has loaded its session; cause no query of its own."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        # A response of 500 or more may come from a session that cannot be loaded: loading it again would fail, too.
        known = response.status_code < 500 and request.session.accessed
        if known and (user := request.session.get(SESSION_KEY)):
            # The subject is not reset: a lasting response is sent after this middleware has returned.
            logs.subject.set({**logs.subject.get(), "user": str(user)})
        return response
