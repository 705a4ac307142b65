"""The database goes away, or is locked, in the middle of a document: all processes wait, and go on by themselves."""

import os
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress

import pytest

from tests import family
from tests.running import Site, wait_until
from tests.servers import PostgreSQL

from .chaos import resume
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
    renderer = hold_a_renderer(before)
    try:
        postgresql.stop(how)
        # The renderer ends while the database is away.
        resume(renderer)
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
    renderer = hold_a_renderer(before)
    with closing(sqlite3.connect(site.data_dir / "db.sqlite3", timeout=20, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        locked = time.monotonic()
        resume(renderer)
        with site.login("assessor") as client:
            assert client.get(f"/assessments/{OWN}/").status_code == 200
        # A page is read without waiting for the lock.
        assert time.monotonic() - locked < LOCKED
        time.sleep(max(0.0, LOCKED - (time.monotonic() - locked)))
        assert not all_made(site)
        other.execute("ROLLBACK")
    everything_goes_on(site, viewer, before)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_click_on_a_locked_sqlite_is_answered_with_advice(site: Site) -> None:
    with closing(sqlite3.connect(site.data_dir / "db.sqlite3", timeout=20, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with site.login("assessor") as client:
            answer = client.post(f"/assessments/{OWN}/documents/generate/")
        other.execute("ROLLBACK")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert "<h1>Not just now</h1>" in answer.text


def hold_a_renderer(workers: list[int]) -> int:
    """Stop the next renderer of one of the workers in the middle of its document; return its pid."""

    def look() -> int:
        for pid in [pid for worker in workers for pid in family.renderers(worker)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                if family.state(pid) == "T":
                    return pid
        return 0

    return family.wait_for(look, pause=0.001)


def everything_goes_on(site: Site, viewer: Viewer, before: list[int]) -> None:
    """Check that the same workers make each document once, and that the page sees each change."""
    wait_until(lambda: all_made(site), "the documents are not made", 90)
    wait_until(lambda: nothing_missed(viewer), "the page misses a change")
    assert nothing_twice(viewer), viewer.revisions
    wait_until(lambda: health(site)["healthy"], "it is not healthy")
    assert versions(site) == [1, 1, 1, 1]
    wait_until(lambda: not stray_files(site), "files are left")
    assert workers(site) == before
