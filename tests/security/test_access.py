"""The answer of every address of the site to every method, for each sort of person.

The many rows of the admin are asked without a server, which takes half of the processor time (see inside.py). The other
rows, and every POST without the token, are asked over HTTP.
"""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product

import httpx
import pytest
from django.urls import URLResolver, get_resolver

from tests.cast import YEAR
from tests.running import CSRF_TOKEN, NO_TLS, PATIENCE, Site, wait_until

# The last number is the assessment of the deactivated person.
OWN, NOBODYS, INACTIVES = (f"ASM-{YEAR}-{number}" for number in ("001", "999", "004"))

# The models in the admin, by the permission of the office: to edit rows, to view rows of the application, or none.
GROUPS = {
    "<assessment>": ["assessments/assessment"],
    "<office>": ["assessments/office"],
    "<edited>": [f"assessments/{model}" for model in ("estimate", "client", "repairer")],
    "<written>": [
        f"assessments/{model}"
        for model in ("document", "documentversion", "attempt", "batch", "auditentry", "heartbeat")
    ],
    "<requests>": ["assessments/bulkrequest"],
    "<foreign>": ["auth/group", "auth/user", "django_tasks_database/dbtaskresult"],
}

# The columns: a person who is not signed in or was deactivated while signed in, another assessor, the owner, staff with
# all permissions on the application, a reader (staff who may view assessments), a clerk (staff without any permission).
# No row needs data that an earlier row changes. Signing out ends a session of its own, after the other methods.
TABLE = """
address                                              | methods                           | out oth own stf rdr clk

                                                     | GET HEAD                          | 302 302 302 302 302 302
                                                     | POST PUT PATCH DELETE OPTIONS     | 405 405 405 405 405 405
login/                                               | GET HEAD POST PUT OPTIONS         | 200 302 302 302 302 302
                                                     | PATCH DELETE                      | 405 302 302 302 302 302
logout/                                              | GET HEAD PUT PATCH DELETE         | 405 405 405 405 405 405
                                                     | OPTIONS                           | 200 200 200 200 200 200
                                                     | POST                              | 302 302 302 302 302 302
password/                                            | GET HEAD POST PUT OPTIONS         | 302 200 200 200 200 200
                                                     | PATCH DELETE                      | 302 405 405 405 405 405
password/reset/                                      | GET HEAD POST PUT OPTIONS         | 200 200 200 200 200 200
                                                     | PATCH DELETE                      | 405 405 405 405 405 405
password/reset/sent/                                 | GET HEAD OPTIONS                  | 200 200 200 200 200 200
                                                     | POST PUT PATCH DELETE             | 405 405 405 405 405 405
password/reset/<uidb64>/<token>/                     | ANY                               | 200 200 200 200 200 200
readyz                                               | GET HEAD                          | 200 200 200 200 200 200
                                                     | POST PUT PATCH DELETE OPTIONS     | 405 405 405 405 405 405
healthz                                              | GET HEAD                          | 200 200 200 200 200 200
                                                     | POST PUT PATCH DELETE OPTIONS     | 405 405 405 405 405 405
metrics                                              | GET HEAD                          | 404 404 404 200 200 404
                                                     | POST PUT PATCH DELETE OPTIONS     | 405 405 405 405 405 405

assessments/                                         | GET HEAD                          | 302 200 200 200 200 200
                                                     | POST PUT PATCH DELETE OPTIONS     | 302 405 405 405 405 405
assessments/<str:number>/                            | GET HEAD                          | 302 404 200 200 200 404
                                                     | POST PUT PATCH DELETE OPTIONS     | 302 405 405 405 405 405
assessments/<str:number>/photos/                     | GET HEAD                          | 302 404 302 302 302 404
                                                     | POST                              | 302 404 302 302 403 404
                                                     | PUT PATCH DELETE OPTIONS          | 302 405 405 405 405 405
assessments/<str:number>/photos/<int:pk>/thumbnail/  | GET HEAD                          | 302 404 200 200 200 404
                                                     | POST PUT PATCH DELETE OPTIONS     | 302 405 405 405 405 405
assessments/<str:number>/documents/<kind:slug>/      | GET HEAD                          | 302 404 200 200 200 404
                                                     | POST PUT PATCH DELETE OPTIONS     | 302 405 405 405 405 405
assessments/<str:number>/documents/<kind:slug>/retry/| GET HEAD                          | 302 404 200 200 200 404
                                                     | POST                              | 302 404 302 302 403 404
                                                     | PUT PATCH DELETE OPTIONS          | 302 405 405 405 405 405
assessments/<str:number>/documents/generate/         | GET HEAD PUT PATCH DELETE OPTIONS | 405 405 405 405 405 405
                                                     | POST                              | 302 404 302 302 403 404
api/generate-all-documents                           | GET HEAD PUT PATCH DELETE OPTIONS | 405 405 405 405 405 405
                                                     | POST                              | 401 404 200 200 403 404
assessments/<str:number>/events/                     | GET                               | 302 404 200 200 200 404
                                                     | HEAD POST PUT PATCH DELETE        | 405 405 405 405 405 405
                                                     | OPTIONS                           | 405 405 405 405 405 405
assessments/<str:number>/documents/cancel/           | GET HEAD PUT PATCH DELETE OPTIONS | 405 405 405 405 405 405
                                                     | POST                              | 302 404 302 302 403 404

admin/                                               | ANY                               | 302 302 302 200 200 200
admin/login/                                         | GET                               | 200 200 200 302 302 302
                                                     | HEAD POST PUT OPTIONS             | 200 200 200 200 200 200
                                                     | PATCH DELETE                      | 405 405 405 405 405 405
admin/logout/                                        | GET HEAD PUT PATCH DELETE         | 302 302 302 405 405 405
                                                     | OPTIONS                           | 302 302 302 200 200 200
                                                     | POST                              | 302 302 302 302 302 302
admin/password_change/                               | ANY                               | 302 302 302 302 302 302
admin/password_change/done/                          | GET HEAD OPTIONS                  | 302 302 302 200 200 200
                                                     | POST PUT PATCH DELETE             | 302 302 302 405 405 405
admin/autocomplete/                                  | GET HEAD                          | 302 302 302 200 403 403
                                                     | OPTIONS                           | 302 302 302 200 200 200
                                                     | POST PUT PATCH DELETE             | 302 302 302 405 405 405
admin/jsi18n/                                        | GET HEAD OPTIONS                  | 302 302 302 200 200 200
                                                     | POST PUT PATCH DELETE             | 302 302 302 405 405 405
admin/r/<path:content_type_id>/<path:object_id>/     | ANY                               | 302 302 302 404 404 404
admin/<app_label>/                                   | ANY                               | 302 302 302 200 200 404
admin/<url>                                          | ANY                               | 302 302 302 404 404 404

admin/assessments/assessment/progress/<str:key>/     | GET HEAD PUT PATCH DELETE OPTIONS | 302 302 302 200 200 403
                                                     | POST                              | 302 302 302 302 403 403
admin/<assessment>/                                  | ANY                               | 302 302 302 200 200 403
admin/<assessment>/add/                              | ANY                               | 302 302 302 200 403 403
admin/<assessment>/<path:object_id>/                 | ANY                               | 302 302 302 302 302 302
admin/<assessment>/<path:object_id>/change/          | GET HEAD PUT PATCH DELETE OPTIONS | 302 302 302 200 200 403
                                                     | POST                              | 302 302 302 200 403 403
admin/<assessment>/<path:object_id>/history/         | ANY                               | 302 302 302 200 200 403
admin/<assessment>/<path:object_id>/delete/          | ANY                               | 302 302 302 403 403 403
admin/<edited>/                                      | ANY                               | 302 302 302 200 403 403
admin/<edited>/add/                                  | ANY                               | 302 302 302 200 403 403
admin/<edited>/<path:object_id>/                     | ANY                               | 302 302 302 302 302 302
admin/<edited>/<path:object_id>/change/              | ANY                               | 302 302 302 200 403 403
admin/<edited>/<path:object_id>/history/             | ANY                               | 302 302 302 200 403 403
admin/<edited>/<path:object_id>/delete/              | ANY                               | 302 302 302 200 403 403
admin/<office>/                                      | ANY                               | 302 302 302 302 302 302
admin/<office>/add/                                  | ANY                               | 302 302 302 403 403 403
admin/<office>/<path:object_id>/                     | ANY                               | 302 302 302 302 302 302
admin/<office>/<path:object_id>/change/              | ANY                               | 302 302 302 200 403 403
admin/<office>/<path:object_id>/history/             | ANY                               | 302 302 302 200 403 403
admin/<office>/<path:object_id>/delete/              | ANY                               | 302 302 302 403 403 403
admin/<written>/                                     | ANY                               | 302 302 302 200 403 403
admin/<written>/add/                                 | ANY                               | 302 302 302 403 403 403
admin/<written>/<path:object_id>/                    | ANY                               | 302 302 302 302 302 302
admin/<written>/<path:object_id>/change/             | GET HEAD PUT PATCH DELETE OPTIONS | 302 302 302 200 403 403
                                                     | POST                              | 302 302 302 403 403 403
admin/<written>/<path:object_id>/history/            | ANY                               | 302 302 302 200 403 403
admin/<written>/<path:object_id>/delete/             | ANY                               | 302 302 302 403 403 403
admin/<requests>/                                    | ANY                               | 302 302 302 200 200 403
admin/<requests>/add/                                | ANY                               | 302 302 302 403 403 403
admin/<requests>/<path:object_id>/                   | ANY                               | 302 302 302 302 302 302
admin/<requests>/<path:object_id>/change/            | GET HEAD PUT PATCH DELETE OPTIONS | 302 302 302 200 200 403
                                                     | POST                              | 302 302 302 403 403 403
admin/<requests>/<path:object_id>/history/           | ANY                               | 302 302 302 200 200 403
admin/<requests>/<path:object_id>/delete/            | ANY                               | 302 302 302 403 403 403
admin/<foreign>/                                     | ANY                               | 302 302 302 403 403 403
admin/<foreign>/add/                                 | ANY                               | 302 302 302 403 403 403
admin/<foreign>/<path:object_id>/                    | ANY                               | 302 302 302 302 302 302
admin/<foreign>/<path:object_id>/change/             | ANY                               | 302 302 302 403 403 403
admin/<foreign>/<path:object_id>/history/            | ANY                               | 302 302 302 403 403 403
admin/<foreign>/<path:object_id>/delete/             | ANY                               | 302 302 302 403 403 403
admin/auth/user/<id>/password/                       | ANY                               | 302 302 302 403 403 403
"""
METHODS = "GET HEAD PUT PATCH DELETE OPTIONS POST"
COLUMNS = {"anonymous": 0, "inactive": 0, "stranger": 1, "owner": 2, "staff": 3, "reader": 4, "clerk": 5}
# The queries that addresses need.
QUERIES = {
    "admin/autocomplete/": "?app_label=assessments&model_name=estimate&field_name=repairer",
}
# The addresses that end the session of the request.
ENDINGS = ["logout/", "admin/logout/"]
API = "api/generate-all-documents"
WITH_TOKEN = {"X-CSRFToken": CSRF_TOKEN}


@dataclass(frozen=True)
class Row:
    """The answers of one address to one method: a status for each of the six columns."""

    address: str
    method: str
    statuses: list[int]


def rows() -> Iterator[Row]:
    """Yield the rows of the table, one for each address and each method."""
    address = ""
    for line in TABLE.strip().splitlines()[1:]:
        if not line:
            continue
        named, methods, statuses = (part.strip() for part in line.split("|"))
        address = named or address
        group = next((group for group in GROUPS if group in address), "")
        for model in GROUPS.get(group, [""]):
            for method in methods.replace("ANY", METHODS).split():
                yield Row(address.replace(group, model) if group else address, method, [*map(int, statuses.split())])


def addresses(resolver: URLResolver | None = None, prefix: str = "") -> Iterator[str]:
    """Yield every route of the site; a regular expression is reduced to the names of its parts."""
    for entry in (resolver or get_resolver()).url_patterns:
        address = prefix + re.sub(r"\^?\(\?P(<\w+>).*\)(.*)\$", r"\1\2", str(entry.pattern))
        if isinstance(entry, URLResolver):
            yield from addresses(entry, address)
        else:
            yield address


def test_every_address_and_method_has_a_row_and_every_row_an_address() -> None:
    told = [(row.address, row.method) for row in rows()]
    assert sorted(told) == sorted(product(addresses(), METHODS.split()))


# The site, with one of everything that an address can name ------------------------------------------------------------


@dataclass
class Stage:
    site: Site
    # The sessions by role; ``spare`` has further sessions of the same people, by the address that ends them.
    sessions: dict[str, str]
    spare: dict[str, dict[str, str]]
    # By model, such as "assessments/client": the primary key of the first row, in the form of addresses.
    keys: dict[str, str]
    # By number of an assessment: the primary key of one of its photos.
    photos: dict[str, int]

    def client(self, role: str, sessions: dict[str, str] | None = None) -> httpx.Client:
        cookies = {"csrftoken": CSRF_TOKEN}
        if session := (sessions or self.sessions).get(role):
            cookies["sessionid"] = session
        return httpx.Client(base_url=self.site.url, cookies=cookies, timeout=PATIENCE, verify=NO_TLS)

    def inside(self, role: str, rows: list["Row"], number: str) -> list[int]:
        """Return the statuses of the answers to rows, asked in a process with the site's environment."""
        asked = [
            (row.method, self.path(row.address, number), self.spare.get(row.address, self.sessions).get(role))
            for row in rows
        ]
        code = f"from tests.security import inside; print(inside.statuses({json.dumps(asked)!r}, {CSRF_TOKEN!r}))"
        statuses: list[int] = self.site.python(code)
        return statuses

    def path(self, address: str, number: str) -> str:
        model = "/".join(address.split("/")[1:3])
        values = {
            "<str:number>": number,
            "<kind:slug>": "report",
            "<int:pk>": str(self.photos.get(number, 1)),
            "<str:key>": self.keys["assessments/bulkrequest"],
            "<path:content_type_id>": "1",
            "<path:object_id>": self.keys.get(model, "1"),
            "<id>": self.keys["auth/user"],
            "<app_label>": "assessments",
            "<url>": "nowhere/",
        }
        for name, value in values.items():
            address = address.replace(name, value)
        return f"/{address}{QUERIES.get(address, '')}"


@pytest.fixture(scope="module")
def stage(lent_site: Site) -> Stage:
    with lent_site.login("assessor") as client:
        client.post(f"/assessments/{OWN}/documents/report/retry/")
        wait_until(lambda: lent_site.statuses(OWN)["report"] == "success", "the report is not made")
        assert client.get(f"/assessments/{OWN}/documents/report/").status_code == 200
    return Stage(site=lent_site, **lent_site.python(SET_UP))


SET_UP = (
    f"""
ENDINGS = {ENDINGS}
"""
    + """
import json
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group, User
from assessments.models import Assessment, BulkRequest, Office
from tests import cast

inactive = cast.make_person("inactive")
cast.make_assessment(inactive)
people = {
    "inactive": inactive,
    "reader": cast.make_person("reader", is_staff=True, may=["view_assessment"]),
    "clerk": cast.make_person("clerk", is_staff=True, may=[]),
}
people |= {role: User.objects.get(username=name) for role, name in
           {"stranger": "stranger", "owner": "assessor", "staff": "staff"}.items()}
sessions = {role: cast.session_of(person) for role, person in people.items()}
spare = {address: {role: cast.session_of(person) for role, person in people.items()} for address in ENDINGS}
inactive.is_active = False
inactive.save()
Group.objects.create(name="Assessors")
Office.objects.create(pk=1)
BulkRequest.begin("retry", Assessment.objects.all(), by=people["owner"])
first = {assessment.number: assessment.photos.first() for assessment in Assessment.objects.all()}
for photo in filter(None, first.values()):
    cast.look_at(photo)
keys = {model._meta.label_lower.replace(".", "/"): quote(model._default_manager.order_by("pk").first().pk)
        for model in admin.site._registry}
print(json.dumps({"sessions": sessions, "spare": spare, "keys": {name: str(key) for name, key in keys.items()},
                  "photos": {number: photo.pk for number, photo in first.items() if photo}}))
"""
)


def send(client: httpx.Client, method: str, path: str, number: str, headers: dict[str, str]) -> httpx.Response:
    """Send a request; return the answer, or only the beginning of an endless stream."""
    body = {"json": {"assessmentId": number}} if path == f"/{API}" else {}
    request = client.build_request(method, path, headers=headers, **body)
    response = client.send(request, stream=True)
    if response.headers.get("content-type") == "text/event-stream":
        response.close()
    else:
        response.read()
    return response


# The checks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", COLUMNS)
def test_everybody_gets_the_answers_of_the_table(stage: Stage, role: str) -> None:
    wrong = differences(stage, role)
    assert not wrong, "\n".join(wrong)


def differences(stage: Stage, role: str) -> list[str]:
    """Return the answers to a role that differ from the table."""
    number = INACTIVES if role == "inactive" else OWN
    of_admin = [row for row in rows() if row.address.startswith("admin/")]
    given = list(zip(of_admin, stage.inside(role, of_admin, number), strict=True))
    with ExitStack() as clients:
        client = clients.enter_context(stage.client(role))
        ending = {address: clients.enter_context(stage.client(role, stage.spare[address])) for address in ENDINGS}
        for row in rows():
            if row.address.startswith("admin/"):
                continue
            path = stage.path(row.address, number)
            answer = send(ending.get(row.address, client), row.method, path, number, WITH_TOKEN)
            # A part that is slow is said to be away; in the end it answers.
            while row.address == "healthz" and (answer.status_code, row.statuses[COLUMNS[role]]) == (503, 200):
                answer = send(client, row.method, path, number, WITH_TOKEN)
            given.append((row, answer.status_code))
    assert len(given) == len(list(rows()))
    return [
        f"{role}: {row.method} {stage.path(row.address, number)}: {status} and not {expected}"
        for row, status in given
        if status != (expected := row.statuses[COLUMNS[role]])
    ]


def test_a_stranger_cannot_tell_whether_a_number_exists(stage: Stage) -> None:
    hidden = [row for row in rows() if row.statuses[COLUMNS["stranger"]] == 404]
    assert len(hidden) > 10
    with stage.client("stranger") as client:
        for row in hidden:
            path = stage.path(row.address, OWN)
            existing, missing = (
                seen(send(client, row.method, path.replace(OWN, number), number, WITH_TOKEN), number)
                for number in (OWN, NOBODYS)
            )
            assert existing == missing, row


def seen(response: httpx.Response, number: str) -> tuple[int, dict[str, str], str]:
    """Return the visible parts of an answer, without those that are new each time and without the requested number."""
    headers = {name: re.sub(r"expires=[^;]+", "", value) for name, value in response.headers.items()}
    headers.pop("x-request-id")
    text = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", response.text)
    return response.status_code, headers, text.replace(number, "")


def test_every_post_without_the_token_is_refused(stage: Stage) -> None:
    page, api = "This page was open for too long", "The X-CSRFToken header is missing or wrong."
    with stage.client("anonymous") as nobody, stage.client("staff") as staff:
        for client, address in [
            *product([nobody, staff], ["login/", "password/reset/", "admin/login/"]),
            *product([staff], addresses()),
        ]:
            path = stage.path(address, OWN)
            for headers in ({}, {"X-CSRFToken": "y" * 32}):
                answer = send(client, "POST", path, OWN, headers)
                assert (answer.status_code, (api if address == API else page) in answer.text) == (403, True)
