"""The page for Prometheus: its numbers for an empty and for a busy site, its readers, and a missing database."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from assessments.documents import queue
from assessments.models import Assessment, Attempt, Document, Heartbeat, Removal, Tally
from tests.cast import KINDS, make_assessment

TOKEN = "a-token-that-nobody-will-ever-guess"


@pytest.fixture(autouse=True)
def token(settings: Settings) -> None:
    settings.METRICS_TOKEN = TOKEN


def read(client: Client) -> dict[str, dict[tuple[str, ...], float]]:
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(answer.content.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


@pytest.mark.django_db
def test_an_empty_site_reports_zeros(client: Client) -> None:
    told = read(client)
    assert told["assessments_queue_documents"] == {("pending",): 0, ("processing",): 0}
    assert told["assessments_queue_oldest_seconds"] == {(): 0}
    assert told["assessments_processes_alive"] == {("worker",): 0, ("sweep",): 0}
    assert told["assessments_streams_open"] == {(): 0}


def test_the_queue_has_a_length_and_an_age(client: Client, assessment: Assessment) -> None:
    queue.request(assessment)
    queue.request(make_assessment(assessment.assessor))
    Document.objects.filter(assessment=assessment).update(requested_at=timezone.now() - timedelta(minutes=10))
    assert queue.claim(assessment.pk)
    told = read(client)
    assert told["assessments_queue_documents"] == {("pending",): 7, ("processing",): 1}
    assert told["assessments_queue_oldest_seconds"][()] == pytest.approx(600, abs=30)
    assert told["assessments_documents"]["report", "pending"] == 1


def test_attempts_are_counted_by_outcome_and_their_seconds_by_kind(client: Client, assessment: Assessment) -> None:
    for outcome, seconds in (("success", 2.5), ("success", 1.5), ("error", None), ("lost", None)):
        queue.request(assessment, ["report"])
        attempt = queue.claim(assessment.pk)
        assert attempt
        attempt.fail("It broke.")
        Attempt.objects.filter(pk=attempt.pk).update(outcome=outcome, seconds=seconds)
    queue.request(assessment, ["estimate"])
    assert queue.claim(assessment.pk)
    told = read(client)
    ended = {("report", "success"): 2, ("report", "error"): 1, ("report", "lost"): 1}
    assert told["assessments_attempts_total"] == ended
    assert told["assessments_document_seconds_count"] == {("report",): 2}
    assert told["assessments_document_seconds_sum"] == {("report",): 4}


def counted(client: Client) -> tuple[Any, ...]:
    told = read(client)
    names = ("assessments_documents", "assessments_attempts_total", "assessments_document_seconds_sum")
    return tuple(told.get(name, {}) for name in names)


def test_each_document_and_attempt_is_counted_once_whenever_the_sweep_counts(
    client: Client, assessment: Assessment
) -> None:
    def make(kind: str, seconds: float) -> None:
        queue.request(assessment, [kind])
        attempt = queue.claim(assessment.pk)
        assert attempt
        attempt.finish({"seconds": seconds}, size=1, sha256="0" * 64)

    make("report", 2)
    once = {(kind, "idle"): 1.0 for kind in KINDS} | {("report", "success"): 1.0}
    del once["report", "idle"]
    assert counted(client) == (once, {("report", "success"): 1}, {("report",): 2})
    Tally.count_changes()
    assert counted(client) == (once, {("report", "success"): 1}, {("report",): 2})
    with CaptureQueriesContext(connection) as queries:
        Tally.count_changes()
    assert not [each for each in queries if "assessments_tally" in each["sql"]], "counted again"
    make("report", 3)
    queue.request(assessment, ["estimate"])
    twice = {**once, ("estimate", "pending"): 1.0}
    del twice["estimate", "idle"]
    for _ in range(2):
        assert counted(client) == (twice, {("report", "success"): 2}, {("report",): 5})
        Tally.count_changes()


def test_a_removed_assessment_leaves_the_count_of_documents_and_not_that_of_attempts(
    client: Client, assessment: Assessment, staff: User
) -> None:
    for kind in ("report", "estimate"):
        queue.request(assessment, [kind])
        attempt = queue.claim(assessment.pk)
        assert attempt
        attempt.fail("It broke.")
        if kind == "report":
            Tally.count_changes()
    Removal.begin(assessment, by=staff)
    documents, attempts, _ = counted(client)
    assert documents == {}
    assert attempts == {("report", "error"): 1, ("estimate", "error"): 1}


@pytest.mark.django_db
def test_only_processes_with_a_recent_sign_of_life_count_as_alive(client: Client) -> None:
    for name, role, age in (("a:1", "worker", 1), ("a:2", "worker", 60), ("b:1", "worker", 2), ("b:2", "sweep", 3)):
        Heartbeat.objects.create(name=name, role=role, seen_at=timezone.now() - timedelta(seconds=age))
    assert read(client)["assessments_processes_alive"] == {("worker",): 2, ("sweep",): 1}


@pytest.mark.django_db
def test_a_request_costs_four_queries_and_one_with_a_wrong_token_none(client: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        read(client)
    assert len(queries) == 4
    with CaptureQueriesContext(connection) as queries:
        assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 404
    assert len(queries) == 0


def test_only_staff_may_read_when_the_settings_have_no_token(
    client: Client, settings: Settings, staff: User, assessor: User
) -> None:
    settings.METRICS_TOKEN = ""
    for given in ("Bearer ", "Bearer", "Bearer None"):
        assert client.get("/metrics", headers={"Authorization": given}).status_code == 404
    client.force_login(assessor)
    assert client.get("/metrics").status_code == 404
    client.force_login(staff)
    assert client.get("/metrics").status_code == 200
    staff.is_active = False
    staff.save()
    assert client.get("/metrics").status_code == 404


@pytest.mark.django_db
def test_the_page_says_so_when_the_database_does_not_answer(client: Client) -> None:
    def refuse(*about: Any) -> None:
        raise OperationalError("the server closed the connection")

    with connection.execute_wrapper(refuse):
        answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "text/plain; charset=utf-8")
    assert answer.content.decode() == "The database does not answer, so there is nothing to measure. Try again.\n"
