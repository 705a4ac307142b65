"""Which site this is: one id, kept in the database and beside the stored files. ``prepare`` makes it.

Each process that serves compares the two at its start: a machine with another folder or bucket than the others, or with
another database, must not spread one site over two places. A copy of the folder counts as the folder.
"""

import logging
import time
import uuid
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError
from django.db import DatabaseError, InterfaceError, connection

from .models import DocumentVersion, Photo, Site

logger = logging.getLogger(__name__)

# The name of the stored file with the id, and how much of it is read: another file of that name may be large.
FILE, LENGTH = "site-id", 40
# Of the newest photos and documents, so many each, one has to be among the stored files.
NEWEST = 5
# Seconds that another `prepare`, which has just made the id, has to store it.
PATIENCE = 5.0


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
        raise refusal(stored, known, "prepare")


def settle(adopt: bool) -> None:
    """Give the database and the stored files one site id. Raises CommandError when they may belong to two sites.

    The id is made when both are new. When one of them has an id, the other takes it only if files that the database
    names are stored here. ``adopt`` takes for granted that both belong together; the stored id holds then.
    """
    # The id is read from the files first, since a `prepare` writes it to the database first.
    stored, known = stored_id(), known_id()
    if known is not None and stored == known:
        return
    photos = Photo.objects.order_by("-pk").values_list("original", flat=True)
    documents = DocumentVersion.objects.order_by("-pk").values_list("file", flat=True)
    named = [*photos[:NEWEST], *documents[:NEWEST]]
    together = adopt or any(default_storage.exists(name) for name in named)
    made = False
    if known is None and (together or not (stored or named)):
        site, made = Site.objects.get_or_create(defaults={"site_id": stored or uuid.uuid4().hex})
        known = site.site_id
    if stored is None and known is not None:
        stored = store(known, made) if made or together else stored_soon()
    if adopt:
        Site.objects.update(site_id=stored)
    elif stored is None or stored != known:
        raise refusal(stored, known, "prepare --adopt-files")


def known_id() -> str | None:
    """The id in the database."""
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


def stored_soon() -> str | None:
    """The id that another `prepare`, which runs at this moment, stores; None when there is none."""
    last = time.monotonic() + PATIENCE
    while (stored := stored_id()) is None and time.monotonic() < last:
        time.sleep(0.1)
    return stored


def store(site_id: str, made: bool) -> str | None:
    """Store the id; return what is stored then. An id that was only just made and cannot be stored is forgotten."""
    try:
        name = default_storage.save(FILE, ContentFile(site_id.encode()))
    except BaseException:
        if made:
            Site.objects.all().delete()
        raise
    if name != FILE:
        # Another `prepare` was quicker.
        default_storage.delete(name)
    return stored_id()


def refusal(stored: str | None, known: str | None, command: str) -> CommandError:
    storage: Any = default_storage
    file = storage.place(FILE)
    if stored is None:
        reason = f"The files of this database are kept elsewhere: there is no {file} here."
    elif known is None:
        reason = f"The stored files belong to another database: this one is new, and {file} is not."
    else:
        reason = f"The stored files belong to another database: its site id is {known}, but {file} says {stored}."
    remedy = f"Set MEDIA_DIR, S3_BUCKET or DATABASE_URL right; if they do belong together, run: manage.py {command}"
    return CommandError(f"{reason} {remedy}")
