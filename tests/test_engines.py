"""The queues outside of the database: what has to be set for them, and what waits for one that does not answer."""

import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.tasks import TaskResultStatus
from django.utils import timezone
from pytest_django import Settings

from assessments import tasks
from assessments.engines.broker import REST
from assessments.models import Assessment

from .running import bare_environment, run_manage


@pytest.mark.parametrize(
    ("backend", "missing"),
    [
        ("assessments.engines.rq.RQBackend", "REDIS_URL"),
        ("assessments.engines.celery.CeleryBackend", "CELERY_BROKER_URL"),
    ],
)
def test_a_queue_without_an_address_stops_the_start(backend: str, missing: str, tmp_path: Path) -> None:
    done = run_manage(bare_environment(tmp_path) | {"TASK_BACKEND": backend}, "check")
    assert done.returncode != 0
    assert f"HINT: Set {missing}." in done.stderr


@pytest.fixture
def silent(settings: Settings) -> Iterator[None]:
    """The queue is on a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.REDIS_URL = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        settings.TASKS = {"default": {"BACKEND": "assessments.engines.rq.RQBackend"}}
        yield


@pytest.mark.usefixtures("silent")
def test_500_wake_ups_do_not_wait_one_by_one_for_a_queue_that_does_not_answer() -> None:
    begun = time.monotonic()
    results = [tasks.advance.enqueue(number) for number in range(500)]
    assert {result.status for result in results} == {TaskResultStatus.FAILED}
    assert time.monotonic() - begun < REST


@pytest.mark.usefixtures("silent")
def test_the_sweep_does_not_wait_longer_each_time_for_a_queue_that_took_nothing(assessment: Assessment) -> None:
    tasks.request(assessment)
    for _ in range(4):
        Assessment.objects.update(woken_at=timezone.now() - timedelta(seconds=15))
        assert tasks.recover() == 1
