"""The peer of our streams: sse-starlette on uvicorn, doing the same work in the obvious way.

The peer hears of a change over the same Redis, reads the rows from the same database, renders the same HTML once, and
puts the HTML into the queue of each reader. The peer does not check the permission of a reader.
"""

import asyncio
import os
from collections import defaultdict
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
import django

django.setup()

from channels.layers import get_channel_layer  # noqa: E402
from sse_starlette import EventSourceResponse, ServerSentEvent  # noqa: E402
from starlette.applications import Starlette  # noqa: E402
from starlette.requests import Request  # noqa: E402
from starlette.responses import PlainTextResponse  # noqa: E402
from starlette.routing import Route  # noqa: E402

from assessments.documents import panel  # noqa: E402
from assessments.live.relay import GROUP  # noqa: E402
from assessments.models import Assessment  # noqa: E402

database_thread = ThreadPoolExecutor(max_workers=1)
readers: defaultdict[int, set[asyncio.Queue[ServerSentEvent]]] = defaultdict(set)
seen: dict[int, int] = {}


def events_of(assessment_id: int) -> list[ServerSentEvent]:
    view = panel.load([assessment_id])[assessment_id]
    changed = [document for document in view.documents if document.revision > seen[assessment_id]]
    seen[assessment_id] = max((document.revision for document in changed), default=seen[assessment_id])
    return [
        ServerSentEvent(panel.change(view, [document]), id=f"{view.assessment.number}:{document.revision}", sep="\n")
        for document in sorted(changed, key=lambda document: document.revision)
    ]


async def relay() -> None:
    layer = get_channel_layer()
    name = await layer.new_channel()
    await layer.group_add(GROUP, name)
    while True:
        for assessment_id in (await layer.receive(name))["assessments"]:
            if assessment_id in readers:
                for event in await asyncio.get_running_loop().run_in_executor(
                    database_thread, events_of, assessment_id
                ):
                    for queue in readers[assessment_id]:
                        queue.put_nowait(event)


async def events(request: Request) -> EventSourceResponse:
    number, _, revision = request.query_params["lastEventId"].partition(":")
    assessment = await asyncio.get_running_loop().run_in_executor(
        database_thread, lambda: Assessment.objects.only("pk").get(number=number)
    )
    seen.setdefault(assessment.pk, int(revision))
    return EventSourceResponse(stream(assessment.pk), ping=20, sep="\n")


async def stream(assessment_id: int) -> AsyncIterator[ServerSentEvent]:
    queue: asyncio.Queue[ServerSentEvent] = asyncio.Queue()
    readers[assessment_id].add(queue)
    try:
        yield ServerSentEvent("", event="stream-open", sep="\n")
        while True:
            yield await queue.get()
    finally:
        readers[assessment_id].discard(queue)


async def ready(request: Request) -> PlainTextResponse:
    return PlainTextResponse("ready")


@asynccontextmanager
async def lifespan(application: Starlette) -> AsyncIterator[None]:
    task = asyncio.create_task(relay())
    yield
    task.cancel()


application = Starlette(
    routes=[Route("/assessments/{number}/events/", events), Route("/readyz", ready)], lifespan=lifespan
)
