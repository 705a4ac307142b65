"""Two machines on one: processes that share nothing but PostgreSQL, Redis and the stored files, behind nginx."""

import secrets
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from tests import family
from tests.running import PATIENCE, Site, free_port, make_template
from tests.servers import Nginx, PostgreSQL, Redis, Server

MACHINES = 2
DATABASE = "stack"


class Stack:
    """The site on several machines. Each is ``manage.py serve`` with a data folder, a web, two workers and a sweep.

    ``prepare(data_dir, **environment)`` makes the template of the data folders, like ``tests.running.make_template``.
    ``made`` is a folder in which the fixture ``postgresql_template`` has made all this already.
    Paths in ``folder`` must be short, and its content readable for others, such as the user that PostgreSQL runs as.
    """

    def __init__(
        self,
        folder: Path,
        prepare: Callable[..., Path] = make_template,
        port: int = 0,
        made: Path | None = None,
        **environment: str,
    ) -> None:
        self.folder = folder
        self.prepare = prepare
        self.made = made
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.given = environment
        self.servers: list[Server] = []
        self.machines: list[Site] = []

    def start(self) -> None:
        """Start all servers and machines, and wait for answers. Only the main thread may do so: see ``Server``."""
        self.postgresql, self.redis = self.run(PostgreSQL(self.made)), self.run(Redis())
        self.postgresql.create(DATABASE)
        temporary, media = self.folder / "tmp", self.folder / "media"
        temporary.mkdir()
        environment = {
            "DATABASE_URL": self.postgresql.url(DATABASE),
            "REDIS_URL": self.redis.url,
            "MEDIA_DIR": str(media),
            # The sessions of a made template are signed with its key.
            "SECRET_KEY": (self.made / "secret-key").read_text() if self.made else secrets.token_urlsafe(50),
            "SITE_URL": self.url,
            "MACHINES": str(MACHINES),
            "WORKERS": "2",
            "TMPDIR": str(temporary),
            **self.given,
        }
        if self.made:
            shutil.copytree(self.made / "media", media)
        template = self.made or self.prepare(self.folder / "template", **environment)
        for number in range(1, MACHINES + 1):
            self.machines.append(Site(template, self.folder / f"machine-{number}", **environment))
        for machine in self.machines:
            machine.start()
        self.nginx = self.run(Nginx([machine.port for machine in self.machines], media, self.port))

    def run[Kind: Server](self, server: Kind) -> Kind:
        self.servers.append(server)
        server.start()
        return server

    def stop(self, patience: float = PATIENCE) -> None:
        """End all servers and machines. A document that is being made is finished first, unless ``hurry`` is called."""
        try:
            with ThreadPoolExecutor(MACHINES) as pool:
                list(pool.map(lambda machine: machine.stop(patience), self.machines))
        finally:
            for server in reversed(self.servers):
                server.stop(server.gently)
                server.remove()
            shutil.rmtree(self.folder / "tmp", ignore_errors=True)

    def hurry(self) -> None:
        """Make the machines give back the documents that they are making."""
        for machine in self.machines:
            if process := machine.process:
                process.terminate()

    def ended(self) -> list[str]:
        """Return the names of the servers and machines that have ended by themselves."""
        gone = [server.program.name for server in self.servers if server.process and server.process.poll() is not None]
        return gone + [
            machine.data_dir.name for machine in self.machines if machine.process and machine.process.poll() is not None
        ]

    def processes(self) -> list[tuple[str, int, int]]:
        """Return the running processes: name, pid, and port or 0."""
        found = [(server.program.name, server.process.pid, server.port) for server in self.servers if server.process]
        for machine in self.machines:
            assert machine.process
            serve = machine.process.pid
            found.append((f"{machine.data_dir.name}: serve", serve, 0))
            for role, port in (("web", machine.port), ("worker", 0), ("sweep", 0)):
                found += [(f"{machine.data_dir.name}: {role}", pid, port) for pid in family.named(serve, role)]
        return found

    # The methods of a ``Site``. Requests of people go through nginx.

    @property
    def process(self) -> Any:
        return self.nginx.process

    def login(self, username: str) -> httpx.Client:
        client = self.machines[0].login(username)
        client.base_url = self.url
        return client

    def cookies(self, username: str) -> dict[str, str]:
        return self.machines[0].cookies(username)

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        return self.machines[0].rows(query, *values)

    def statuses(self, number: str) -> dict[str, str]:
        return self.machines[0].statuses(number)

    def python(self, code: str) -> Any:
        return self.machines[0].python(code)
