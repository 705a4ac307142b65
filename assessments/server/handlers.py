"""Django for the event streams, which open by the thousand after a restart, and for the pages.

Django would hand each step of each middleware from the event loop to a thread, and wait for it there.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.csp import ContentSecurityPolicyMiddleware
from django.middleware.security import SecurityMiddleware
from django.utils.deprecation import MiddlewareMixin

from .middleware import CharactersMiddleware, HeadersMiddleware

type View = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


def inline(middleware: type[MiddlewareMixin]) -> Any:
    """Return a middleware whose steps run on the event loop: for steps that never wait."""

    def wrap(get_response: View) -> View:
        steps: Any = middleware(get_response)

        async def run(request: HttpRequest) -> HttpResponseBase:
            response = steps.process_request(request) if hasattr(steps, "process_request") else None
            response = response or await get_response(request)
            return steps.process_response(request, response) if hasattr(steps, "process_response") else response

        return run

    return wrap


class StreamHandler(ASGIHandler):
    """Runs only the middleware that a stream needs, on the event loop."""

    MIDDLEWARE = (
        inline(HeadersMiddleware),
        inline(SecurityMiddleware),
        inline(ContentSecurityPolicyMiddleware),
        inline(XFrameOptionsMiddleware),
        inline(CharactersMiddleware),
        inline(SessionMiddleware),
    )

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async)
        self._view_middleware: list[Any] = []
        handler = convert_exception_to_response(self._get_response_async)  # type: ignore[attr-defined]
        for middleware in reversed(self.MIDDLEWARE):
            handler = convert_exception_to_response(middleware(handler))
        self._middleware_chain = handler


class PageHandler(ASGIHandler):
    """Runs all middleware and the view, which are synchronous, in one thread."""

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        return await sync_to_async(self.get_response)(request)
