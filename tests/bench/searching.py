"""The bench of the search: the list and the admin search in 100,000 assessments on PostgreSQL.

``BENCH_SEARCHED`` (100,000 when not set) is their number, ``BENCH_RUNS`` (20) how often each search is made.
"""

import os
import statistics
import time

from rich.console import Console
from rich.table import Table

from tests.running import Site

from .prepared import site_on_postgresql

SEARCHED = int(os.environ.get("BENCH_SEARCHED", "100000"))
RUNS = int(os.environ.get("BENCH_RUNS", "20"))
# Milliseconds that a search may take.
AT_MOST = 50
PATHS = {"page of the list": "/assessments/", "page of the admin": "/admin/assessments/assessment/"}


def pages(site: Site, path: str, text: str) -> float:
    """Return the median of the seconds in which staff gets a page that searches."""
    with site.login("staff") as client:

        def once() -> float:
            begun = time.perf_counter()
            assert client.get(path, params={"q": text}).status_code == 200
            return time.perf_counter() - begun

        # The first requests plan the statements.
        return statistics.median([once() for _ in range(RUNS + 3)][3:])


def run(console: Console, site: Site) -> None:
    console.print(f"Making {SEARCHED} assessments ...")
    site.python(f"from tests.bench import searches; searches.fill({SEARCHED})")
    table = Table(title=f"Searching in {SEARCHED} assessments, PostgreSQL")
    for heading in ("", "ours", "icontains in each column", "at most"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name in site.python("import json; from tests.bench import searches; print(json.dumps(list(searches.TEXTS)))"):
        code = f"from tests.bench import searches; print(searches.measure({name!r}, {SEARCHED}, {RUNS}))"
        ours, peer = site.python(code)
        table.add_row(f"{name} (ms)", f"{1000 * ours:.1f}", f"{1000 * peer:.1f}", str(AT_MOST))
    for name, path in PATHS.items():
        found = pages(site, path, f"CA{SEARCHED // 2:06}")
        nothing, many = pages(site, path, "zzzz"), pages(site, path, "toyota")
        others = f"finds none: {1000 * nothing:.1f}, very many: {1000 * many:.1f}"
        table.add_row(f"{name} (ms)", f"{1000 * found:.1f}", others, "")
    console.print(table)


def main() -> None:
    with site_on_postgresql() as site:
        run(Console(width=120), site)
