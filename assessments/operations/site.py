"""The id of the site, kept in the database and beside the stored files. ``prepare`` makes the id.

Each process that serves compares the two ids at its start: a machine with another folder, bucket or database than the
others must not spread one site over two places. A copy of the folder counts as the folder.
"""

import logging
import uuid
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import BaseCommand, CommandError
from django.db import DatabaseError, InterfaceError, connection, transaction

from assessments.models import Site

from . import private

logger = logging.getLogger(__name__)

# The name of the stored file with the id, and how many bytes of it are read: another file of that name may be large.
FILE, LENGTH = "site-id", 40


def confirm() -> None:
    """Raise CommandError unless the database and the stored files have the same site id.

    When one of them cannot be reached, only log a warning: the start goes on.
    """
    try:
        stored, known = stored_id(), known_id()
    except (DatabaseError, InterfaceError, OSError):
        logger.warning("It could not be seen whether the database and the stored files belong together", exc_info=True)
        return
    finally:
        if not connection.in_atomic_block:
            # A process that goes on to serve opens its own connection when it needs one.
            connection.close()
    if known is None:
        raise CommandError("The database is not prepared. Run: manage.py prepare")
    if stored != known:
        raise refusal(stored, known)


@transaction.atomic
def settle() -> None:
    """Give a new database and new stored files one site id. Raises CommandError when they belong to two sites.

    When several `prepare` run at the same moment, each waits here for the one before.
    """
    site, made = Site.objects.select_for_update().get_or_create(defaults={"site_id": uuid.uuid4().hex})
    stored = stored_id()
    if made and stored is None:
        default_storage.save(FILE, ContentFile(site.site_id.encode()))
    elif stored != site.site_id:
        raise refusal(stored, None if made else site.site_id)


def known_id() -> str | None:
    if Site._meta.db_table not in connection.introspection.table_names():
        return None
    return Site.objects.values_list("site_id", flat=True).first()


def stored_id() -> str | None:
    """Return the id beside the stored files, None without one. Raises OSError when the files cannot be reached."""
    try:
        with default_storage.open(FILE) as file:
            return str(file.read(LENGTH).decode(errors="replace")).strip()
    except FileNotFoundError:
        return None


def refusal(stored: str | None, known: str | None) -> CommandError:
    storage: Any = default_storage
    file = storage.place(FILE)
    if stored is None:
        reason = f"The files of this database are kept elsewhere: there is no {file} here."
    elif known is None:
        reason = f"The stored files belong to another database: this one is new, and {file} is not."
    else:
        reason = f"The stored files belong to another database: its site id is {known}, but {file} says {stored}."
    remedy = f"write {known} into that file" if known else "remove that file and run: manage.py prepare"
    return CommandError(
        f"{reason} Set MEDIA_DIR, S3_BUCKET or DATABASE_URL right; if they do belong together, {remedy}"
    )


class ServingCommand(BaseCommand):
    """A process that serves. ``serve`` checks once for all its children, and starts them with --skip-checks."""

    def check(self, *arguments: Any, **options: Any) -> None:
        super().check(*arguments, **options)
        private.close_data_folder()
        confirm()
