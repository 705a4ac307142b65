"""Fixtures and hooks of all tests: the cast, and temporary folders."""

import fcntl
import gc
import ipaddress
import os
import shutil
import socket
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.template.base import Template
from pytest_django import DjangoDbBlocker, Settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from assessments.models import Assessment

from . import cast

# With CI=true the suite decides whether a change is good, so a skipped test fails.
NOTHING_MAY_SKIP = os.environ.get("CI") == "true"

# `make test` leaves these files to `make long`: they show at length what other files show in part.
LONG = {
    Path(__file__).with_name(folder) / f"test_{name}.py"
    for folder, names in {
        "crash": ("database_away", "engines", "silent_neighbours", "soak", "waiting"),
        "security": ("access", "fetching", "fuzz", "sizes", "streams", "texts", "uploads"),
        "stack": ("machines", "soak"),
    }.items()
    for name in names
}
# The database matters little to these files. `make test` runs them on SQLite only, and `make long` on PostgreSQL.
ON_SQLITE_FIRST = {
    Path(__file__).with_name(folder) / f"test_{name}.py"
    for folder, names in {
        "crash": ("disk", "killed", "redis_away", "told_to_end", "web_killed"),
        "security": ("big_downloads", "headers", "requests", "sign_in"),
        "site": ("left",),
    }.items()
    for name in names
}

# The slowest files, which run first. A slow file that begins last keeps one process busy when all others have ended.
LONGEST = {
    f"test_{name}.py"
    for name in ("bench", "generate_documents", "panel", "read_out", "texts", "turns", "uploads", "waiting")
}

# Read here, before Django replaces the method for tests.
render_as_it_is = Template._render

# The suite as a whole -----------------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    # Loading leaves no garbage, and the search for garbage would take a third of the collection of the tests.
    gc.disable()
    sys.addaudithook(refuse_other_machines)


def pytest_collection_finish() -> None:
    """Look for garbage among the objects of the tests alone, not among the hundreds of thousands that were loaded."""
    gc.freeze()
    gc.enable()


def refuse_other_machines(event: str, arguments: tuple[Any, ...]) -> None:
    """Fail a test that connects or sends to another machine."""
    if event not in {"socket.connect", "socket.sendto"}:
        return
    connection, address = arguments
    if connection.family not in {socket.AF_INET, socket.AF_INET6} or address[0] == "localhost":
        return
    if not ipaddress.ip_address(address[0]).is_loopback:
        pytest.fail(f"A test may talk to this machine alone, not to {address[0]}.")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort a file's browser tests last: the browser runs an event loop in this thread, where Django refuses queries.

    Sort the slowest files first. Mark the tests that `make test` leaves out.
    """
    paths = sorted(dict.fromkeys(item.path for item in items), key=lambda path: path.name not in LONGEST)
    files = {path: number for number, path in enumerate(paths)}
    items.sort(key=lambda item: (files[item.path], "browser" in getattr(item, "fixturenames", ())))
    for item in items:
        if item.path in LONG or (item.path in ON_SQLITE_FIRST and "postgresql" in item.name):
            item.add_marker("long")


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> None:
    """Load the fixtures of sites and browsers with the first folder that needs them; tests/unit needs none."""
    if path.parent == Path(__file__).parent and path.name != "unit":
        for plugin in ("tests.sites", "tests.browsing"):
            parent.config.pluginmanager.import_plugin(plugin)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    return ByFile(config, log) if config.getoption("dist") == "loadfile" else None


class ByFile(LoadFileScheduling):  # type: ignore[misc]
    """Runs the tests of a file in one process, where they can share a site. The tests of the bench share nothing."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if "/test_bench.py::" in nodeid else str(super()._split_scope(nodeid))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return ran_or_failed((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return ran_or_failed((yield))


def ran_or_failed[Report: (pytest.TestReport, pytest.CollectReport)](report: Report) -> Report:
    if NOTHING_MAY_SKIP and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"Nothing may be skipped here (CI=true): {report.longrepr}"
    return report


@pytest.fixture(scope="session", autouse=True)
def templates_as_they_are(django_test_environment: None) -> None:
    """Render templates as a site does. In tests Django would also copy the context of each template, for assertions.

    The admin has a template for each widget: the copies took a quarter of the processor time of its tests.
    """
    Template._render = render_as_it_is


# The database of this process -----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """Take an SQLite database that is there as it is. Its folder is removed when the process ends."""
    return connection.vendor == "sqlite"


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest,
    django_db_modify_db_settings: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
    worker_id: str,
) -> None:
    """Copy the SQLite database that the first process has migrated: the migrations take 1.5 s of processor time."""
    if connection.vendor != "sqlite" or worker_id == "master":
        request.getfixturevalue("django_db_setup")
        return
    migrated = tmp_path_factory.getbasetemp().parent / "migrated.sqlite3"
    with migrated.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if migrated.exists():
            shutil.copyfile(migrated, connection.settings_dict["TEST"]["NAME"])
        request.getfixturevalue("django_db_setup")
        if not migrated.exists():
            with django_db_blocker.unblock(), connection.cursor() as cursor:
                cursor.execute("VACUUM INTO %s", [str(migrated)])


# Folders and settings -----------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def folders(settings: Settings, tmp_path: Path) -> Path:
    """Give each test folders of its own, static files that need no collecting, and a quick password hash."""
    settings.DATA_DIR = tmp_path
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.WORK_ROOT = tmp_path / "work"
    settings.WORK_ROOT.mkdir()
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return tmp_path


# The cast -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def assessor(db: None) -> User:
    return cast.make_person("assessor")


@pytest.fixture
def stranger(db: None) -> User:
    """Return a second assessor, who may see none of the first assessor's assessments."""
    return cast.make_person("stranger")


@pytest.fixture
def staff(db: None) -> User:
    return cast.make_person("staff", is_staff=True)


@pytest.fixture
def assessment(assessor: User) -> Assessment:
    """Return an assessment of the assessor, with three photos and one of everything else."""
    return cast.make_assessment(assessor)
