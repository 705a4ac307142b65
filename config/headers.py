"""What every answer says to the browser that Django has no setting for."""

from collections.abc import Awaitable, Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import async_only_middleware

# None of our pages uses a sensor, so nothing that gets into one may.
PERMISSIONS = ", ".join(
    f"{feature}=()" for feature in ("camera", "display-capture", "geolocation", "microphone", "payment", "usb")
)


@async_only_middleware
def HeadersMiddleware(  # noqa: N802
    get_response: Callable[[HttpRequest], Awaitable[HttpResponseBase]],
) -> Callable[[HttpRequest], Awaitable[HttpResponseBase]]:
    """Adds Permissions-Policy; and where a view says nothing of caches, that its answer is for one person alone."""

    async def middleware(request: HttpRequest) -> HttpResponseBase:
        response = await get_response(request)
        response.setdefault("Permissions-Policy", PERMISSIONS)
        response.setdefault("Cache-Control", "private, no-store")
        return response

    return middleware
