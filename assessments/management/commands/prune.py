from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from assessments.operations.prune import prune


class Command(BaseCommand):
    help = "Removes old versions of documents with their files, and old tasks, sessions, sign-ins and bulk requests."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be removed.")

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        for name, count in prune(dry_run).items():
            self.stdout.write(f"{name}: {count} {'would be removed' if dry_run else 'removed'}")
