"""Signing in, and the limits of failures: by user name and by address.

Ten failures for one user name from one address lock that pair for a quarter of an hour. An address that tries many
names, and a name that is tried from many addresses, are locked too, at limits of their own: else a guesser would only
have to change one of the two. These two limits do not count at an address where the person has signed in before: so a
stranger cannot lock an assessor out of the usual place, and one guesser in an office does not lock out the office.
"""

import ipaddress
import re
from typing import Any

from axes.attempts import get_cool_off_threshold
from axes.backends import AxesBackend, AxesStandaloneBackend
from axes.handlers.database import AxesDatabaseHandler
from axes.handlers.proxy import AxesProxyHandler
from axes.helpers import get_client_username, get_credentials
from axes.models import AccessAttempt, AccessLog
from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers

# So many failures of one address with any names, or of one name from any addresses, count as one failure of the pair.
OF_ADDRESS = 5
OF_NAME = 10
# An address with the port of the caller, as some proxies write it; brackets may stand around an IPv6 address alone.
WITH_PORT = re.compile(r"(?P<v4>[\d.]+):\d+|\[(?P<v6>[^\]]+)\](:\d+)?")


class Throttle(AxesDatabaseHandler):
    """Counts failures to sign in; ``AXES_FAILURE_LIMIT`` failures lock."""

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        of_pair: int = super().get_failures(request, credentials)
        who = {"username": get_client_username(request, credentials)}
        where = {"ip_address": request.axes_ip_address}  # type: ignore[attr-defined]
        if AccessLog.objects.filter(**who, **where).exists():
            return of_pair
        recent = AccessAttempt.objects.filter(attempt_time__gte=get_cool_off_threshold(request))
        return max(of_pair, failures(recent.filter(**where)) // OF_ADDRESS, failures(recent.filter(**who)) // OF_NAME)


def failures(attempts: QuerySet[AccessAttempt]) -> int:
    return attempts.aggregate(failures=Sum("failures_since_start"))["failures"] or 0


class LockedBackend(AxesBackend):
    """Checks passwords of users who are not locked out. Without a request, as from a shell, nobody is locked out."""

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> User | None:  # type: ignore[override]
        if request is None:
            return ModelBackend.authenticate(self, request, **credentials)
        AxesStandaloneBackend.authenticate(self, request, **credentials)
        user = ModelBackend.authenticate(self, request, **credentials)
        # A hundred guesses at once all pass the first check before one of them has failed, so this checks again.
        if user and AxesProxyHandler.is_locked(request, get_credentials(**credentials)):
            raise PermissionDenied
        return user


def client_address(request: HttpRequest) -> str | None:
    """Return the address that a request comes from: behind a proxy, the address that the proxy gives.

    A proxy appends the address of its caller to the addresses that the caller claims: the last address counts. A proxy
    of ours has no public address, so a caller with one is believed nothing. An IPv6 address stands for its network, as
    one customer has all addresses of a network.
    """
    sender = request.META.get("REMOTE_ADDR", "")
    address = parsed(sender)
    if address and not address.is_global and not settings.ON_LOOPBACK:
        address = parsed(request.headers.get("X-Forwarded-For", "").rpartition(",")[2]) or address
    if address is None:
        return sender or None
    if address.version == 6:
        return str(ipaddress.ip_network((int(address), 64), strict=False).network_address)
    return str(address)


def parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address in a text such as ``192.0.2.1``, ``192.0.2.1:80``, ``2001:db8::1`` or ``[2001:db8::1]:80``."""
    text = text.strip()
    match = WITH_PORT.fullmatch(text)
    known = (match["v4"] or match["v6"]) if match else text
    # Some proxies write an IPv6 address with a port, and without brackets.
    before, _, port = text.rpartition(":")
    for each in (known, before) if ":" in before and port.isdecimal() else (known,):
        try:
            address = ipaddress.ip_address(each)
        except ValueError:
            continue
        return getattr(address, "ipv4_mapped", None) or address
    return None


def locked_out(request: HttpRequest, *about: object) -> HttpResponse:
    """Return the page for a person who failed too often; both sign-in pages use this page."""
    pause = int(settings.AXES_COOLOFF_TIME.total_seconds())
    response = render(request, "registration/locked_out.html", {"minutes": pause // 60}, status=429)
    response["Retry-After"] = str(pause)
    add_never_cache_headers(response)
    return response
