"""Settings that cannot work together, found at the start.

The checks of settings run with every command. Those that look at the database and at the stored files run when a
process starts that serves (and with ``manage.py check --database default``): they find what no setting tells, a second
machine that nobody announced, and a folder that only looks shared.
"""

import logging
import os
import socket
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import DatabaseError, InterfaceError, connection
from django.http.request import validate_host
from django.utils.text import get_valid_filename

from assessments.models import Heartbeat
from assessments.models.document import from_now

logger = logging.getLogger(__name__)

# Characters of a token that cannot be guessed.
TOKEN_LENGTH = 20
# Seconds in which who is alive gives another sign of life; who has just ended does not.
SIGN = 7.0
# In the storage, a folder with one empty file for each machine that uses it.
MARKS = "machines"


@register()
def check_several_machines(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    return list(wrong_for_several_machines()) if settings.MACHINES > 1 else []


def wrong_for_several_machines() -> Iterator[CheckMessage]:
    several = f"MACHINES is {settings.MACHINES}, but "
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        yield Error(
            several + "the database is SQLite, which machines cannot share.",
            hint="Set DATABASE_URL to a PostgreSQL database that all of them use.",
            id="assessments.E001",
        )
    if not settings.REDIS_URL:
        yield Error(
            several + "the channel layer is in memory, and reaches one process alone.",
            hint="Set REDIS_URL to a Redis that all of them use.",
            id="assessments.E002",
        )
    if not (settings.S3_BUCKET or os.environ.get("MEDIA_DIR")):
        yield Error(
            several + "nothing says where photos and documents are that all of them share.",
            hint="Set MEDIA_DIR to a folder that is the same on all of them, or S3_BUCKET.",
            id="assessments.E003",
        )
    if not os.environ.get("SECRET_KEY"):
        yield Error(
            several + "SECRET_KEY was made on this one: sessions of the others would be no good here.",
            hint="Set SECRET_KEY to the same long random text on all of them.",
            id="assessments.E004",
        )
    if not os.environ.get("SITE_URL"):
        yield Error(
            several + "SITE_URL is this one's own address, and links in mails would lead nowhere.",
            hint="Set SITE_URL to the address that people use, the same on all of them.",
            id="assessments.E005",
        )


@register()
def check_delivery(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    if settings.DELIVERY == "link" and not settings.S3_BUCKET:
        return [
            Error(
                "DELIVERY is link, but files are kept in a folder, to which no link can be signed.",
                hint="Set S3_BUCKET, or DELIVERY to stream or accel.",
                id="assessments.E006",
            )
        ]
    if settings.DELIVERY == "accel" and settings.S3_BUCKET:
        return [
            Error(
                "DELIVERY is accel, but files are kept in a bucket, which nginx does not have as a folder.",
                hint="Set DELIVERY to stream or link.",
                id="assessments.E007",
            )
        ]
    return []


@register(Tags.security)
def check_safety(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    return list(unsafe())


def unsafe() -> Iterator[CheckMessage]:
    if settings.METRICS_TOKEN and len(settings.METRICS_TOKEN) < TOKEN_LENGTH:
        yield checks.Warning(
            f"METRICS_TOKEN has less than {TOKEN_LENGTH} characters, and could be guessed.",
            hint="Make a long random one, such as with: openssl rand -hex 32",
            id="assessments.W002",
        )
    if settings.ON_LOOPBACK:
        return
    if settings.DEBUG:
        yield checks.Warning(
            "DEBUG is on while ALLOWED_HOSTS names more than this machine: errors would show settings to strangers.",
            hint="Unset DEBUG.",
            id="assessments.W001",
        )
    address = urlsplit(settings.SITE_URL)
    if address.scheme != "https":
        yield checks.Warning(
            "SITE_URL begins with http://, but the site answers over HTTPS alone.",
            hint="Set SITE_URL to the https:// address that people use.",
            id="assessments.W003",
        )
    if not validate_host(address.hostname or "", settings.ALLOWED_HOSTS):
        yield checks.Warning(
            f"SITE_URL leads to {address.hostname}, which ALLOWED_HOSTS does not name: those links would be refused.",
            hint="Add that name to ALLOWED_HOSTS.",
            id="assessments.W004",
        )


# With the database ---------------------------------------------------------------------------------------------------


@register(Tags.database)
def check_other_machines(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **options: Any
) -> list[CheckMessage]:
    """Look who else is alive on this database. When that cannot be seen, nothing is wrong yet."""
    if not databases:
        return []
    try:
        return list(wrong_beside_others())
    except (DatabaseError, InterfaceError, OSError):
        logger.warning("It could not be seen whether other machines use the same files", exc_info=True)
        return []
    finally:
        if not connection.in_atomic_block:
            # Who goes on to serve opens its own when it needs one.
            connection.close()


def wrong_beside_others() -> Iterator[CheckMessage]:
    me = socket.gethostname()
    leave_mark(me)
    others = other_machines(me)
    if settings.MACHINES == 1 and others:
        others = still_alive(me, others)
        if others:
            yield Error(
                f"MACHINES is 1, but {named(others)} uses this database at this moment.",
                hint="Set MACHINES to how many there are, on all of them; or give this one a database of its own.",
                id="assessments.E008",
            )
            return
    if strangers := [machine for machine in others if not default_storage.exists(mark(machine))]:
        yield Error(
            f"This machine ({me}) and {named(strangers)} use one database, but not one place for photos and documents.",
            hint="MEDIA_DIR must be the same shared folder on all of them, or S3_BUCKET the same bucket.",
            id="assessments.E009",
        )


def other_machines(me: str) -> dict[str, datetime]:
    """The machines but this one that gave a sign of life just now, each with when."""
    recent = Heartbeat.objects.filter(seen_at__gte=from_now(-Heartbeat.RECENT)).order_by()
    seen: dict[str, datetime] = {}
    for name, seen_at in recent.values_list("name", "seen_at"):
        machine = name.rpartition(":")[0]
        seen[machine] = max(seen_at, seen.get(machine, seen_at))
    seen.pop(me, None)
    return seen


def still_alive(me: str, before: dict[str, datetime]) -> dict[str, datetime]:
    """Those that give a sign of life once more: a container that was replaced has left one, under another name."""
    time.sleep(SIGN)
    return {machine: at for machine, at in other_machines(me).items() if at > before.get(machine, at)}


def leave_mark(machine: str) -> None:
    if not default_storage.exists(mark(machine)):
        default_storage.save(mark(machine), ContentFile(b""))


def mark(machine: str) -> str:
    return f"{MARKS}/{get_valid_filename(machine)}"


def named(machines: dict[str, datetime] | list[str]) -> str:
    return " and ".join(sorted(machines))
