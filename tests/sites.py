"""Fixtures of running sites, their databases and their servers."""

import itertools
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from .running import POSTGRESQL_TEMPLATE, Site, make_template, wait_until
from .servers import PostgreSQL, Redis


@pytest.fixture(scope="session")
def postgresql(postgresql_template: Path) -> Iterator[PostgreSQL]:
    """Start a PostgreSQL server that has the template database of the sites."""
    server = PostgreSQL(postgresql_template)
    server.start()
    yield server
    server.remove()


@pytest.fixture
def redis() -> Iterator[Redis]:
    """Start a Redis server: ``start_site(REDIS_URL=redis.url)``."""
    server = Redis()
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def database() -> str:
    """Return the database that sites run on: ``sqlite`` or ``postgresql``. tests/crash and tests/security use both.

    A test for one database alone has ``@pytest.mark.parametrize("database", ["sqlite"], indirect=True)``.
    """
    return "sqlite"


def made_once(name: str, make: Callable[[Path], Any], tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Return a folder that the first process of the suite makes, and all processes share."""
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
    """Return the data folder from which sites on SQLite are copied."""
    return made_once("site", make_template, tmp_path_factory, worker_id)


@pytest.fixture(scope="session")
def postgresql_template(site_template: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Return the data folder from which sites on PostgreSQL are copied; ``cluster`` holds the data of their servers."""

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

    # Without PostgreSQL each process skips its tests here, and does not wait for another process.
    PostgreSQL.find()
    return made_once("postgresql", make, tmp_path_factory, worker_id)


@contextmanager
def starting_sites(request: pytest.FixtureRequest, database: str, folder: Path) -> Iterator[Callable[..., Site]]:
    """Give a function that starts sites on a database, with data folders in ``folder``; stop the sites at the end."""
    # A start by hand takes .4 s more of processor time. The tests of `serve` start it so.
    copied = request.path.name != "test_serve.py" if request.scope != "session" else True
    template: Path = request.getfixturevalue("site_template" if database == "sqlite" else "postgresql_template")
    server: PostgreSQL | None = request.getfixturevalue("postgresql") if database == "postgresql" else None
    numbers = itertools.count(1)
    with ExitStack() as stops:

        def start(**environment: str) -> Site:
            if server:
                name = f"site_{uuid4().hex}"
                server.create(name)
                stops.callback(server.drop, name)
                environment["DATABASE_URL"] = server.url(name)
            site = Site(template, folder / f"site-{next(numbers)}", **environment)
            site.copied = copied
            # pytest shows printed text beside a failure, and only there.
            stops.callback(lambda: print(f"{site.log}:\n{site.log.read_text()[-20_000:]}"))
            stops.callback(site.stop)
            site.start()
            return site

        yield start


@pytest.fixture
def start_site(request: pytest.FixtureRequest, database: str, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Give a function that starts a site with settings: ``start_site(WORKERS="2", LEASE_SECONDS="2")``.

    ``cast.put_on_stage`` lists the people and the assessments of the site.
    """
    with starting_sites(request, database, tmp_path) as start:
        yield start


@pytest.fixture(scope="session")
def kept_on_sqlite(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[KeptSites]":
    """Keep the sites that tests left as new: starting a site costs seconds of processor time."""
    with starting_sites(request, "sqlite", tmp_path_factory.mktemp("kept")) as start:
        yield KeptSites(start)


@pytest.fixture(scope="session")
def kept_on_postgresql(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgresql: PostgreSQL
) -> "Iterator[KeptSites]":
    """Keep such sites on PostgreSQL; the sites end before their server."""
    with starting_sites(request, "postgresql", tmp_path_factory.mktemp("kept")) as start:
        yield KeptSites(start)


class KeptSites:
    """At most ``most`` sleeping sites that are as new, each with its settings."""

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
        # pytest shows printed text beside a failure, and only there.
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
    """Lend a running site without settings of its own; ``cast.put_on_stage`` lists its people and its assessments."""
    kept: KeptSites = request.getfixturevalue(f"kept_on_{database}")
    with kept.lend({}) as site:
        yield site


@pytest.fixture(scope="module")
def kept_in_file(
    request: pytest.FixtureRequest, database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KeptSites]:
    """Keep the sites with settings that the tests of a file left as new."""
    with starting_sites(request, database, tmp_path_factory.mktemp("kept")) as start:
        yield KeptSites(start)


@pytest.fixture
def site_with(kept_in_file: KeptSites) -> Iterator[Callable[..., Site]]:
    """As ``start_site``, but lend a kept site if another test of the file left one as new with the same settings."""
    with ExitStack() as borrowed:
        yield lambda **settings: borrowed.enter_context(kept_in_file.lend(settings))


@pytest.fixture(scope="module")
def lent_site(request: pytest.FixtureRequest, database: str) -> Iterator[Site]:
    """As ``site``, but for all tests of a file together, which must keep the site in order themselves."""
    kept: KeptSites = request.getfixturevalue(f"kept_on_{database}")
    with kept.lend({}) as site:
        yield site


@pytest.fixture(scope="module")
def shared_site(
    request: pytest.FixtureRequest, database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Start one site for all tests of a file, and end it with them: nobody else gets what they did to its processes."""
    with starting_sites(request, database, tmp_path_factory.mktemp("shared")) as start:
        yield start()
