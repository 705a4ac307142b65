"""The start of a site: a bad setting ends the start with one clear line, and a second ``prepare`` changes nothing."""

import re
import sqlite3
from pathlib import Path

import pytest

from tests import staging
from tests.environment import ROOT, SETTINGS
from tests.running import bare_environment, run_manage


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eight thousand"),
        ("PORT", "65536"),
        ("WORKERS", "0"),
        ("WORKERS", "-1"),
        ("LEASE_SECONDS", "1"),
        ("DOCUMENT_DEADLINE", "1.5"),
        ("DEBUG", "perhaps"),
        ("DATABASE_URL", "nonsense"),
        ("DATABASE_URL", "oven://kitchen/cake"),
        ("REDIS_URL", "http://localhost"),
        ("SITE_URL", "example.org"),
        ("TASK_BACKEND", "no.such.Backend"),
        ("TIME_ZONE", "Mars/Olympus_Mons"),
        ("DATA_DIR", "/proc/nowhere"),
        ("DELIVERY", "pigeon"),
        ("KEEP_VERSIONS", "0"),
        ("S3_ENDPOINT_URL", "minio:9000"),
    ],
)
def test_a_bad_setting_stops_the_start_with_one_line_that_names_it(name: str, value: str, tmp_path: Path) -> None:
    done = staging.manage(bare_environment(tmp_path) | {name: value}, "check")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("Cannot start: ")
    assert name in line or value in line


def test_the_operations_guide_lists_every_setting() -> None:
    table = (ROOT / "docs" / "operations.md").read_text().partition("## Settings")[2]
    listed = {name for row in table.splitlines() for name in re.findall(r"`([A-Z0-9_]+)`", row.partition(" | ")[0])}
    assert listed == {*SETTINGS, "DEMO_PASSWORD"}


def test_preparing_again_changes_nothing(site_template: Path) -> None:
    before = state(site_template)
    again = staging.manage(bare_environment(site_template), "prepare")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert state(site_template) == before


def test_a_database_that_cannot_be_reached_is_reported_in_one_line(tmp_path: Path) -> None:
    done = run_manage(bare_environment(tmp_path) | {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"}, "prepare")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "The database cannot be used" in line


def state(data_dir: Path) -> tuple[dict[str, int], list[str]]:
    """Return the time of the last change of each file, and the content of the database."""
    times = {
        str(path): path.stat().st_mtime_ns
        for path in data_dir.rglob("*")
        if path.is_file() and ".sqlite3" not in path.name
    }
    with sqlite3.connect(data_dir / "db.sqlite3") as connection:
        return times, list(connection.iterdump())
