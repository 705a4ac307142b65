"""Whether this process can serve, and whether the whole of the site is alive."""

import asyncio
from collections.abc import Callable

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from assessments.models import Heartbeat


def database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


@async_to_sync
async def channel_layer() -> None:
    layer = get_channel_layer()
    async with asyncio.timeout(PATIENCE):
        await layer.group_send("probe", {"type": "probe"})


def workers() -> None:
    if not Heartbeat.alive(Heartbeat.Role.WORKER):
        raise RuntimeError("no worker is running")


def sweep() -> None:
    if not Heartbeat.alive(Heartbeat.Role.SWEEP):
        raise RuntimeError("no sweep is running")


# Seconds that the channel layer has to answer.
PATIENCE = 2.0
CHECKS: dict[str, Callable[[], None]] = {
    "database": database,
    "channel layer": channel_layer,
    "workers": workers,
    "sweep": sweep,
}


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    try:
        database()
    except Exception:
        return HttpResponse("The database does not answer.\n", status=503, content_type="text/plain")
    return HttpResponse("ready\n", content_type="text/plain")


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    states = {name: "alive" if answers(check) else "not answering" for name, check in CHECKS.items()}
    healthy = all(state == "alive" for state in states.values())
    return JsonResponse({"healthy": healthy, **states}, status=200 if healthy else 503)


def answers(check: Callable[[], None]) -> bool:
    try:
        check()
    except Exception:
        return False
    return True
