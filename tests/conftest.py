"""Fixtures that the tests share: the cast, folders to throw away, a running site and a browser."""

import ipaddress
import itertools
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.template.base import Template
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from pytest_django import Settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from assessments.models import Assessment

from . import cast
from .running import POSTGRESQL_TEMPLATE, Site, make_template, wait_until
from .servers import PostgreSQL, Redis

# Where the suite decides whether a change is good, a test that did not run is not one that passed.
NOTHING_MAY_SKIP = os.environ.get("CI") == "true"

# What the database has next to no part in is shown on SQLite in `make test`, and on both in `make crash` and
# `make security`. So are kills, which the soak of the stack has on PostgreSQL, and texts, which the fuzz writes there.
ON_SQLITE_FIRST = {
    Path(__file__).with_name(folder) / f"test_{name}.py"
    for folder, names in {
        "crash": ("disk", "killed", "redis_away", "soak", "told_to_end", "web_killed"),
        "security": ("access", "big_downloads", "headers", "requests", "sign_in", "sizes", "texts", "uploads"),
    }.items()
    for name in names
}

# The files that take longest. Begun last, one of them would keep a single process at work when all others have ended.
LONGEST = {
    f"test_{name}.py" for name in ("bench", "generate_documents", "panel", "texts", "turns", "uploads", "waiting")
}

# Taken before Django puts its own for tests in the place of it.
render_as_it_is = Template._render

# The suite as a whole -----------------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    sys.addaudithook(refuse_other_machines)


def refuse_other_machines(event: str, arguments: tuple[Any, ...]) -> None:
    """End a test that would talk to anything but this machine."""
    if event not in {"socket.connect", "socket.sendto"}:
        return
    connection, address = arguments
    if connection.family not in {socket.AF_INET, socket.AF_INET6} or address[0] == "localhost":
        return
    if not ipaddress.ip_address(address[0]).is_loopback:
        pytest.fail(f"A test may talk to this machine alone, not to {address[0]}.")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put a file's tests with a browser last: it runs an event loop in this thread, where Django refuses queries.

    And put the longest files first, and mark what `make test` leaves out.
    """
    paths = sorted(dict.fromkeys(item.path for item in items), key=lambda path: path.name not in LONGEST)
    files = {path: number for number, path in enumerate(paths)}
    items.sort(key=lambda item: (files[item.path], "browser" in getattr(item, "fixturenames", ())))
    for item in items:
        if item.path in ON_SQLITE_FIRST and "postgresql" in item.name:
            item.add_marker("long")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    return ByFile(config, log) if config.getoption("dist") == "loadfile" else None


class ByFile(LoadFileScheduling):  # type: ignore[misc]
    """The tests of a file run in one process, where they can share a site. The parts of the bench share nothing."""

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
    """Templates are rendered as on a site. Django would keep, for tests that ask, a copy of what each was given.

    The admin has a template for each widget, so that was a quarter of the processor time of its tests.
    """
    Template._render = render_as_it_is


# Folders and settings -----------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def folders(settings: Settings, tmp_path: Path) -> Path:
    """Give each test folders of its own, static files that need no collecting, and a password hash that is quick."""
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
    """Another assessor, who may know nothing of the first one's assessments."""
    return cast.make_person("stranger")


@pytest.fixture
def staff(db: None) -> User:
    return cast.make_person("staff", is_staff=True)


@pytest.fixture
def assessment(assessor: User) -> Assessment:
    """The assessor's assessment, with three photos and one of everything else."""
    return cast.make_assessment(assessor)


# A running site -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgresql(postgresql_template: Path) -> Iterator[PostgreSQL]:
    """A server that has the database which sites on PostgreSQL are copied from."""
    server = PostgreSQL(postgresql_template / "cluster")
    server.start()
    yield server
    server.remove()


@pytest.fixture
def redis() -> Iterator[Redis]:
    """A Redis that is running: ``start_site(REDIS_URL=redis.url)``."""
    server = Redis()
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def database() -> str:
    """What sites run on: ``sqlite`` or ``postgresql``. In tests/crash and tests/security it is one, then the other.

    For a test that one of them means nothing to: ``@pytest.mark.parametrize("database", ["sqlite"], indirect=True)``.
    """
    return "sqlite"


def made_once(name: str, make: Callable[[Path], Any], tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that is made by the first of the processes that run the suite, for all of them."""
    if worker_id == "master":
        made = tmp_path_factory.mktemp("once") / name
        make(made)
        return made
    together = tmp_path_factory.getbasetemp().parent
    try:
        (together / f"{name}-begun").mkdir()
    except FileExistsError:
        wait_until((together / name).exists, f"the process that makes {name} did not get to its end", 240)
    else:
        make(together / f"{name}-half")
        (together / f"{name}-half").rename(together / name)
    return together / name


@pytest.fixture(scope="session")
def site_template(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """What the sites on SQLite are copied from."""
    return made_once("site", make_template, tmp_path_factory, worker_id)


@pytest.fixture(scope="session")
def postgresql_template(site_template: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """What the sites on PostgreSQL are copied from, and in ``cluster`` what the servers are that they run on."""

    def make(folder: Path) -> None:
        server = PostgreSQL()
        server.start()
        server.create(POSTGRESQL_TEMPLATE)
        folder.mkdir()
        (folder / "static").symlink_to(site_template / "static")
        make_template(folder, DATABASE_URL=server.url(POSTGRESQL_TEMPLATE))
        server.stop(PostgreSQL.FAST)
        subprocess.run(["cp", "-a", server.data, folder / "cluster"], check=True)
        server.remove()

    # Where there is none, each process says so, and waits for no other.
    PostgreSQL.find()
    return made_once("postgresql", make, tmp_path_factory, worker_id)


@contextmanager
def starting_sites(request: pytest.FixtureRequest, database: str, folder: Path) -> Iterator[Callable[..., Site]]:
    """A function that starts sites on a database, each with a data folder in ``folder``; the end stops them."""
    template: Path = request.getfixturevalue("site_template" if database == "sqlite" else "postgresql_template")
    server: PostgreSQL | None = request.getfixturevalue("postgresql") if database == "postgresql" else None
    numbers = itertools.count(1)
    with ExitStack() as stops:

        def start(**environment: str) -> Site:
            if server:
                name = f"site_{uuid4().hex}"
                server.create(name, POSTGRESQL_TEMPLATE)
                stops.callback(server.drop, name)
                environment["DATABASE_URL"] = server.url(name)
            site = Site(template, folder / f"site-{next(numbers)}", **environment)
            # pytest shows what was printed beside a failure, and only there.
            stops.callback(lambda: print(f"{site.log}:\n{site.log.read_text()[-20_000:]}"))
            stops.callback(site.stop)
            site.start()
            return site

        yield start


@pytest.fixture
def start_site(request: pytest.FixtureRequest, database: str, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Start a site with settings given as in the environment: ``start_site(WORKERS="2", LEASE_SECONDS="2")``.

    ``cast.put_on_stage`` says who and what is on it.
    """
    with starting_sites(request, database, tmp_path) as start:
        yield start


@pytest.fixture(scope="session")
def kept_on_sqlite(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[KeptSites]":
    """The sites that a test has left as new: starting one costs seconds of a processor."""
    with starting_sites(request, "sqlite", tmp_path_factory.mktemp("kept")) as start:
        yield KeptSites(start)


@pytest.fixture(scope="session")
def kept_on_postgresql(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgresql: PostgreSQL
) -> "Iterator[KeptSites]":
    """The same; they end before their server does."""
    with starting_sites(request, "postgresql", tmp_path_factory.mktemp("kept")) as start:
        yield KeptSites(start)


class KeptSites:
    """Sites that are as new, with their settings; they sleep, and no more than ``most`` of them are kept."""

    def __init__(self, start: Callable[..., Site], most: int = 2) -> None:
        self.start = start
        self.most = most
        self.sites: list[tuple[dict[str, str], Site]] = []

    @contextmanager
    def lend(self, settings: dict[str, str]) -> Iterator[Site]:
        kept = next((kept for kept in self.sites if kept[0] == settings), None)
        if kept:
            self.sites.remove(kept)
            kept[1].wake()
        site = kept[1] if kept else self.start(**settings)
        begun = site.log.stat().st_size
        yield site
        # pytest shows what was printed beside a failure, and only there.
        print(f"{site.log}:\n{site.log.read_bytes()[begun:][-20_000:].decode(errors='replace')}")
        if not site.renew():
            site.stop()
            return
        site.sleep()
        self.sites.append((settings, site))
        if len(self.sites) > self.most:
            self.sites.pop(0)[1].stop()


@pytest.fixture
def site(request: pytest.FixtureRequest, database: str) -> Iterator[Site]:
    """A running site with no settings of its own; ``cast.put_on_stage`` says who and what is on it."""
    kept: KeptSites = request.getfixturevalue(f"kept_on_{database}")
    with kept.lend({}) as site:
        yield site


@pytest.fixture(scope="module")
def kept_in_file(
    request: pytest.FixtureRequest, database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KeptSites]:
    """The sites with settings that the tests of a file have left as new."""
    with starting_sites(request, database, tmp_path_factory.mktemp("kept")) as start:
        yield KeptSites(start)


@pytest.fixture
def site_with(kept_in_file: KeptSites) -> Iterator[Callable[..., Site]]:
    """As ``start_site``, but the site may be one that another test of the file left as new, with the same settings."""
    with ExitStack() as borrowed:
        yield lambda **settings: borrowed.enter_context(kept_in_file.lend(settings))


@pytest.fixture(scope="module")
def shared_site(
    request: pytest.FixtureRequest, database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """One site for all tests of a file: quick to use, and theirs to keep in order."""
    with starting_sites(request, database, tmp_path_factory.mktemp("shared")) as start:
        yield start()


# A browser ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("Chromium is not installed, so the pages were not tested in a browser.")
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    only_here = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--disable-quic"]
    # Five seconds, which is Playwright's own choice, are short beside other work on the same machine.
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-gpu", *quiet, *only_here]
        )


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page in a browser of its own (cookies and all), signed in: ``open_page(site, "assessor", "/path/")``.

    Further options are those of Playwright's ``new_context``, such as ``java_script_enabled=False``. An error in a
    script, and anything that the content security policy had to stop, fails the test.
    """
    wrong: list[str] = []
    contexts = []

    def listen(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            wrong.append(message.text)

    def open_page(site: Site, username: str | None, path: str, **options: Any) -> Page:
        context = browser.new_context(base_url=site.url, **options)
        context.set_default_timeout(60_000)
        contexts.append(context)
        if username:
            context.add_cookies(
                [{"name": name, "value": value, "url": site.url} for name, value in site.cookies(username).items()]
            )
        page = context.new_page()
        page.on("console", listen)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong, wrong
