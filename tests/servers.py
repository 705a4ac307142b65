"""PostgreSQL and Redis of the tests' own: on loopback and a free port, in a folder that is thrown away.

The system's services are left alone. Both end with the process that started them, however it ends.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from abc import ABC, abstractmethod
from contextlib import suppress
from functools import partial
from pathlib import Path

import psycopg
import pytest
import redis
from psycopg import sql

from assessments.processes import die_with_parent

from .running import free_port, wait_until


class Server(ABC):
    """A process that is started, stopped and started again with the same data and on the same port."""

    # Who it runs as.
    user: str | None = None

    def __init__(self, program: Path) -> None:
        self.program = program
        self.folder = Path(tempfile.mkdtemp(prefix=f"tests-{program.name}-"))
        self.log = self.folder / "log"
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        if self.user:
            shutil.chown(self.folder, self.user)

    @abstractmethod
    def arguments(self) -> list[str]: ...

    @abstractmethod
    def answers(self) -> bool: ...

    def start(self) -> None:
        """Start it, and wait until it answers. The main thread has to do this: the server ends with its thread."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, *self.arguments()],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                user=self.user,
                group=self.user,
                extra_groups=[] if self.user else None,
                start_new_session=True,
                preexec_fn=partial(die_with_parent, os.getpid()),
            )
        wait_until(self.ready, f"{self.program.name} does not answer")

    def ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"{self.program.name} ended:\n{self.log.read_text()}"
        return self.answers()

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it by a signal, and wait for its end."""
        if self.process is None:
            return
        self.process.send_signal(number)
        self.process.wait(60)
        self.process = None

    def remove(self) -> None:
        """End it for good."""
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


class PostgreSQL(Server):
    # How it is told to end: without waiting for who is connected, and without tidying up.
    FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT

    def __init__(self) -> None:
        installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
        # It refuses to run as root.
        self.user = "postgres" if os.getuid() == 0 else None
        super().__init__(installed[-1] if installed else found("postgres", "PostgreSQL").resolve())
        subprocess.run(
            [
                self.program.with_name("initdb"),
                f"--pgdata={self.folder / 'data'}",
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            ],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            user=self.user,
            group=self.user,
            extra_groups=[] if self.user else None,
            check=True,
        )

    def arguments(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            # Nothing here has to survive the machine; what a process wrote survives that process all the same.
            "fsync": "off",
            "full_page_writes": "off",
        }
        return ["-D", str(self.folder / "data"), *(f"--{name}={value}" for name, value in settings.items())]

    def answers(self) -> bool:
        try:
            self.execute(sql.SQL("SELECT 1"))
        except psycopg.OperationalError:
            return False
        return True

    def url(self, database: str) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}"

    def create(self, database: str, template: str = "template1") -> None:
        """Make a database: empty, or a copy of one that nobody is connected to."""
        names = sql.Identifier(database), sql.Identifier(template)
        self.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))

    def drop(self, database: str) -> None:
        self.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))

    def execute(self, statement: sql.SQL | sql.Composed) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement)


class Redis(Server):
    def __init__(self) -> None:
        super().__init__(found("redis-server", "Redis"))

    def arguments(self) -> list[str]:
        return ["--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no"]

    def answers(self) -> bool:
        with redis.Redis(port=self.port) as client, suppress(redis.ConnectionError):
            return bool(client.ping())
        return False

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


def found(program: str, name: str) -> Path:
    """Return where a program is, or skip the test that needs it."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{name} is not installed, so nothing was tested on it. `make test` says how to get it.")
    return Path(path)
