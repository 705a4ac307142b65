"""Celery on RabbitMQ as the queue, by a setting alone: nothing is lost, as with the queue in the database."""

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests import family
from tests.running import Site, wait_until
from tests.servers import RabbitMQ

from .chaos import LEASE, Chaos, nothing_is_left_behind, soak
from .scene import (
    OWN,
    all_made,
    ask,
    document,
    finishes_its_document_and_leaves_the_rest,
    health,
    outcomes,
    serve,
    versions,
    workers,
)

# These tests show the queue, so one database is enough.
pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)

SECONDS = float(os.environ.get("SOAK_SECONDS", "10"))
# Seconds between two faults.
PAUSE = 2.0
# Seconds that a click may take.
CLICK = 10.0

StartSite = Callable[..., Site]


@pytest.fixture(scope="module")
def queue() -> Iterator[RabbitMQ]:
    server = RabbitMQ()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def start(start_site: StartSite, queue: RabbitMQ) -> StartSite:
    backend = "assessments.operations.celery_engine.CeleryBackend"
    return partial(start_site, TASK_BACKEND=backend, CELERY_BROKER_URL=queue.url)


def test_a_worker_ends_after_its_document_and_a_second_signal_makes_it_give_the_document_back(start: StartSite) -> None:
    site = start(LEASE_SECONDS="30")
    finishes_its_document_and_leaves_the_rest(site)

    with ThreadPoolExecutor(1) as pool:
        site.start(wait=False)
        (worker,), process = workers(site), site.process
        assert process
        # The worker goes on at once, perhaps before the web answers.
        held = pool.submit(family.hold_renderer, worker)
        wait_until(site.ready, "it does not answer")
        renderer = held.result()
    process.terminate()
    wait_until(lambda: not family.named(serve(site), "web"), "the web process goes on")
    wait_until(lambda: family.has_taken(worker, signal.SIGTERM), "the worker is not told")
    process.terminate()
    assert process.wait(30) == 0
    assert not family.running(renderer)
    assert list(site.statuses(OWN).values()) == ["success", "pending", "pending", "pending"]
    assert document(site, "estimate")["attempts"] == 0
    assert outcomes(site, "estimate") == ["released"]

    site.start()
    wait_until(lambda: all_made(site), "the rest is not made", 60)
    assert versions(site) == [1, 1, 1, 1]


def test_a_click_while_the_queue_is_away_is_accepted_and_made_good_later(start: StartSite, queue: RabbitMQ) -> None:
    site = start(LEASE_SECONDS="4")
    (worker,) = workers(site)
    queue.stop(queue.gently)
    begun = time.monotonic()
    ask(site)
    assert time.monotonic() - begun < CLICK
    wait_until(lambda: "The queue does not answer" in site.log.read_text(), "nobody is told")
    queue.start()
    wait_until(lambda: all_made(site), "the documents are not made", 120)
    assert versions(site) == [1, 1, 1, 1]
    # The queue is used again: further documents are made without help from the sweep.
    wait_until(lambda: woken_at_once(site), "a click takes the sweep", 60)
    assert workers(site) == [worker]
    wait_until(lambda: health(site)["workers"] == "alive", "the worker gives no sign of life")


def woken_at_once(site: Site) -> bool:
    begun = time.monotonic()
    ask(site, "report")
    wait_until(lambda: document(site, "report")["status"] != "pending", "it is not begun")
    seconds = time.monotonic() - begun
    wait_until(lambda: all_made(site), "it is not made", 60)
    # The sweep would take ten seconds.
    return seconds < 8


def test_a_deadly_task_runs_after_the_documents_and_is_not_repeated_for_ever(start: StartSite) -> None:
    site = start(LEASE_SECONDS="30")
    (worker,) = workers(site)
    ask(site)
    renderer = family.hold_renderer(worker)
    mark = site.data_dir / "mark"
    site.python(f"from tests.crash import deadly; deadly.die.enqueue(); deadly.mark.enqueue({str(mark)!r})")
    os.kill(renderer, signal.SIGCONT)
    wait_until(lambda: deaths(site), "no worker took it", 120)
    assert all_made(site)
    wait_until(mark.exists, "what is behind it is never done")
    assert deaths(site) <= 2


def deaths(site: Site) -> int:
    return site.log.read_text().count("worker 1 ended (Killed)")


@pytest.mark.timeout(600)
def test_random_kills_lose_nothing(start: StartSite, queue: RabbitMQ, capsys: pytest.CaptureFixture[str]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        site = start(WORKERS="2", LEASE_SECONDS=str(LEASE), TMPDIR=temporary)

        def restart_queue() -> None:
            queue.stop(queue.gently)
            queue.start()

        chaos = Chaos([site], PAUSE, restarts={"queue": restart_queue})
        done = soak(site, chaos, 3, SECONDS)
        with capsys.disabled():
            print(f"\n{done}")
        nothing_is_left_behind([site], 2, Path(temporary))
