"""One template for the pages of all errors, each with its own words."""

import errno
import re

import psycopg
import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.test import Client

from assessments.views import errors

CASES = [case for case in vars(errors).values() if isinstance(case, errors.Case)]


def of_the_database(cause: Exception) -> OperationalError:
    """Return an error as Django raises it for an error of psycopg."""
    error = OperationalError("secret")
    error.__cause__ = cause
    return error


@pytest.fixture
def visitor(assessor: User) -> Client:
    """Return a browser in which the assessor is signed in."""
    client = Client(raise_request_exception=False)
    client.force_login(assessor)
    return client


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.status} {case.name}")
def test_each_page_says_what_happened_without_the_database(case: errors.Case) -> None:
    answer = errors.answer(case)
    html = answer.content.decode()
    assert answer.status_code == case.status
    assert len(re.findall(r"<title>(.+) - Vehicle assessments</title>", html)) == 1
    assert len(re.findall(r"<h1>(.+)</h1>\s+<p>.{80,}</p>", html)) == 1
    assert answer.get("Retry-After", "0") == str(case.retry_after)


def test_a_page_names_the_limit_that_was_exceeded() -> None:
    assert "At most 3.0\xa0MB can be sent here at once" in errors.page(errors.too_large(3 * 2**20))


@pytest.mark.parametrize(
    ("error", "status", "heading"),
    [
        (PermissionDenied(), 403, "You may not do this"),
        (RuntimeError("SELECT secret FROM table"), 500, "Something went wrong here"),
        (OSError(errno.ENOSPC, "No space left on device"), 507, "There is no room left"),
        (of_the_database(psycopg.errors.DiskFull()), 507, "There is no room left"),
        (of_the_database(psycopg.errors.LockNotAvailable()), 503, "Not just now"),
    ],
)
def test_an_error_of_a_view_has_its_page(
    error: Exception, status: int, heading: str, visitor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> None:
        raise error

    monkeypatch.setattr("assessments.views.pages.by_urgency", broken)
    answer = visitor.get("/assessments/")
    assert answer.status_code == status
    assert f"<h1>{heading}</h1>" in answer.content.decode()
    assert "secret" not in answer.content.decode()


def test_an_error_page_for_a_signed_in_person_offers_to_sign_out(visitor: Client) -> None:
    assert "Sign out" in visitor.get("/no/such/page/").content.decode()
