from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from assessments.operations.prepare import prepare


class Command(BaseCommand):
    help = "Brings the database and the static files up to date, and names the site; what is so already is left alone."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--demo", action="store_true", help="Also makes the demo data.")

    def handle(self, *, demo: bool, **options: Any) -> None:
        prepare(self.stdout.write)
        if demo:
            call_command("demo")
