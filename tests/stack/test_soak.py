"""Random faults on several machines, their database and Redis: every document is made once, or fails with a reason.

``SOAK_SECONDS`` is the length of the soak; ``SOAK_SEED``, printed with the result, makes the same choices again.
"""

import os
import signal

import pytest

from tests.crash.chaos import Chaos, nothing_is_left_behind, soak
from tests.running import wait_until
from tests.servers import PostgreSQL

from . import Stack

SECONDS = float(os.environ.get("SOAK_SECONDS", "10"))
# Seconds between two faults.
PAUSE = 5.0
ROLES = ("web", "worker", "renderer", "sweep")


@pytest.mark.timeout(600)
def test_faults_of_machines_database_and_redis_lose_nothing(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    def restart_postgresql() -> None:
        # As after a power cut: PostgreSQL waits for no client, and recovers from its log.
        stack.postgresql.stop(PostgreSQL.IMMEDIATE)
        stack.postgresql.start()

    def restart_redis() -> None:
        stack.redis.stop(signal.SIGKILL)
        stack.redis.start()

    restarts = {"PostgreSQL": restart_postgresql, "Redis": restart_redis}
    # So many assessments keep the machines at work for as long as the faults go on.
    done = soak(stack, Chaos(stack.machines, PAUSE, ROLES, restarts), max(3, round(SECONDS / 4)), SECONDS)
    with capsys.disabled():
        print(f"\n{done}")
    for machine in stack.machines:
        wait_until(machine.ready, "a web does not come back")
    nothing_is_left_behind(stack.machines, 2, stack.folder / "tmp")
