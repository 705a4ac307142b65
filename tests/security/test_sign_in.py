"""Signing in: guessing is slowed down, no guesser locks a person out everywhere, and sessions end when they should."""

import socket
from datetime import timedelta

import httpx
import pytest
from axes.models import AccessAttempt, AccessLog
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db.models import F
from django.test import Client, RequestFactory
from django.utils import timezone
from pytest_django import Settings

from assessments.operations.sign_in import client_address
from tests import cast
from tests.cast import PASSWORD
from tests.running import CSRF_TOKEN, NO_TLS, PATIENCE, Site

AT_WORK, ELSEWHERE = "203.0.113.5", "198.51.100.7"
IN, REFUSED, LOCKED = 302, 200, 429

# The rule, in this process, whose quick password hash makes many guesses quick ----------------------------------------


def sign_in(username: str, password: str = "a wrong guess", address: str = AT_WORK, path: str = "/login/") -> int:
    """Try to sign in; return the status of the answer."""
    form = {"username": username, "password": password}
    return Client(REMOTE_ADDR=address).post(path, form).status_code


def guess(username: str, times: int, address: str = AT_WORK) -> None:
    for _ in range(times):
        sign_in(username, address=address)


@pytest.mark.usefixtures("assessor", "stranger")
def test_the_tenth_failure_locks_that_name_at_that_address_alone() -> None:
    assert [sign_in("assessor") for _ in range(10)] == [REFUSED] * 9 + [LOCKED]
    assert sign_in("assessor", cast.PASSWORD) == LOCKED
    assert sign_in("assessor", cast.PASSWORD, path="/admin/login/") == LOCKED
    assert sign_in("stranger", cast.PASSWORD) == IN
    assert sign_in("assessor", cast.PASSWORD, ELSEWHERE) == IN


@pytest.mark.usefixtures("assessor")
def test_an_unknown_name_is_locked_like_any_other() -> None:
    assert [sign_in("nobody") for _ in range(10)] == [sign_in("assessor") for _ in range(10)]


@pytest.mark.usefixtures("assessor", "stranger")
def test_an_address_that_tries_many_names_is_locked_but_not_for_people_who_signed_in_there_before() -> None:
    assert sign_in("assessor", cast.PASSWORD) == IN
    assert [sign_in(f"name-{number}") for number in range(50)] == [REFUSED] * 49 + [LOCKED]
    assert sign_in("stranger", cast.PASSWORD) == LOCKED
    assert sign_in("assessor", cast.PASSWORD) == IN
    assert sign_in("stranger", cast.PASSWORD, ELSEWHERE) == IN


@pytest.mark.usefixtures("assessor", "stranger")
def test_a_name_that_is_tried_from_many_addresses_is_locked_but_not_where_that_person_signed_in_before() -> None:
    assert sign_in("assessor", cast.PASSWORD) == IN
    for number in range(20):
        guess("assessor", 5, address=f"192.0.2.{number}")
    assert sign_in("assessor", cast.PASSWORD, ELSEWHERE) == LOCKED
    assert sign_in("assessor", cast.PASSWORD) == IN
    assert sign_in("stranger", cast.PASSWORD, ELSEWHERE) == IN


@pytest.mark.usefixtures("assessor")
def test_a_lock_ends_after_a_quarter_of_an_hour_in_spite_of_further_tries() -> None:
    guess("assessor", 10)
    pass_time(minutes=14)
    assert sign_in("assessor", cast.PASSWORD) == LOCKED
    pass_time(minutes=1)
    assert sign_in("assessor", cast.PASSWORD) == IN


@pytest.mark.usefixtures("assessor")
def test_signing_in_resets_the_count_of_failures() -> None:
    for _ in range(2):
        guess("assessor", 9)
        assert sign_in("assessor", cast.PASSWORD) == IN


class GuessedAtOnce(MD5PasswordHasher):
    """A hasher that lets ten other guesses fail while a password is checked."""

    def verify(self, password: str, encoded: str) -> bool:
        AccessAttempt.objects.create(username="assessor", ip_address=AT_WORK, failures_since_start=10)
        return super().verify(password, encoded)


@pytest.mark.usefixtures("assessor")
def test_guesses_at_the_same_time_do_not_get_around_the_lock(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.{GuessedAtOnce.__name__}"]
    assert sign_in("assessor", cast.PASSWORD) == LOCKED


@pytest.mark.parametrize(
    ("behind_proxy", "headers", "address"),
    [
        (False, {}, AT_WORK),
        (False, {"X-Forwarded-For": "1.2.3.4"}, AT_WORK),
        (True, {}, AT_WORK),
        (True, {"X-Forwarded-For": ELSEWHERE}, ELSEWHERE),
        # The caller's claim stands before the address that the proxy saw.
        (True, {"X-Forwarded-For": f"127.0.0.1, 1.2.3.4,{ELSEWHERE}"}, ELSEWHERE),
        (True, {"X-Forwarded-For": "nonsense"}, AT_WORK),
        (True, {"X-Forwarded-For": ""}, AT_WORK),
        (True, {"X-Forwarded-For": "2001:db8:1:2:aaaa:bbbb:cccc:dddd"}, "2001:db8:1:2::"),
        (True, {"X-Forwarded-For": f"::ffff:{ELSEWHERE}"}, ELSEWHERE),
        # As some proxies write addresses: with the port of the caller, which differs at each request.
        (True, {"X-Forwarded-For": f"{ELSEWHERE}:51234"}, ELSEWHERE),
        (True, {"X-Forwarded-For": f"1.2.3.4:1, {ELSEWHERE}:51234 "}, ELSEWHERE),
        (True, {"X-Forwarded-For": "[2001:db8:1:2:aaaa:bbbb:cccc:dddd]:51234"}, "2001:db8:1:2::"),
        (True, {"X-Forwarded-For": "[2001:db8:1:2:aaaa:bbbb:cccc:dddd]"}, "2001:db8:1:2::"),
        (True, {"X-Forwarded-For": f"[::ffff:{ELSEWHERE}]:51234"}, ELSEWHERE),
        (True, {"X-Forwarded-For": "2001:db8:1:2:aaaa:bbbb:cccc:dddd:51234"}, "2001:db8:1:2::"),
        (True, {"X-Forwarded-For": "2001:db8:1:2::1:51234"}, "2001:db8:1:2::"),
        (True, {"X-Forwarded-For": "2001:db8:1:2::1:8080"}, "2001:db8:1:2::"),
        (True, {"X-Forwarded-For": f"{ELSEWHERE}:nonsense"}, AT_WORK),
        (True, {"X-Forwarded-For": f"{ELSEWHERE}, unknown"}, AT_WORK),
    ],
)
def test_no_caller_is_believed(settings: Settings, behind_proxy: bool, headers: dict[str, str], address: str) -> None:
    settings.ON_LOOPBACK = not behind_proxy
    assert client_address(RequestFactory().get("/", headers=headers, REMOTE_ADDR=AT_WORK)) == address


@pytest.mark.parametrize("caller", ["41.1.2.3", "::ffff:41.1.2.3"])
def test_a_caller_from_the_internet_is_no_proxy_and_is_not_believed(settings: Settings, caller: str) -> None:
    settings.ON_LOOPBACK = False
    request = RequestFactory().get("/", headers={"X-Forwarded-For": ELSEWHERE}, REMOTE_ADDR=caller)
    assert client_address(request) == "41.1.2.3"


@pytest.mark.usefixtures("assessor", "stranger")
def test_a_guesser_behind_a_proxy_that_writes_ports_locks_out_nobody_else(settings: Settings) -> None:
    settings.ON_LOOPBACK = False
    settings.SECURE_SSL_REDIRECT = False
    form = {"username": "assessor", "password": "a wrong guess"}

    def try_from(address: str, password: str) -> int:
        sent = {"X-Forwarded-For": address}
        return Client(REMOTE_ADDR="127.0.0.1").post("/login/", form | {"password": password}, headers=sent).status_code

    guesses = [try_from(f"41.1.2.3:{port}", "a wrong guess") for port in range(51234, 51244)]
    assert guesses == [REFUSED] * 9 + [LOCKED]
    assert try_from("41.1.2.4:51234", cast.PASSWORD) == IN
    assert try_from("[2001:db8:1:2::1]:443", cast.PASSWORD) == IN
    assert try_from("41.1.2.3:60000", cast.PASSWORD) == LOCKED


@pytest.mark.usefixtures("assessor")
def test_records_of_signing_in_are_removed_in_time() -> None:
    guess("nobody", 1)
    sign_in("assessor", cast.PASSWORD)
    pass_time(minutes=16)
    AccessLog.objects.update(attempt_time=timezone.now() - timedelta(days=31))
    assert sign_in("assessor", cast.PASSWORD, ELSEWHERE) == IN
    assert not AccessAttempt.objects.exists()
    call_command("axes_reset_logs", age=30, verbosity=0)
    assert AccessLog.objects.get().ip_address == ELSEWHERE


def pass_time(minutes: int) -> None:
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(minutes=minutes))


# Pages and sessions, over HTTP ----------------------------------------------------------------------------------------


def post(site: Site, path: str, username: str = "", password: str = "", session: str = "") -> httpx.Response:
    """Send a form as a browser with these cookies does, and keep no cookies of the answer."""
    headers = {"Cookie": f"csrftoken={CSRF_TOKEN}; sessionid={session}", "X-CSRFToken": CSRF_TOKEN}
    form = {"username": username, "password": password}
    return httpx.post(f"{site.url}{path}", data=form, headers=headers, timeout=PATIENCE, verify=NO_TLS)


def looks_at_the_list(site: Site, session: str) -> int:
    return httpx.get(
        f"{site.url}/assessments/", cookies={"sessionid": session}, timeout=PATIENCE, verify=NO_TLS
    ).status_code


def test_signing_in_makes_a_new_session_and_signing_out_ends_it(shared_site: Site) -> None:
    planted = "c" * 32
    first = post(shared_site, "/login/", "stranger", cast.PASSWORD, planted).cookies["sessionid"]
    second = post(shared_site, "/admin/login/", "staff", cast.PASSWORD, first).cookies["sessionid"]
    assert len({planted, first, second}) == 3
    assert [looks_at_the_list(shared_site, session) for session in (planted, first, second)] == [302, 302, 200]
    assert post(shared_site, "/logout/", session=second).status_code == 302
    assert looks_at_the_list(shared_site, second) == 302


def test_ten_failures_on_either_page_lead_to_a_page_with_advice(shared_site: Site) -> None:
    pages = ["/login/", "/admin/login/"] * 5
    answers = [post(shared_site, page, "assessor", "a wrong guess") for page in pages]
    assert [answer.status_code for answer in answers] == [REFUSED] * 9 + [LOCKED]
    locked = post(shared_site, "/login/", "assessor", cast.PASSWORD)
    assert locked.status_code == LOCKED
    assert locked.headers["retry-after"] == "900"
    assert "no-store" in locked.headers["cache-control"]
    assert "Wait 15 minutes, then try again." in locked.text
    assert "assessor" not in locked.text
    # A person who is signed in stays signed in, and another person can sign in.
    assert looks_at_the_list(shared_site, shared_site.sessions["assessor"]) == 200
    assert post(shared_site, "/admin/login/?next=/admin/", "staff", cast.PASSWORD).headers["location"] == "/admin/"
    log = shared_site.log.read_text()
    assert 'Locking out {username: "********************", ip_address: "127.0.0.1"' in log
    assert "wrong guess" not in log


@pytest.mark.parametrize("name", ["a\0b", "n" * 151, "n" * 100_000, "{{ 7 }}\n", "\u202eroot", ""])
def test_no_user_name_and_no_user_agent_breaks_the_page(shared_site: Site, name: str) -> None:
    assert post(shared_site, "/login/", name, "x\0y").status_code == REFUSED
    with socket.create_connection(("127.0.0.1", shared_site.port), timeout=PATIENCE) as connection:
        form = b"username=nobody&password=x"
        connection.sendall(
            b"POST /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nUser-Agent: a\0b\xff\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n"
            + f"Cookie: csrftoken={CSRF_TOKEN}\r\nX-CSRFToken: {CSRF_TOKEN}\r\n".encode()
            + b"Content-Length: %d\r\n\r\n%s" % (len(form), form)
        )
        assert connection.recv(12) in {b"HTTP/1.1 200", b"HTTP/1.1 400"}


def test_signing_in_from_a_shell_checks_only_the_name_and_the_password(assessor: User) -> None:
    assert authenticate(username="assessor", password=PASSWORD) == assessor
    assert authenticate(username="assessor", password="another") is None
    assert Client().login(username="assessor", password=PASSWORD)
