"""The sweep's loop goes on whatever becomes of its slower work."""

from threading import Event

import pytest

from assessments.management.commands.sweep import Chore

from .running import wait_until


def ended(chore: Chore) -> bool:
    return chore.thread is not None and not chore.thread.is_alive()


def test_work_that_hangs_holds_up_nobody_and_is_begun_once() -> None:
    begun: list[Event] = []

    def hang() -> None:
        go_on = Event()
        begun.append(go_on)
        assert go_on.wait(30)

    chore = Chore(0, hang)
    for _ in range(3):
        chore.look()
    wait_until(lambda: begun, "it is not begun")
    assert len(begun) == 1
    begun[0].set()
    wait_until(lambda: ended(chore), "it does not end")
    chore.look()
    wait_until(lambda: len(begun) == 2, "it is not begun again")
    begun[1].set()


def test_work_that_fails_is_logged_and_done_again(caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []

    def fail() -> None:
        done.append(1)
        raise OSError("The cable is out")

    chore = Chore(0, fail)
    for times in (1, 2):
        chore.look()
        wait_until(lambda: ended(chore), "it does not end")
        assert len(done) == times
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["The cable is out"] * 2
