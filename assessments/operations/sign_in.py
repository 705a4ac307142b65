"""Signing in: how often it may fail before it has to wait, for whom and from where.

Ten failures for one user name from one address lock that pair for a quarter of an hour. An address that tries many
names, and a name that is tried from many addresses, are locked too, at limits of their own: else a guesser would only
have to change one of the two. From an address where a person has signed in before, these two do not count: so nobody
can lock an assessor out of the usual place from elsewhere, and one guesser in an office does not lock out the office.
"""

import ipaddress
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

# Failures of one address with any names, and of one name from any addresses, that count as one of the pair.
OF_ADDRESS = 5
OF_NAME = 10


class Throttle(AxesDatabaseHandler):
    """Counts failures; ``AXES_FAILURE_LIMIT`` of them lock."""

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
    """Users and their passwords, for whom is not locked out. Without a request, as from a shell, nobody is."""

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> User | None:  # type: ignore[override]
        if request is None:
            return ModelBackend.authenticate(self, request, **credentials)
        AxesStandaloneBackend.authenticate(self, request, **credentials)
        user = ModelBackend.authenticate(self, request, **credentials)
        # A hundred guesses that come at once are all let in before the first of them has failed.
        if user and AxesProxyHandler.is_locked(request, get_credentials(**credentials)):
            raise PermissionDenied
        return user


def client_address(request: HttpRequest) -> str | None:
    """The address that a request comes from: behind a proxy, what that proxy says.

    A proxy adds the address of who called it to what the caller claims: the last one counts. An IPv6 address stands
    for its network, of which one customer has all addresses.
    """
    given = request.META.get("REMOTE_ADDR", "")
    if not settings.ON_LOOPBACK:
        given = request.headers.get("X-Forwarded-For", given).rpartition(",")[2].strip()
    try:
        address = ipaddress.ip_address(given)
    except ValueError:
        return request.META.get("REMOTE_ADDR")
    if address.version == 6:
        return str(address.ipv4_mapped or ipaddress.ip_network((int(address), 64), strict=False).network_address)
    return str(address)


def locked_out(request: HttpRequest, *about: object) -> HttpResponse:
    """The answer to who failed too often, on either page to sign in."""
    pause = int(settings.AXES_COOLOFF_TIME.total_seconds())
    response = render(request, "registration/locked_out.html", {"minutes": pause // 60}, status=429)
    response["Retry-After"] = str(pause)
    add_never_cache_headers(response)
    return response
