"""The queue in RabbitMQ: the setting that it needs, and wake-ups while it does not answer."""

import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.tasks import TaskResultStatus
from django.utils import timezone
from pytest_django import Settings

from assessments.documents import tasks
from assessments.models import Assessment, Heartbeat
from assessments.operations.celery_engine import REST, app
from tests import staging
from tests.running import bare_environment

BACKEND = "assessments.operations.celery_engine.CeleryBackend"


def test_a_queue_without_an_address_stops_the_start(tmp_path: Path) -> None:
    done = staging.manage(bare_environment(tmp_path) | {"TASK_BACKEND": BACKEND}, "check")
    assert done.returncode != 0
    assert "HINT: Set CELERY_BROKER_URL." in done.stderr


@pytest.fixture(scope="module")
def silent_server() -> Iterator[None]:
    """Put a server that takes connections and never answers in the place of RabbitMQ."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        app.conf.broker_url = f"amqp://127.0.0.1:{server.getsockname()[1]}"
        yield
        app.pool.force_close_all()


@pytest.fixture
def silent(settings: Settings, silent_server: None) -> None:
    settings.TASKS = {"default": {"BACKEND": BACKEND}}


@pytest.mark.usefixtures("silent")
def test_500_wake_ups_do_not_wait_one_by_one_for_a_queue_that_does_not_answer() -> None:
    begun = time.monotonic()
    results = [tasks.advance.enqueue(number) for number in range(500)]
    assert {result.status for result in results} == {TaskResultStatus.FAILED}
    assert time.monotonic() - begun < REST


@pytest.mark.usefixtures("silent")
def test_the_sweep_tries_again_and_again_while_the_queue_does_not_answer(assessment: Assessment) -> None:
    tasks.request(assessment)
    Heartbeat.beat(Heartbeat.Role.WORKER)
    for _ in range(4):
        Assessment.objects.update(woken_at=timezone.now() - timedelta(seconds=15))
        assert tasks.recover() == 1
