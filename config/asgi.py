"""The ASGI application: Django over HTTP, with everything that is sent slowly kept off threads of its own."""

import os
import re
from typing import Any

from asgiref.sync import ThreadSensitiveContext
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter  # noqa: E402

from assessments.stream import STREAM_THREAD  # noqa: E402
from config.request_log import RequestLog  # noqa: E402

# The event stream, the JSON stream and the downloads: responses that may take as long as their reader likes.
# Never one that writes: it may wait for a lock, and all streams with it.
LASTING = re.compile(r"^/(assessments/[^/]+/(events/|documents/(report|estimate|photos-pdf|photos-zip)/)|api/[^/]+)$")


class LastingResponsesShareAThread:
    """Runs requests whose responses last on one shared thread.

    Django gives each ASGI request a thread for its synchronous parts and keeps it until the response ends: a thousand
    open streams would hold a thousand threads, each with a database connection. A context of ours around Django's is
    used instead of it.
    """

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if LASTING.match(scope["path"]):
            async with ThreadSensitiveContext(executor=STREAM_THREAD):
                await self.application(scope, receive, send)
        else:
            await self.application(scope, receive, send)


application = ProtocolTypeRouter({"http": RequestLog(LastingResponsesShareAThread(django_application))})
