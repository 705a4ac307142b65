"""Which site this is: one id, kept in the database and beside the stored files. ``prepare`` makes it.

Each process that serves compares the two at its start: a machine with another folder or bucket than the others, or with
another database, must not spread one site over two places. A copy of the folder counts as the folder.
"""

import logging
import uuid
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import BaseCommand, CommandError
from django.db import DatabaseError, InterfaceError, connection, transaction

from assessments.models import Site

logger = logging.getLogger(__name__)

# The name of the stored file with the id, and how much of it is read: another file of that name may be large.
FILE, LENGTH = "site-id", 40


def confirm() -> None:
    """Raise CommandError unless the database and the stored files have the same site id.

    While one of them cannot be reached, nothing is known to be wrong: the start goes on.
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

    Of several `prepare` at the same moment, each waits here for the one before.
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
    """The id beside the stored files. Raises OSError while these cannot be reached."""
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
    """One of the processes that serve. What ``serve`` has looked at for all of them, it does not look at again."""

    def check(self, *arguments: Any, **options: Any) -> None:
        super().check(*arguments, **options)
        confirm()
