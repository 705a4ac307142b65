"""An open stream is cut off when its viewer signs out, is deactivated or loses the assessment."""

import json
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests import sse
from tests.cast import PASSWORD, YEAR
from tests.running import PATIENCE, Site, held_worker, wait_until

OWN, FOREIGN, WITHOUT_PHOTOS = (f"ASM-{YEAR}-00{number}" for number in (1, 2, 3))
# Seconds in which a viewer must be cut off.
LIMIT = 5.0

# One person for each way to lose access to an assessment, with the code that takes the access away.
WAYS_TO_LOSE_IT = {
    "deactivated": "person.is_active = False; person.save()",
    "with-another-password": "person.set_password('changed-by-the-office-7'); person.save()",
    "replaced": "person.assessments.update(assessor=User.objects.get(username='stranger'))",
    "without-permission": "person.user_permissions.clear()",
    "signed-out-by-the-office": "Session.objects.filter(session_key={session!r}).delete()",
}
CAST_THEM = """
import json
from tests import cast
found = {{}}
for name in {names!r}:
    person = cast.make_person(name, is_staff=name == "without-permission")
    owner = cast.make_person("owner") if person.is_staff else person
    watched, made = (cast.make_assessment(owner, 0).number for _ in range(2))
    found[name] = [cast.session_of(person), watched, made]
print(json.dumps(found))
"""
LOSE_IT = """
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
person = User.objects.get(username={name!r})
{code}
"""


class Reader(threading.Thread):
    """Reads a stream to its end in a thread of its own, and records the moment of the end."""

    def __init__(self, client: httpx.Client, number: str, query: str = "") -> None:
        super().__init__(daemon=True)
        self.client, self.number, self.query = client, number, query
        self.opened = threading.Event()
        self.ended_at = 0.0
        self.events: list[sse.SentEvent] = []
        self.start()
        assert self.opened.wait(20)

    def run(self) -> None:
        address = f"/assessments/{self.number}/events/{self.query}"
        with suppress(httpx.TransportError), self.client.stream("GET", address) as answer:
            for event in sse.read(answer):
                self.opened.set()
                self.events.append(event)
        self.ended_at = time.monotonic()


class JsonReader(Reader):
    """Reads the JSON stream of a batch in the same way."""

    def run(self) -> None:
        self.messages: list[dict[str, object]] = []
        with self.client.stream("POST", "/api/generate-all-documents", json={"assessmentId": self.number}) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    self.messages.append(json.loads(line.removeprefix("data: ")))
                    self.opened.set()
        self.ended_at = time.monotonic()


def test_a_viewer_who_loses_access_is_cut_off_within_seconds(site: Site) -> None:
    people = site.python(CAST_THEM.format(names=list(WAYS_TO_LOSE_IT)))
    site.sessions |= {name: session for name, (session, *_) in people.items()}
    with ExitStack() as clients, held_worker(site):
        readers: dict[str, tuple[Reader, JsonReader]] = {}
        for name, (_, watched, made) in people.items():
            login = partial(site.login, name)
            readers[name] = (
                Reader(clients.enter_context(login()), watched),
                JsonReader(clients.enter_context(login()), made),
            )
        untouched = Reader(clients.enter_context(site.login("staff")), people["replaced"][1])
        for name, code in WAYS_TO_LOSE_IT.items():
            assert readers[name][0].is_alive(), "it ended before the right was lost"
            site.python(LOSE_IT.format(name=name, code=code.format(session=site.sessions[name])))
            lost_at = time.monotonic()
            for stream in readers[name]:
                stream.join(LIMIT + 5)
                assert not stream.is_alive(), f"the stream of the {name} goes on"
                assert stream.ended_at - lost_at < LIMIT
            events, batch = readers[name]
            assert events.events[-1].type == "stream-error"
            assert batch.messages[-1]["status"] == "error"
            assert "Sign in again" in str(batch.messages[-1]["message"])
            assert site.login(name).get(f"/assessments/{events.number}/events/").status_code in {302, 404}
        assert untouched.is_alive()
        # Nobody waits for these documents: the site is as new without making them.
        with site.login("staff") as office:
            for _, _, made in people.values():
                assert office.post(f"/assessments/{made}/documents/cancel/").status_code == 302


def test_a_stream_of_several_assessments_ends_when_the_right_to_one_is_lost(site: Site) -> None:
    with site.login("assessor") as client:
        reader = Reader(client, OWN, f"?also={WITHOUT_PHOTOS}:0")
        site.python(
            "from django.contrib.auth.models import User; from assessments.models import Assessment; "
            f"Assessment.objects.filter(number='{WITHOUT_PHOTOS}')"
            ".update(assessor=User.objects.get(username='stranger'))"
        )
        lost_at = time.monotonic()
        reader.join(LIMIT + 5)
        assert not reader.is_alive()
        assert reader.ended_at - lost_at < LIMIT
        assert reader.events[-1].type == "stream-error"
        address = f"/assessments/{OWN}/events/"
        assert client.get(f"{address}?also={WITHOUT_PHOTOS}:0").status_code == 404
        # The remaining assessment can be watched: the ended stream holds no place.
        with client.stream("GET", address) as response:
            assert response.status_code == 200


def test_signing_out_ends_the_streams_of_that_session_alone(site: Site) -> None:
    with site.login("assessor") as here, httpx.Client(base_url=site.url, timeout=PATIENCE) as there:
        there.get("/login/")
        form = {"username": "assessor", "password": PASSWORD, "csrfmiddlewaretoken": there.cookies["csrftoken"]}
        assert there.post("/login/", data=form).status_code == 302
        there.headers["X-CSRFToken"] = there.cookies["csrftoken"]
        reader, elsewhere = Reader(here, OWN), Reader(there, OWN)
        with site.login("assessor") as same_session:
            assert same_session.post("/logout/").status_code == 302
        signed_out_at = time.monotonic()
        reader.join(LIMIT + 5)
        assert not reader.is_alive()
        assert reader.ended_at - signed_out_at < LIMIT
        assert elsewhere.is_alive()
        # A change afterwards reaches the remaining session.
        assert there.post(f"/assessments/{OWN}/documents/generate/").status_code == 302
        wait_until(lambda: any(event.id and not event.type for event in elsewhere.events), "the other hears nothing")


def test_a_person_with_too_many_streams_is_refused_with_a_reason(start_site: Callable[..., Site]) -> None:
    site = start_site(STREAMS_PER_USER="3")
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    with site.login("assessor") as client, site.login("staff") as staff:
        pool = httpx.Client(
            base_url=site.url, cookies=client.cookies, headers=client.headers, limits=limits, timeout=PATIENCE
        )
        readers = [pool.send(pool.build_request("GET", f"/assessments/{OWN}/events/"), stream=True) for _ in range(3)]
        assert [response.status_code for response in readers] == [200, 200, 200]
        refused = client.get(f"/assessments/{OWN}/events/")
        assert refused.status_code == 429
        assert refused.text.startswith("You are watching 3 pages at the same time")
        refused = client.post("/api/generate-all-documents", json={"assessmentId": OWN})
        assert refused.status_code == 429
        assert refused.json()["message"].startswith("You are watching 3 pages")
        assert set(site.statuses(OWN).values()) == {"idle"}
        # A stream of several assessments counts as often, and a refused one takes no place.
        with client.stream("GET", f"/assessments/{OWN}/events/?also={WITHOUT_PHOTOS}:0") as response:
            assert response.status_code == 429
        with staff.stream("GET", f"/assessments/{OWN}/events/") as other:
            assert other.status_code == 200
        readers.pop().close()

        def again() -> bool:
            with client.stream("GET", f"/assessments/{OWN}/events/") as response:
                return response.status_code == 200

        wait_until(again, "a stream that was closed still counts")
        pool.close()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_page_of_a_person_who_was_signed_out_leads_to_the_sign_in(
    site: Site, open_page: Callable[..., Page]
) -> None:
    page = open_page(site, "assessor", f"/assessments/{OWN}/")
    with site.login("assessor") as same_session:
        assert same_session.post("/logout/").status_code == 302
    expect(page.get_by_label("Password")).to_be_visible(timeout=60_000)
    assert f"next=/assessments/{OWN}/" in page.url
