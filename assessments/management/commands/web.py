from argparse import ArgumentParser
from typing import Any

from django.conf import settings

from assessments.operations.site import ServingCommand
from assessments.server import web
from assessments.server.supervisor import refuse_debug


class Command(ServingCommand):
    help = "Runs one web process; `serve` runs it together with the workers and the sweep."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--bind", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=settings.PORT)

    def handle(self, *, bind: str, port: int, **options: Any) -> None:
        refuse_debug(bind)
        web.serve(bind, port)
