"""What an address and a cookie may be made of."""

from collections.abc import Awaitable, Callable
from itertools import chain

from django.core.exceptions import BadRequest
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import async_only_middleware


@async_only_middleware
def CharactersMiddleware(  # noqa: N802
    get_response: Callable[[HttpRequest], Awaitable[HttpResponseBase]],
) -> Callable[[HttpRequest], Awaitable[HttpResponseBase]]:
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
