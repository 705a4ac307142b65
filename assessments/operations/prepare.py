"""The preparation of a machine that is to serve."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

from . import groups, private, site


def prepare(say: Callable[[str], object]) -> None:
    """Close the data to other users, bring the database and the static files up to date, give the site its
    id and the office its groups.

    Skip steps that are done already.
    Raises CommandError when the database or the stored files cannot be used.
    """
    private.close()
    try:
        executor = MigrationExecutor(connection)
        unapplied = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise CommandError(f"The database cannot be used: {reason}. See DATABASE_URL.", returncode=2) from error
    if unapplied:
        say("Preparing the database ...")
        call_command("migrate", interactive=False, verbosity=0)
    groups.make_groups()
    try:
        site.settle()
    except OSError as error:
        reason = f"The stored files cannot be used: {error}. See MEDIA_DIR and S3_BUCKET."
        raise CommandError(reason, returncode=2) from error
    # Collecting hashes and compresses every file, which takes seconds; comparing names, sizes and times takes none.
    mark = Path(settings.STATIC_ROOT) / ".collected"
    sources = static_sources()
    if not mark.exists() or mark.read_text() != sources:
        say("Collecting the static files ...")
        call_command("collectstatic", interactive=False, verbosity=0)
        mark.write_text(sources)


def static_sources() -> str:
    """Return a digest of the static files' names, sizes and times, and of how they are stored."""
    lines = [repr(settings.STORAGES["staticfiles"])]
    for finder in get_finders():
        for name, storage in finder.list([]):
            facts = Path(storage.path(name)).stat()
            lines.append(f"{name} {facts.st_size} {facts.st_mtime_ns}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
