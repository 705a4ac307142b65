"""Each part of ``make bench`` runs to its end and prints its rows. No test asserts a speed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.running import ROOT, bare_environment
from tests.servers import found

FIGURE = re.compile(r"\d")
# Rows of each part that have a peer, a floor or an idle time beside our figure, and the words beside our figure.
ROWS = {
    "documents": {
        "report, prepared photos": "bare WeasyPrint",
        "estimate of 24 lines": "bare WeasyPrint",
        "photos ZIP": "copying the files",
        "photos PDF, originals": "img2pdf floor",
        "four documents, originals": "naive sequence",
        "photos PDF, prepared": "bare WeasyPrint on originals",
        "four documents, prepared": "naive sequence",
    },
    "streams": {
        "latency, median (ms)": "",
        "latency, 99 % (ms)": "",
        "memory for each stream (KiB)": "",
        "CPU for each change (ms)": "",
        "opening all (s)": "",
        "10": " / ",
    },
    "queue": {
        "asked for, the longest of 2 (s)": "median: ",
        "slowest page while asking, of 1 times (ms)": "median: ",
        "pages while they are made, 99 % (ms)": "idle: ",
        "first fifth: over how many assessments": "fair: ",
        "documents a second": "bare generators, 4 processes: ",
        "CPU of a document in its process (s)": "bare generators: ",
    },
    "uploads": {
        "pages while photos come in, median (ms)": "",
        "pages while photos come in, 99 % (ms)": "",
        "slowest page while photos come in (ms)": "",
    },
    "search": {
        "VIN (ms)": "",
        "plate (ms)": "",
        "policy (ms)": "",
        "report number (ms)": "",
        "client (ms)": "",
        "claim and make (ms)": "",
        "name of some (ms)": "",
        "make of a quarter (ms)": "",
        "two makes (ms)": "",
        "nothing found (ms)": "",
        "list without a search (ms)": "",
        "page of the list (ms)": "finds none: ",
        "page of the admin (ms)": "finds none: ",
    },
}


def test_each_part_of_the_bench_is_tested() -> None:
    assert set(ROWS) == set(bench.PARTS)


@pytest.mark.long
@pytest.mark.parametrize("part", ROWS)
def test_a_part_prints_its_rows_with_our_figures_and_those_of_the_peer(
    part: str, site_template: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    for program in {
        "documents": [],
        "streams": ["redis-server"],
        "queue": ["redis-server", "nginx"],
        "uploads": ["postgres"],
        "search": ["postgres"],
    }[part]:
        found(program, program)
    made = {"BENCH_STATIC": str(site_template / "static")}
    if part in {"queue", "uploads", "search"}:
        made["BENCH_MADE"] = str(request.getfixturevalue("postgresql_template"))
    done = run("--tiny", part, environment=bare_environment(tmp_path) | made)
    assert done.returncode == 0, done.stdout + done.stderr
    printed = rows(done.stdout)
    for name, beside in ROWS[part].items():
        assert name in printed, done.stdout
        cells = printed[name]
        assert any(beside in cell for cell in cells), (name, cells)
        ours, peers = cells[0], [cell.removeprefix(beside) for cell in cells[1:]]
        assert FIGURE.search(ours), (name, cells)
        assert any(FIGURE.match(cell) for cell in peers), (name, cells)


def test_the_bench_fails_when_a_part_fails(tmp_path: Path) -> None:
    done = run("documents", environment=bare_environment(tmp_path) | {"BENCH_PHOTOS": "some"})
    assert done.returncode == 1
    assert "invalid literal" in done.stderr


def test_an_unknown_part_is_refused_with_a_message(tmp_path: Path) -> None:
    done = run("coffee", environment=bare_environment(tmp_path))
    assert done.returncode == 2
    assert "There is no part coffee; there are documents, streams, queue, uploads, search." in done.stderr


def run(*arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.bench", *arguments],
        cwd=ROOT,
        env=environment | {"PYTHONIOENCODING": "utf-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
    )


def rows(printed: str) -> dict[str, list[str]]:
    """Return the rows of the tables by their first cell; of two rows with the same first cell, the first row."""
    found: dict[str, list[str]] = {}
    for line in printed.splitlines():
        if line.startswith("│"):
            name, *cells = (cell.strip() for cell in line.strip("│").split("│"))
            found.setdefault(name, cells)
    return found
