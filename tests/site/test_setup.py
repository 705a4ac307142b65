"""The start of a site: a bad setting ends the start with one clear line, and a second ``prepare`` changes nothing."""

import os
import pwd
import re
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import staging
from tests.cast import YEAR
from tests.environment import ROOT, SETTINGS
from tests.running import Site, bare_environment, run_manage, wait_until


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
        ("PAPER_LANGUAGE", "Plain English"),
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


@pytest.fixture
def prepared(site_template: Path, tmp_path: Path) -> Path:
    """Return a data folder on which no process works: an open database has files that come and go during a copy."""
    folder = tmp_path / "data"
    shutil.copytree(site_template, folder, ignore=shutil.ignore_patterns("cluster", "sessions.json"))
    return folder


def test_preparing_again_changes_nothing(prepared: Path) -> None:
    before = state(prepared)
    again = staging.manage(bare_environment(prepared), "prepare")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert state(prepared) == before


def test_a_database_that_cannot_be_reached_is_reported_in_one_line(tmp_path: Path) -> None:
    done = run_manage(bare_environment(tmp_path) | {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"}, "prepare")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "The database cannot be used" in line


def open_to_others(folder: Path) -> list[str]:
    """Return what other users could read, write or run, if they got to it."""
    return [str(path) for path in (folder, *folder.rglob("*")) if not path.is_symlink() and path.stat().st_mode & 0o077]


def test_prepare_closes_the_data_to_other_users_of_the_machine(prepared: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    linked.touch(0o644)
    (prepared / "media" / "link").symlink_to(linked)
    for path in (prepared, *prepared.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert staging.manage(bare_environment(prepared), "prepare").returncode == 0
    assert open_to_others(prepared) == []
    assert linked.stat().st_mode & 0o777 == 0o644


def test_a_running_site_keeps_its_data_from_other_users(start_site: Callable[..., Site]) -> None:
    site = start_site()
    with site.login("assessor") as client:
        for number in (1, 3):
            client.post(f"/assessments/ASM-{YEAR}-{number:03}/documents/generate/")
    wait_until(lambda: list((site.data_dir / "mail").glob("*")), "no mail is sent", 90)
    wait_until(lambda: not site.busy(), "the documents are not made", 90)
    assert list((site.data_dir / "media" / "documents").rglob("*.pdf"))
    # Two files are the test's own.
    assert set(open_to_others(site.data_dir)) <= {str(site.log), str(site.data_dir / "sessions.json")}
    # An older version has left the folder open.
    site.stop()
    site.data_dir.chmod(0o755)
    site.start()
    assert site.data_dir.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.getuid() != 0, reason="Only root can try as another user.")
def test_nginx_reads_the_stored_files_in_the_group_of_the_site_and_nothing_else() -> None:
    with tempfile.TemporaryDirectory() as outside:
        os.chmod(outside, 0o755)
        data = Path(outside) / "data"
        environment = bare_environment(data) | {"DELIVERY": "accel"}
        assert run_manage(environment, "prepare").returncode == 0
        stored, kept = data / "media" / "site-id", data / "db.sqlite3"

        def can_read(path: Path, group: int) -> bool:
            command = ["cat", str(path)]
            tried = subprocess.run(
                command, user="nobody", group=group, extra_groups=[], capture_output=True, check=False
            )
            return tried.returncode == 0

        group, nobody = data.stat().st_gid, pwd.getpwnam("nobody").pw_gid
        assert [can_read(stored, group), can_read(kept, group)] == [True, False]
        assert [can_read(stored, nobody), can_read(kept, nobody)] == [False, False]
        # Without nginx, that group reads nothing either.
        assert run_manage(bare_environment(data), "prepare").returncode == 0
        assert not can_read(stored, group)


def state(data_dir: Path) -> tuple[dict[str, int], list[str]]:
    """Return the time of the last change of each file, and the content of the database."""
    times = {
        str(path): path.stat().st_mtime_ns
        for path in data_dir.rglob("*")
        if path.is_file() and ".sqlite3" not in path.name
    }
    with sqlite3.connect(data_dir / "db.sqlite3") as connection:
        return times, list(connection.iterdump())
