"""The database goes away, or is locked, in the middle of a document: all processes wait, and go on by themselves."""

import os
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from tests import family
from tests.running import Site, wait_until
from tests.servers import PostgreSQL

from .scene import OWN, all_made, ask, health, stray_files, versions, workers
from .viewer import Viewer, nothing_missed, nothing_twice

# Seconds for which the database is away, and seconds for which it is locked.
AWAY, LOCKED = 4, 10


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("how", [PostgreSQL.FAST, PostgreSQL.IMMEDIATE], ids=["fast", "immediate"])
def test_a_restart_of_postgresql_loses_nothing(
    start_site: Callable[..., Site], postgresql: PostgreSQL, how: signal.Signals
) -> None:
    site = start_site(WORKERS="2", LEASE_SECONDS="3")
    before = workers(site)
    viewer = Viewer(site, OWN)
    viewer.start()
    ask(site)
    renderer = wait_until(lambda: [pid for worker in before for pid in family.renderers(worker)], "nobody works")[0]
    os.kill(renderer, signal.SIGSTOP)
    try:
        postgresql.stop(how)
        # The renderer ends while the database is away.
        os.kill(renderer, signal.SIGCONT)
        assert health(site)["database"] == "not answering"
        time.sleep(AWAY)
    finally:
        postgresql.start()
    everything_goes_on(site, viewer, before)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_locked_sqlite_loses_nothing(start_site: Callable[..., Site]) -> None:
    site = start_site(WORKERS="2", LEASE_SECONDS="3")
    before = workers(site)
    viewer = Viewer(site, OWN)
    viewer.start()
    ask(site)
    wait_until(lambda: [pid for worker in before for pid in family.renderers(worker)], "nobody works")
    with closing(sqlite3.connect(site.data_dir / "db.sqlite3", timeout=20, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        locked = time.monotonic()
        with site.login("assessor") as client:
            assert client.get(f"/assessments/{OWN}/").status_code == 200
        # A page is read without waiting for the lock.
        assert time.monotonic() - locked < LOCKED / 2
        time.sleep(LOCKED - (time.monotonic() - locked))
        assert not all_made(site)
        other.execute("ROLLBACK")
    everything_goes_on(site, viewer, before)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_click_on_a_locked_sqlite_is_answered_with_advice(site: Site) -> None:
    with closing(sqlite3.connect(site.data_dir / "db.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with site.login("assessor") as client:
            answer = client.post(f"/assessments/{OWN}/documents/generate/")
        other.execute("ROLLBACK")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert "<h1>Not just now</h1>" in answer.text


def everything_goes_on(site: Site, viewer: Viewer, before: list[int]) -> None:
    """Check that the same workers make each document once, and that the page sees each change."""
    wait_until(lambda: all_made(site), "the documents are not made", 90)
    wait_until(lambda: nothing_missed(viewer), "the page misses a change")
    assert nothing_twice(viewer), viewer.revisions
    wait_until(lambda: health(site)["healthy"], "it is not healthy")
    assert versions(site) == [1, 1, 1, 1]
    wait_until(lambda: not stray_files(site), "files are left")
    assert workers(site) == before
