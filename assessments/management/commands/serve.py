import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from assessments.operations import private
from assessments.server.supervisor import Supervisor, check_free, confirm_site_beside, refuse_debug


class Command(BaseCommand):
    help = "Runs the web process, the workers and the sweep; Ctrl-C ends them when the current document is made."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--bind", default="127.0.0.1", help="The address to listen on.")
        parser.add_argument("--port", type=int, default=settings.PORT, help="The port to listen on.")
        parser.add_argument("--workers", type=int, default=settings.WORKERS, help="How many workers to run.")

    def handle(self, *, bind: str, port: int, workers: int, **options: Any) -> None:
        for name, number, most in (("workers", workers, 64), ("port", port, 65535)):
            if not 1 <= number <= most:
                raise CommandError(f"--{name} is {number}; it must be from 1 to {most}.", returncode=2)
        refuse_debug(bind)
        check_free(bind, port)
        if port != settings.PORT:
            # The sweep's mails take the port of their links from the settings, so start again with the right settings.
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, "PORT": str(port)})
        private.close_data_folder()
        confirm_site_beside()
        supervisor = Supervisor(bind, port, workers)
        self.stdout.write(f"Serving on http://{bind}:{port} (Ctrl-C ends it)\n")
        self.stdout.flush()
        supervisor.run()
