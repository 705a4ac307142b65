from argparse import ArgumentParser
from typing import Any

from assessments.operations import sweep
from assessments.operations.site import ServingCommand


class Command(ServingCommand):
    help = "Recovers the documents that dead workers left, now and then; with --once, now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="Sweep one time and end.")

    def handle(self, *, once: bool, **options: Any) -> None:
        if once:
            self.stdout.write(f"{sweep.once()} assessments woken.")
        else:
            sweep.run()
