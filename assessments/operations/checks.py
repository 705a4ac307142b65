"""Settings that cannot work together, found at the start of every command."""

import os
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.http.request import validate_host

# The fewest characters of a token that cannot be guessed.
TOKEN_LENGTH = 20


@register()
def several_machines(app_configs: Sequence[AppConfig] | None, **options: Any) -> Iterator[CheckMessage]:
    if settings.MACHINES == 1:
        return
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
def delivery(app_configs: Sequence[AppConfig] | None, **options: Any) -> Iterator[CheckMessage]:
    if settings.DELIVERY == "link" and not settings.S3_BUCKET:
        yield Error(
            "DELIVERY is link, but files are kept in a folder, to which no link can be signed.",
            hint="Set S3_BUCKET, or DELIVERY to stream or accel.",
            id="assessments.E006",
        )
    if settings.DELIVERY == "accel" and settings.S3_BUCKET:
        yield Error(
            "DELIVERY is accel, but files are kept in a bucket, which nginx does not have as a folder.",
            hint="Set DELIVERY to stream or link.",
            id="assessments.E007",
        )


@register(Tags.security)
def safety(app_configs: Sequence[AppConfig] | None, **options: Any) -> Iterator[CheckMessage]:
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
