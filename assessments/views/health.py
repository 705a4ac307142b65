"""The probes of this process and of the whole site, and the metrics."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from channels.layers import get_channel_layer
from django.conf import settings
from django.db import Error, connection
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe
from prometheus_client.exposition import choose_encoder

from assessments.live.threads import in_own_thread
from assessments.models import Heartbeat
from assessments.models.rights import reads_all
from assessments.operations.metrics import registry

from .errors import plain

logger = logging.getLogger(__name__)

# Seconds that each check has to answer. The request's own thread must not wait: the response passes through it.
PATIENCE = 2.0


def database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


async def channel_layer() -> None:
    await get_channel_layer().group_send("probe", {"type": "probe"})


def alive(role: Heartbeat.Role) -> None:
    if not Heartbeat.alive(role):
        raise RuntimeError(f"no {role} is running")


CHECKS: dict[str, Callable[[], Awaitable[None]]] = {
    "database": partial(in_own_thread, database),
    "channel layer": channel_layer,
    "workers": partial(in_own_thread, alive, Heartbeat.Role.WORKER),
    "sweep": partial(in_own_thread, alive, Heartbeat.Role.SWEEP),
}


@require_safe
async def readyz(request: HttpRequest) -> HttpResponse:
    if not await answers(CHECKS["database"]):
        return HttpResponse("The database does not answer.\n", status=503, content_type="text/plain")
    return HttpResponse("ready\n", content_type="text/plain")


@require_safe
async def healthz(request: HttpRequest) -> JsonResponse:
    found = await asyncio.gather(*map(answers, CHECKS.values()))
    states = {name: "alive" if answer else "not answering" for name, answer in zip(CHECKS, found, strict=True)}
    healthy = all(found)
    return JsonResponse({"healthy": healthy, **states}, status=200 if healthy else 503)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer Prometheus with the metrics. Raises Http404 for people who neither have the token nor are staff."""
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    try:
        if not (has_token(request) or reads_all(request.user)):
            raise Http404("There is no such page.")
        return HttpResponse(encode(registry), content_type=content_type)
    except Error:
        logger.warning("The metrics could not be read", exc_info=True)
        return plain("The database does not answer, so there is nothing to measure. Try again.", 503)


def has_token(request: HttpRequest) -> bool:
    given = request.headers.get("Authorization", "")
    return bool(settings.METRICS_TOKEN) and constant_time_compare(given, f"Bearer {settings.METRICS_TOKEN}")


async def answers(check: Callable[[], Awaitable[None]]) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            await check()
    except Exception:
        return False
    return True
