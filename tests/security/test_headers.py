"""The headers of answers, for browsers and proxies, and answers that must not tell secrets."""

import http.client
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests import cast
from tests.cast import YEAR
from tests.running import CSRF_TOKEN, NO_TLS, PATIENCE, Site, wait_until

OWN = f"ASM-{YEAR}-001"
POLICY = (
    "default-src 'self'; img-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# A browser's own viewer of PDFs needs more freedom, and a PDF can do less harm.
POLICY_OF_FILES = "frame-ancestors 'none'"
SIGN_IN = {"username": "assessor", "password": cast.PASSWORD}
EVERYWHERE = {
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


@pytest.fixture(scope="module")
def site(lent_site: Site) -> Site:
    """Return the site, with a report that can be downloaded."""
    with lent_site.login("assessor") as client:
        client.post(f"/assessments/{OWN}/documents/report/retry/")
    wait_until(lambda: lent_site.statuses(OWN)["report"] == "success", "the report is not made")
    return lent_site


@pytest.mark.parametrize(
    ("kind", "method", "path", "status"),
    [
        ("a page", "GET", f"/assessments/{OWN}/", 200),
        ("the list", "GET", "/assessments/", 200),
        ("a redirect", "GET", "/", 302),
        ("a fragment", "GET", f"/assessments/{OWN}/photos/", 302),
        ("a refused method", "PUT", f"/assessments/{OWN}/", 405),
        ("the admin", "GET", "/admin/", 200),
        ("the admin's own script", "GET", "/admin/jsi18n/", 200),
        ("a page that is not there", "GET", "/nowhere/", 404),
        ("an address that is none", "GET", "/static/%00", 400),
        ("a page without right", "GET", "/admin/auth/user/", 403),
        ("a download", "GET", f"/assessments/{OWN}/documents/report/", 200),
        ("a download that is not there", "GET", f"/assessments/{OWN}/documents/estimate/", 404),
        ("the event stream", "GET", f"/assessments/{OWN}/events/", 200),
        ("an event id that is none", "GET", f"/assessments/{OWN}/events/?lastEventId=x", 400),
        ("JSON", "GET", "/healthz", 200),
        ("an error in JSON", "POST", "/api/generate-all-documents", 415),
    ],
)
def test_every_answer_protects_its_reader_and_stays_out_of_caches(
    site: Site, kind: str, method: str, path: str, status: int
) -> None:
    with site.login("staff") as client, client.stream(method, path) as response:
        assert response.status_code == status, kind
        assert EVERYWHERE.items() <= dict(response.headers).items()
        assert "camera=()" in response.headers["permissions-policy"]
        assert response.headers["content-security-policy"] == (POLICY_OF_FILES if kind == "a download" else POLICY)
        assert {"private", "no-store"} & set(re.split(r",\s*", response.headers["cache-control"]))
        assert "server" not in response.headers


def test_static_files_are_for_everybody_and_not_for_pages_of_other_sites(site: Site) -> None:
    page = httpx.get(f"{site.url}/login/", timeout=PATIENCE).text
    (style,) = re.findall(r'href="(/static/css/app[^"]+)"', page)
    response = httpx.get(site.url + style, headers={"Origin": "https://elsewhere.example"}, timeout=PATIENCE)
    assert response.status_code == 200
    assert EVERYWHERE.items() <= dict(response.headers).items()
    assert response.headers["content-security-policy"] == POLICY
    assert "immutable" in response.headers["cache-control"]
    assert "access-control-allow-origin" not in response.headers


def test_cookies_stay_with_this_site_and_scripts_cannot_read_the_session(site: Site) -> None:
    headers = {"Cookie": f"csrftoken={CSRF_TOKEN}", "X-CSRFToken": CSRF_TOKEN}
    answer = httpx.post(f"{site.url}/login/", data=SIGN_IN, headers=headers, timeout=PATIENCE)
    assert cookies(answer) == {"csrftoken": {"samesite=lax"}, "sessionid": {"samesite=lax", "httponly"}}


def cookies(answer: httpx.Response) -> dict[str, set[str]]:
    """Return the attributes that guard each cookie of an answer."""
    guards = {"samesite=lax", "samesite=strict", "samesite=none", "httponly", "secure"}
    given = [cookie.partition("=") for cookie in answer.headers.get_list("set-cookie")]
    return {name: guards & set(re.split(r";\s*", rest.lower())) for name, _, rest in given}


# Errors ---------------------------------------------------------------------------------------------------------------


@contextmanager
def broken(site: Site) -> Iterator[None]:
    """Take a table from a site's database for as long as the context lasts, as a failed migration could."""
    rename = "from django.db import connection; connection.cursor().execute('ALTER TABLE {} RENAME TO {}')"
    site.python(rename.format("assessments_vehicle", "away"))
    try:
        yield
    finally:
        site.python(rename.format("away", "assessments_vehicle"))


def test_an_error_of_the_server_gives_the_reader_advice_and_no_internals(site: Site) -> None:
    known = len(site.log.read_bytes())
    with site.login("assessor") as client, broken(site):
        answer = client.get("/assessments/")
    assert answer.status_code == 500
    assert "Something went wrong here" in answer.text
    assert "go back, look, and try again" in answer.text
    assert not re.search(r"traceback|exception|error|django|vehicle_|select|/work|\.py|secret", secretive(answer.text))
    assert EVERYWHERE.items() <= dict(answer.headers).items()
    assert answer.headers["content-security-policy"] == POLICY
    assert "no-store" in answer.headers["cache-control"]
    # The log has the reason for the operator.
    assert b"Traceback" in site.log.read_bytes()[known:]


def secretive(page: str) -> str:
    """Return the words of a page in lower case, without the addresses of its styles."""
    return re.sub(r"<link[^>]+>", "", page).lower()


def test_a_foreign_host_name_gets_an_error_and_no_link(site: Site) -> None:
    answer = httpx.get(f"{site.url}/login/", headers={"Host": "evil.example"}, timeout=PATIENCE)
    assert answer.status_code == 400
    assert "evil" not in answer.text
    assert "That could not be taken" in answer.text


# Files ----------------------------------------------------------------------------------------------------------------


def test_no_stored_file_is_reached_by_its_path(site: Site) -> None:
    stored = site.rows("SELECT file AS name FROM assessments_documentversion")[0]["name"]
    photo = site.rows("SELECT original AS name FROM assessments_photo")[0]["name"]
    assert (site.data_dir / "media" / stored).is_file()
    tricks = [
        *(
            f"{prefix}{name}"
            for name in (stored, photo)
            for prefix in ("/media/", "/", "/static/", "/assessments/media/")
        ),
        *(
            f"/static/{up}{wanted}"
            for up in (
                "../",
                "..%2f",
                "%2e%2e/",
                "%2e%2e%2f",
                "..%252f",
                "..\\",
                "..%5c",
                "....//",
                "css/../../",
                "./../",
            )
            for wanted in (f"media/{stored}", "secret-key", "db.sqlite3", "sessions.json")
        ),
        "/static//etc/passwd",
        "/static/%2fetc/passwd",
        "/static/staticfiles.json",
        "/static/.collected",
        "/static/",
        "/static",
        "/media/",
        f"/{site.data_dir}/secret-key",
        f"//{site.data_dir}/secret-key",
        "/.git/config",
        "/config/settings.py",
        f"/assessments/{OWN}/documents/..%2f..%2fsecret-key/",
        f"/assessments/{OWN}/documents/report%2f..%2f..%2fsecret-key/",
    ]
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=PATIENCE)
    cookie = f"sessionid={site.sessions['staff']}"
    for path in tricks:
        connection.request("GET", path, headers={"Cookie": cookie})
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == 404, path
        assert b"There is no such page" in content, path
    connection.close()


# On the internet ------------------------------------------------------------------------------------------------------


@pytest.fixture
def visit(start_site: Callable[..., Site]) -> Callable[..., httpx.Response]:
    """Give a function that sends a request as the site's proxy does: ``visit("GET", "/login/", session="staff")``."""
    site = start_site(ALLOWED_HOSTS="127.0.0.1,example.org", SITE_URL="https://example.org")

    def send(
        method: str,
        path: str,
        session: str = "",
        proto: str = "https",
        data: dict[str, str] | None = None,
        **headers: str,
    ) -> httpx.Response:
        guards = {"Cookie": f"csrftoken={CSRF_TOKEN}; sessionid={site.sessions.get(session, '')}"}
        sent = guards | {"Host": "example.org", "X-CSRFToken": CSRF_TOKEN, "X-Forwarded-Proto": proto} | headers
        return httpx.request(method, site.url + path, data=data, headers=sent, timeout=PATIENCE, verify=NO_TLS)

    return send


def test_https_is_promised_for_as_long_as_the_operator_says(start_site: Callable[..., Site]) -> None:
    site = start_site(ALLOWED_HOSTS="127.0.0.1,example.org", SITE_URL="https://example.org", HSTS_SECONDS="3600")
    answer = httpx.get(f"{site.url}/login/", headers={"X-Forwarded-Proto": "https"}, timeout=PATIENCE, verify=NO_TLS)
    assert answer.headers["strict-transport-security"] == "max-age=3600"


def test_a_site_on_the_internet_uses_https_alone(visit: Callable[..., httpx.Response]) -> None:
    plain = visit("GET", "/login/?next=/assessments/", proto="http")
    assert (plain.status_code, plain.headers["location"]) == (301, "https://example.org/login/?next=/assessments/")
    assert "strict-transport-security" not in plain.headers
    page = visit("GET", "/login/")
    assert page.status_code == 200
    # A promise to use HTTPS alone cannot be taken back, so the operator gives it.
    assert "strict-transport-security" not in page.headers
    signed_in = visit("POST", "/login/", data=SIGN_IN, Referer="https://example.org/login/")
    guarded = {"samesite=lax", "secure"}
    assert cookies(signed_in) == {"csrftoken": guarded, "sessionid": guarded | {"httponly"}}
    # A probe runs beside the site, and does not speak HTTPS.
    assert visit("GET", "/readyz", proto="http").status_code == 200
    # A request from another site is refused, even with the session and the token.
    post = f"/assessments/{OWN}/documents/cancel/"
    own, other = "https://example.org", "https://evil.example"
    origins = [
        {"Origin": own},
        {"Referer": f"{own}/"},
        {"Origin": other},
        {"Referer": f"{other}/"},
        {"Origin": "null"},
        {},
    ]
    answers = [visit("POST", post, "assessor", **origin).status_code for origin in origins]
    assert answers == [302, 302, 403, 403, 403, 403]
    json = {"Content-Type": "application/json"}
    answers = [
        visit("POST", "/api/generate-all-documents", "assessor", **json, **origin).status_code for origin in origins
    ]
    # The accepted requests have no body, hence 400.
    assert answers == [400, 400, 403, 403, 403, 403]
