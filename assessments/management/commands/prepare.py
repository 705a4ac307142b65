"""Makes a machine ready to serve."""

import hashlib
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

from assessments.operations import site


class Command(BaseCommand):
    help = "Brings the database and the static files up to date, and names the site; what is so already is left alone."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--demo", action="store_true", help="Also makes the demo data.")

    def handle(self, *, demo: bool, **options: Any) -> None:
        try:
            executor = MigrationExecutor(connection)
            unapplied = executor.migration_plan(executor.loader.graph.leaf_nodes())
        except OperationalError as error:
            reason = str(error).strip().splitlines()[0]
            raise CommandError(f"The database cannot be used: {reason}. See DATABASE_URL.", returncode=2) from error
        if unapplied:
            self.stdout.write("Preparing the database ...")
            call_command("migrate", interactive=False, verbosity=0)
        try:
            site.settle()
        except OSError as error:
            reason = f"The stored files cannot be used: {error}. See MEDIA_DIR and S3_BUCKET."
            raise CommandError(reason, returncode=2) from error
        # Collecting hashes and compresses every file, which takes seconds; a look at the files takes none.
        mark = Path(settings.STATIC_ROOT) / ".collected"
        sources = static_sources()
        if not mark.exists() or mark.read_text() != sources:
            self.stdout.write("Collecting the static files ...")
            call_command("collectstatic", interactive=False, verbosity=0)
            mark.write_text(sources)
        if demo:
            call_command("demo")


def static_sources() -> str:
    """Return a digest of the static files' names, sizes and times, and of how they are stored."""
    lines = [repr(settings.STORAGES["staticfiles"])]
    for finder in get_finders():
        for name, storage in finder.list([]):
            facts = Path(storage.path(name)).stat()
            lines.append(f"{name} {facts.st_size} {facts.st_mtime_ns}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
