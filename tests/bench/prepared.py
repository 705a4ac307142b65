"""What the benchmarks begin with."""

import os
from pathlib import Path

from tests.running import make_template


def prepare(data_dir: Path, **environment: str) -> Path:
    """Make what sites begin with, see ``make_template``."""
    take_static_files(data_dir)
    return make_template(data_dir, **environment)


def take_static_files(data_dir: Path) -> None:
    """Use the static files in the folder ``BENCH_STATIC``, if it is set: to collect them anew takes seconds."""
    data_dir.mkdir(exist_ok=True)
    if static := os.environ.get("BENCH_STATIC"):
        (data_dir / "static").symlink_to(static)
