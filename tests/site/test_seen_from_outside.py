"""A running site as its operator sees it: the metrics, the log for machines, and the faults at Sentry."""

import gzip
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import quote

import brotli
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests import sse
from tests.cast import YEAR
from tests.running import PATIENCE, Site, run_manage, wait_until
from tests.sites import starting_sites

OWN, SECOND, WITHOUT_PHOTOS = (f"ASM-{YEAR}-{number}" for number in ("001", "002", "003"))
TOKEN = "a-token-that-nobody-will-ever-guess"
WITH_TOKEN = {"Authorization": f"Bearer {TOKEN}"}
FIRST_LINE = (
    "from assessments.models import EstimateLine; "
    f"line = EstimateLine.objects.filter(estimate__assessment__number='{OWN}').first()"
)
SECRET = "a-secret-key-that-nobody-must-ever-see-anywhere"


UNPACK = {"br": brotli.decompress, "gzip": gzip.decompress}


class Sentry(ThreadingHTTPServer):
    """Takes in reports, as the real Sentry does."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Inbox)
        self.reports: list[dict[str, Any]] = []
        self.texts: list[str] = []
        Thread(target=self.serve_forever, daemon=True).start()

    @property
    def dsn(self) -> str:
        return f"http://public@127.0.0.1:{self.server_port}/1"

    def about(self, **tags: str) -> list[dict[str, Any]]:
        return [report for report in self.reports if tags.items() <= report["tags"].items()]


class Inbox(BaseHTTPRequestHandler):
    server: Sentry

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        text = UNPACK[self.headers["Content-Encoding"]](body).decode()
        self.server.texts.append(text)
        lines = text.splitlines()
        for header, payload in zip(lines[1::2], lines[2::2], strict=False):
            if json.loads(header)["type"] == "event":
                self.server.reports.append(json.loads(payload))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *about: object) -> None:
        """Log nothing."""


@dataclass
class Observed:
    site: Site
    sentry: Sentry

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines of the log, without those of ``serve`` for the person at the terminal."""
        return [json.loads(line) for line in self.site.log.read_text().split("\n") if line.startswith("{")]

    def lines_with(self, **facts: object) -> list[dict[str, Any]]:
        return [line for line in self.lines() if facts.items() <= line.items()]

    def metrics(self) -> dict[tuple[str, frozenset[str]], float]:
        """Return each value of the metrics by its name and the values of its labels, as a scraper reads them."""
        answer = httpx.get(f"{self.site.url}/metrics", headers=WITH_TOKEN, timeout=PATIENCE)
        assert answer.status_code == 200
        return {
            (sample.name, frozenset(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }


@pytest.fixture(scope="module")
def observed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    with Sentry() as sentry, starting_sites(request, "sqlite", tmp_path_factory.mktemp("observed")) as start:
        site = start(
            LOG_FORMAT="json",
            METRICS_TOKEN=TOKEN,
            SENTRY_DSN=sentry.dsn,
            SENTRY_ENVIRONMENT="trial",
            SENTRY_RELEASE="7.1",
            SECRET_KEY=SECRET,
            WORKERS="2",
        )
        # The template's sessions were signed with another key.
        site.sessions = site.python(
            "import json; from django.contrib.auth.models import User; from tests import cast; "
            "print(json.dumps({user.username: cast.session_of(user) for user in User.objects.all()}))"
        )
        yield Observed(site, sentry)
        sentry.shutdown()


def name(metric: str, *labels: str) -> tuple[str, frozenset[str]]:
    return f"assessments_{metric}", frozenset(labels)


def test_the_metrics_count_a_document_from_its_request_to_its_viewer(observed: Observed) -> None:
    site = observed.site
    assert observed.metrics()[name("streams_open")] == 0
    with site.login("assessor") as client, client.stream("GET", f"/assessments/{OWN}/events/") as stream:
        events = sse.read(stream)
        wait_until(lambda: observed.metrics()[name("streams_open")] == 1, "the stream is not counted")
        client.post(f"/assessments/{OWN}/documents/estimate/retry/")
        changes = (event for event in events if event.type in {"", "message"})
        assert next(change for change in changes if change.status == "success")
        # A mark as out of date, and its removal, are changes of a document, and no ends of it.
        for change_line, marked in (
            ("line.description += '!'", True),
            ("line.description = line.description[:-1]", False),
        ):
            site.python(f"{FIRST_LINE}; {change_line}; line.save()")
            assert next(change for change in changes if ("after this was made" in change.data) == marked)
        told = observed.metrics()
    assert told[name("attempts_total", "estimate", "success")] == 1
    assert told[name("documents", "estimate", "success")] == 1
    assert told[name("documents", "report", "idle")] == 3
    assert told[name("document_seconds_count", "estimate")] == 1
    assert 0 < told[name("document_seconds_sum", "estimate")] < 60
    assert told[name("queue_documents", "pending")] == told[name("queue_oldest_seconds")] == 0
    assert told[name("relay_lag_seconds_count")] == 1
    # The relay queries the database five times a second.
    assert 0 < told[name("relay_lag_seconds_sum")] < 5
    wait_until(lambda: observed.metrics()[name("processes_alive", "worker")] == 2, "two workers are not counted")
    assert observed.metrics()[name("processes_alive", "sweep")] == 1
    wait_until(lambda: observed.metrics()[name("streams_open")] == 0, "the stream that ended is still counted")
    assert told["process_resident_memory_bytes", frozenset()] > 2**20


def test_only_staff_and_holders_of_the_token_may_read_the_metrics(observed: Observed) -> None:
    for headers in ({}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": TOKEN}, {"Authorization": "Bearer"}):
        assert httpx.get(f"{observed.site.url}/metrics", headers=headers, timeout=PATIENCE).status_code == 404
    for person, status in {"assessor": 404, "staff": 200}.items():
        with observed.site.login(person) as client:
            assert client.get("/metrics").status_code == status


def test_every_line_of_the_log_is_an_object_with_its_time_in_utc(observed: Observed) -> None:
    others = [line for line in observed.site.log.read_text().split("\n") if line and not line.startswith("{")]
    assert [line for line in others if not line.startswith("Serving on")] == []
    for line in observed.lines():
        assert {"time", "level", "logger", "process", "message"} <= line.keys()
        assert datetime.fromisoformat(line["time"]).utcoffset() == timedelta(0)


def test_a_request_is_one_line_and_its_id_is_on_all_lines_that_it_causes(observed: Observed) -> None:
    mine = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
    with observed.site.login("assessor") as client:
        answer = client.get(f"/assessments/{SECOND}/?q=private", headers={"X-Request-ID": mine})
        user = observed.site.rows("SELECT id FROM auth_user WHERE username = 'assessor'")[0]["id"]
    assert answer.status_code == 404
    assert answer.headers["X-Request-ID"] == mine
    wait_until(lambda: len(observed.lines_with(request_id=mine)) == 2, "the lines are not there")
    of_django, of_ours = observed.lines_with(request_id=mine)
    assert of_django["message"] == f"Not Found: /assessments/{SECOND}/"
    assert of_ours["logger"] == "assessments.server.request_log"
    told = {fact: of_ours[fact] for fact in ("method", "path", "status", "user")}
    assert told == {"method": "GET", "path": f"/assessments/{SECOND}/", "status": 404, "user": str(user)}
    assert of_ours["ms"] >= 0
    assert "private" not in observed.site.log.read_text()


def test_an_id_that_could_do_harm_is_replaced(observed: Observed) -> None:
    for given in ("short", "x" * 65, "a b c d e f g h", 'quoted"quoted', "12345678;drop"):
        answer = httpx.get(f"{observed.site.url}/readyz", headers={"X-Request-ID": given}, timeout=PATIENCE)
        assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-ID"])


def test_nobody_can_forge_a_line_of_the_log(observed: Observed) -> None:
    forged = '\n{"level": "FORGED"}\u2028\x7f\x9b\r\n'
    mine = "an-id-of-a-forger"
    httpx.get(f"{observed.site.url}/{quote(forged)}", headers={"X-Request-ID": mine}, timeout=PATIENCE)
    wait_until(lambda: len(observed.lines_with(request_id=mine)) == 2, "the lines are not there")
    assert observed.lines_with(request_id=mine)[1]["path"] == f"/{forged}"
    assert not observed.lines_with(level="FORGED")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028]", observed.site.log.read_bytes().decode())


def test_a_stream_is_logged_in_one_line_at_its_end(observed: Observed) -> None:
    mine = "the-id-of-a-stream"
    path, headers = f"/assessments/{OWN}/events/", {"X-Request-ID": mine}
    with observed.site.login("assessor") as client, client.stream("GET", path, headers=headers) as stream:
        assert stream.headers["X-Request-ID"] == mine
        assert observed.lines_with(request_id=mine) == []
    [line] = wait_until(lambda: observed.lines_with(request_id=mine), "the line is not there")
    assert (line["status"], line["method"]) == (200, "GET")


def test_each_line_of_a_worker_names_its_attempt(observed: Observed) -> None:
    with observed.site.login("assessor") as client:
        client.post(f"/assessments/{WITHOUT_PHOTOS}/documents/report/retry/")
    lines = wait_until(
        lambda: len(found := observed.lines_with(assessment=WITHOUT_PHOTOS)) > 1 and found, "the lines are not there"
    )
    [attempt] = observed.site.rows("SELECT token FROM assessments_attempt ORDER BY id DESC LIMIT 1")
    assert {line["attempt"] for line in lines} == {attempt["token"][:8]}
    assert all("request_id" not in line for line in lines)


def test_a_fault_reaches_sentry_with_its_reference_and_without_texts_of_people(observed: Observed) -> None:
    site = observed.site
    name = "Thandi Mokoena's IMG_0001.jpg"
    with closing(sqlite3.connect(site.data_dir / "db.sqlite3", timeout=20)) as database, database:
        database.execute("UPDATE assessments_assessment SET notes = ?", [name.encode()])
    with site.login("assessor") as client:
        client.post(f"/assessments/{OWN}/documents/report/retry/")
        wait_until(lambda: site.statuses(OWN)["report"] == "error", "it did not fail")
        with closing(sqlite3.connect(site.data_dir / "db.sqlite3", timeout=20)) as database, database:
            database.execute("UPDATE assessments_valuation SET trade = ?", [name])
        page = client.get(f"/assessments/{OWN}/?q=private")
    reference = site.rows("SELECT reference FROM assessments_document WHERE status = 'error'")[0]["reference"]
    [report] = wait_until(lambda: observed.sentry.about(attempt=reference), "nothing was reported")
    assert report["tags"] == {"attempt": reference, "assessment": OWN}
    assert report["logentry"] == {"message": "%s: failed unexpectedly"}
    assert (report["environment"], report["release"]) == ("trial", "7.1")
    [exception] = report["exception"]["values"]
    assert exception["type"] == "Broken"
    assert exception["stacktrace"]["frames"][-1]["function"] == "told"
    assert page.status_code == 500
    request_id = page.headers["X-Request-ID"]
    [report] = wait_until(lambda: observed.sentry.about(request_id=request_id), "nothing was reported")
    assert report["request"] == {"method": "GET", "url": f"{site.url}/assessments/{OWN}/"}
    assert report["exception"]["values"][0]["type"] == "InvalidOperation"
    # The library sends the remaining reports when a process ends as usual.
    run_manage(site.environment, "shell", "--verbosity", "0", "--command", REPORT)
    [report] = wait_until(lambda: observed.sentry.about(attempt="by hand"), "nothing was reported")
    assert [each["type"] for each in report["exception"]["values"]] == ["KeyError", "ValueError"]
    everything = "\n".join(observed.sentry.texts)
    for private in (name, "Mokoena", "IMG_", "private", SECRET, TOKEN, *site.sessions.values()):
        assert private not in everything


# Code that logs a person's name in every place, as a careless library may.
REPORT = """
import logging
from assessments.logs import about
name = "Thandi Mokoena"
with about(attempt="by hand"):
    logging.getLogger("assessments").info("Seen: %s", name)
    logging.getLogger("library").warning("Seen: %s", name)
    try:
        try:
            {}[name]
        except KeyError as error:
            raise ValueError(f"no IMG_0001.jpg of {name}") from error
    except ValueError:
        logging.getLogger("library").exception(f"Lost: {name}", extra={"person": name})
print("null")
"""
