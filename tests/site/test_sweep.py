"""The slower work of the sweep may hang or fail, and is repeated."""

from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread

import pytest

from assessments.operations.sweep import repeat
from tests.running import wait_until


def begin(work: Callable[[], object]) -> Thread:
    def until_exit() -> None:
        with suppress(SystemExit):
            repeat(0, work)

    thread = Thread(target=until_exit, daemon=True)
    thread.start()
    return thread


def test_work_that_hangs_is_not_begun_again_before_its_end() -> None:
    begun: list[Event] = []

    def hang() -> None:
        go_on = Event()
        begun.append(go_on)
        assert go_on.wait(30)
        if len(begun) == 2:
            raise SystemExit

    thread = begin(hang)
    wait_until(lambda: begun, "it is not begun")
    thread.join(0.2)
    assert len(begun) == 1
    begun[0].set()
    wait_until(lambda: len(begun) == 2, "it is not begun again")
    begun[1].set()
    thread.join(30)


def test_work_that_fails_is_logged_and_repeated(caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []

    def fail() -> None:
        done.append(1)
        if len(done) == 3:
            raise SystemExit
        raise OSError("The cable is out")

    begin(fail).join(30)
    assert len(done) == 3
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["The cable is out"] * 2
