"""The data folder with which the benchmarks begin."""

import os
from pathlib import Path

from tests.running import make_template

# A data folder that is made already, with the data of a PostgreSQL server: making one takes seconds.
MADE = Path(os.environ["BENCH_MADE"]) if "BENCH_MADE" in os.environ else None


def prepare(data_dir: Path, **environment: str) -> Path:
    """Make the data folder from which sites are copied; see ``make_template``."""
    take_static_files(data_dir)
    return make_template(data_dir, **environment)


def take_static_files(data_dir: Path) -> None:
    """Use the static files in the folder ``BENCH_STATIC``, if it is set: collecting static files takes seconds."""
    data_dir.mkdir(exist_ok=True)
    if static := os.environ.get("BENCH_STATIC"):
        (data_dir / "static").symlink_to(static)
