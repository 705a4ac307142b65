from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from assessments.documents.kinds import SLUGS
from assessments.models import Assessment
from assessments.models.assessment import NUMBER
from assessments.models.states import NotAllowed
from assessments.operations import terminal


class Command(BaseCommand):
    help = "Asks for the documents of an assessment and follows them; ends with 0 when all were made, 1 otherwise."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("number", help="The assessment, such as ASM-2026-001.")
        parser.add_argument("--only", nargs="+", choices=SLUGS, metavar="DOCUMENT", help="Ask for these alone.")
        parser.add_argument("--inline", action="store_true", help="Make them here, without a worker.")

    def handle(self, *, number: str, only: list[str] | None, inline: bool, **options: Any) -> None:
        assessment = Assessment.objects.filter(number=number).first() if NUMBER.fullmatch(number) else None
        if assessment is None:
            raise CommandError(f"There is no assessment {number}. A number looks like ASM-2026-001.", returncode=2)
        try:
            terminal.generate(assessment, only, inline)
        except NotAllowed as refusal:
            raise CommandError(str(refusal), returncode=2) from None
