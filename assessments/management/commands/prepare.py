from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from assessments.operations.demo.people import refuse_public
from assessments.operations.prepare import prepare


class Command(BaseCommand):
    help = "Brings the database and the static files up to date, and names the site; what is so already is left alone."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--demo", action="store_true", help="Also makes the demo data.")
        parser.add_argument("--yes", action="store_true", help="Makes the demo data on a public site, too.")

    def handle(self, *, demo: bool, yes: bool, **options: Any) -> None:
        if demo:
            refuse_public(yes)
        prepare(self.stdout.write)
        if demo:
            call_command("demo", yes=yes)
