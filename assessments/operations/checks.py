"""Settings that cannot work together, found at the start of every command."""

import os
import zlib
from collections.abc import Iterator, Sequence
from email.utils import parseaddr
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.http.request import validate_host

# The fewest characters of a secret that cannot be guessed, and the fewest bytes that are left of it without repetition:
# the packed bytes, less those that packing always adds.
LENGTH, VARIETY, PACKING = 20, 16, len(zlib.compress(b""))
# The beginning of the keys that Django makes for development.
INSECURE = "django-insecure-"
# The port on which a mail server begins with TLS, and the ports on which it begins without.
IMPLICIT_TLS, PLAIN_AT_FIRST = 465, (25, 587)
# The texts that leave a flag off.
NOT_SET = {"", "0", "false", "no", "off"}


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


@register()
def mail(app_configs: Sequence[AppConfig] | None, **options: Any) -> Iterator[CheckMessage]:
    server = settings.MAILERS["default"]["OPTIONS"]
    if "host" not in server:
        names = ("EMAIL_USE_TLS", "EMAIL_USE_SSL", "EMAIL_HOST_USER", "EMAIL_HOST_PASSWORD")
        if given := [name for name in names if os.environ.get(name, "").lower() not in NOT_SET]:
            yield Error(
                f"{given[0]} is set, but no mail server is: mails would become files.",
                hint=f"Set EMAIL_HOST, or unset {given[0]}.",
                id="assessments.E014",
            )
        return
    if server["use_ssl"] and server["use_tls"]:
        yield Error(
            "EMAIL_USE_SSL and EMAIL_USE_TLS are both on, but a connection begins in one way only.",
            hint="Unset EMAIL_USE_TLS for port 465, and EMAIL_USE_SSL for port 587 or 25.",
            id="assessments.E015",
        )
    elif server["port"] == IMPLICIT_TLS and not server["use_ssl"]:
        yield Error(
            f"EMAIL_PORT is {IMPLICIT_TLS}, where TLS begins at once, but EMAIL_USE_SSL is off: each mail would hang.",
            hint="Set EMAIL_USE_SSL to 1, and unset EMAIL_USE_TLS.",
            id="assessments.E016",
        )
    elif server["port"] in PLAIN_AT_FIRST and server["use_ssl"]:
        yield Error(
            f"EMAIL_USE_SSL is on, but on port {server['port']} a mail server does not begin with TLS.",
            hint="Set EMAIL_PORT to 465, or EMAIL_USE_TLS instead of EMAIL_USE_SSL.",
            id="assessments.E017",
        )
    if bool(server["username"]) != bool(server["password"]):
        yield Error(
            "Of EMAIL_HOST_USER and EMAIL_HOST_PASSWORD only one is set: no mail would be sent in that user's name.",
            hint="Set both, or none.",
            id="assessments.E018",
        )
    sender = parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
    if "." not in sender.rpartition("@")[2] or "@" not in sender:
        yield checks.Warning(
            f"Mails would come from {settings.DEFAULT_FROM_EMAIL}, an address that other mail servers refuse.",
            hint="Set DEFAULT_FROM_EMAIL to an address of your own that EMAIL_HOST may send from.",
            id="assessments.W005",
        )


@register(Tags.security)
def safety(app_configs: Sequence[AppConfig] | None, **options: Any) -> Iterator[CheckMessage]:
    if settings.ON_LOOPBACK:
        return
    if settings.DEBUG:
        yield Error(
            "DEBUG is on while ALLOWED_HOSTS names more than this machine: errors would show settings to strangers.",
            hint="Unset DEBUG.",
            id="assessments.E011",
        )
    for name, number in (("METRICS_TOKEN", "012"), ("SECRET_KEY", "013")):
        secret = getattr(settings, name)
        if secret and guessable(secret):
            yield Error(
                f"{name} is shorter than {LENGTH} characters, repeats itself or begins with {INSECURE}: "
                "it can be guessed.",
                hint="Make a long random one, such as with: openssl rand -hex 32",
                id=f"assessments.E{number}",
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


def guessable(secret: str) -> bool:
    packed = len(zlib.compress(secret.encode())) - PACKING
    return len(secret) < LENGTH or packed < VARIETY or secret.startswith(INSECURE)
