from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand

from assessments.operations.demo.content import fill
from assessments.operations.demo.people import refuse_public


def at_least(lowest: int) -> Any:
    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < lowest:
            raise ArgumentTypeError(f"{text!r} is not a whole number from {lowest} on")
        return int(text)

    return number


class Command(BaseCommand):
    help = "Makes demo users and assessments with photos; what is there already is left as it is."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--assessments", type=at_least(0), default=3, help="How many there shall be (default 3).")
        parser.add_argument("--photos", type=at_least(0), default=12, help="Photos of each that is made (default 12).")
        parser.add_argument("--megapixels", type=at_least(1), default=12, help="Size of these photos (default 12).")
        parser.add_argument("--yes", action="store_true", help="Also on a site that others can reach.")

    def handle(self, *, assessments: int, photos: int, megapixels: int, yes: bool, **options: Any) -> None:
        refuse_public(yes)
        fill(assessments, photos, megapixels, self.stdout.write)
