"""The stack that the tests of a file share."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.chaos import LEASE

from . import Stack


@pytest.fixture(scope="module")
def stack(postgresql_template: Path) -> Iterator[Stack]:
    """Start two machines with the cast on stage; see ``cast.put_on_stage``."""
    with tempfile.TemporaryDirectory(prefix="stack-") as folder:
        os.chmod(folder, 0o755)
        settings = {"DELIVERY": "accel", "LEASE_SECONDS": str(LEASE), "REQUESTS_PER_MINUTE": "1000"}
        stack = Stack(Path(folder), made=postgresql_template, **settings)
        try:
            stack.start()
            yield stack
        finally:
            # pytest shows printed text beside a failure, and only there.
            for log in [machine.log for machine in stack.machines] + [server.log for server in stack.servers]:
                print(f"{log}:\n{log.read_text()[-20_000:] if log.exists() else ''}")
            stack.stop()
