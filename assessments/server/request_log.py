"""The id of each request, on every log line that the request causes, and one log line at the end of the request."""

import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from assessments import logs

logger = logging.getLogger(__name__)

# An id from the client or from the proxy is accepted if its characters can harm neither a header nor a log.
GIVEN = re.compile(rb"[A-Za-z0-9._-]{8,64}")
# The addresses that machines request every few seconds.
PROBES = ("/livez", "/readyz", "/healthz", "/metrics")


class RequestLog:
    """Gives each request its id, in the log and in the header X-Request-ID of its response.

    Wraps the whole application, to see the end of a response that lasts for hours, and of a response that breaks off.
    """

    def __init__(self, application: Callable[..., Awaitable[None]]) -> None:
        self.application = application

    async def __call__(self, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        request_id = given_id(scope) or uuid.uuid4().hex.encode()
        begun = time.monotonic()
        status: int | None = None

        async def send_on(message: dict[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), (b"X-Request-ID", request_id)]}
            await send(message)

        with logs.about(request_id=request_id.decode()):
            try:
                await self.application(scope, receive, send_on)
            except Exception:
                status = status or 500
                raise
            finally:
                facts = {"method": scope["method"], "path": scope["path"], "status": status}
                logger.log(
                    logging.DEBUG if scope["path"] in PROBES else logging.INFO,
                    "%(method)s %(path)s: %(status)s",
                    facts,
                    extra={**facts, "ms": round((time.monotonic() - begun) * 1000)},
                )


def given_id(scope: dict[str, Any]) -> bytes | None:
    given = [value for name, value in scope["headers"] if name == b"x-request-id"]
    return given[0] if len(given) == 1 and GIVEN.fullmatch(given[0]) else None
