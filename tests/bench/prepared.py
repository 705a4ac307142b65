"""The data folder with which the benchmarks begin."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.running import Site, make_template
from tests.servers import PostgreSQL

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


@contextmanager
def site_on_postgresql(**settings: str) -> Iterator[Site]:
    """Start a site on a PostgreSQL server of its own; end both at the end."""
    server = PostgreSQL(MADE)
    server.start()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        try:
            server.create("bench")
            url = server.url("bench")
            template = MADE or prepare(Path(folder, "template"), DATABASE_URL=url)
            site = Site(template, Path(folder, "site"), DATABASE_URL=url, **settings)
            site.start()
            try:
                yield site
            finally:
                site.stop()
        finally:
            server.remove()
