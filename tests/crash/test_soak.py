"""Random kills: every document is made once, or fails with a reason, and nothing is left behind.

``SOAK_SECONDS`` is the length of the soak: a minute with ``make crash``. ``SOAK_SEED``, printed with the result, makes
the same choices again.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.running import Site

from .chaos import LEASE, Chaos, nothing_is_left_behind, soak

SECONDS = float(os.environ.get("SOAK_SECONDS", "10"))
# Seconds between two faults.
PAUSE = 2.0


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Give a folder for the temporary files of a site. Its path is short, as sockets need short paths."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.timeout(600)
def test_random_kills_lose_nothing(
    temporary: Path, start_site: Callable[..., Site], capsys: pytest.CaptureFixture[str]
) -> None:
    site = start_site(WORKERS="2", LEASE_SECONDS=str(LEASE), TMPDIR=str(temporary))
    # So many assessments keep the site at work for as long as the faults go on.
    done = soak(site, Chaos([site], PAUSE), max(4, round(SECONDS / 10)), SECONDS)
    with capsys.disabled():
        print(f"\n{done}")
    nothing_is_left_behind([site], 2, temporary)
