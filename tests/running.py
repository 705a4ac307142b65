"""A site as it really runs: ``manage.py serve`` in processes of its own, with its own data folder and port."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from assessments.processes import die_with_parent

from . import family, staging

ROOT = Path(__file__).resolve().parent.parent
CSRF_TOKEN = "x" * 32
# Seconds in which a site must be up, must be gone when nothing is being made, and must have done a request.
# The limit shows that the site does it, not how quickly: on a busy machine, four documents took more than 30 seconds.
PATIENCE = 60.0
# The sites do not speak TLS. Preparing for TLS would cost each client 24 ms of processor time.
NO_TLS = False
# The database from which the databases of sites on PostgreSQL are copied.
POSTGRESQL_TEMPLATE = "template_site"


class Site:
    """One running site. Its data folder begins as a copy of ``template`` (see ``make_template``).

    Further settings are given as in the environment: ``Site(template, folder, WORKERS="2")``. With ``DATABASE_URL``
    the site runs on that database, which must be a copy of the template's.
    """

    # Whether ``serve`` starts as a copy of a process that has loaded the libraries, and not as by hand.
    copied = False

    def __init__(self, template: Path, data_dir: Path, **environment: str) -> None:
        self.template = template
        shutil.copytree(template, data_dir, ignore=shutil.ignore_patterns("static", "cluster"))
        (data_dir / "static").symlink_to(template / "static")
        self.data_dir = data_dir
        self.log = data_dir / "serve.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.given = environment
        self.environment = bare_environment(data_dir) | {"PORT": str(self.port), "LEASE_SECONDS": "10"} | environment
        # Empty for SQLite in the data folder.
        self.database_url = self.environment.get("DATABASE_URL", "")
        self.sessions: dict[str, str] = json.loads((data_dir / "sessions.json").read_text())
        self.process: subprocess.Popen[bytes] | staging.Process | None = None
        # The session of the processes of the last start.
        self.session: int | None = None
        # The length of the log at the last start.
        self.logged = 0
        # The stopped processes of a sleeping site.
        self.asleep: list[int] = []
        # Each thread keeps its own connection to PostgreSQL.
        self.kept = threading.local()

    def start(self, wait: bool = True) -> None:
        """Start serving, and wait until the site answers, unless the caller does."""
        with self.log.open("ab") as log:
            self.logged = log.tell()
        # Python itself reads these variables when it starts.
        by_hand = not self.copied or any(name.startswith("PYTHON") for name in self.given)
        self.process = self.begin() if by_hand else staging.Process(self.environment, ["serve"], self.log)
        self.session = self.process.pid
        if wait:
            wait_until(self.ready, f"{self.url} does not answer", PATIENCE)

    def begin(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "manage.py", "serve"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # A killed test run cannot stop its sites, so the sites end with it.
                preexec_fn=partial(die_with_parent, os.getpid()),
            )

    def ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"serve ended:\n{self.log.read_text()}"
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5, verify=NO_TLS).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self, patience: float = PATIENCE) -> None:
        """Terminate the site, and make sure that it leaves no process behind."""
        if self.process is None:
            return
        self.let_go_on()
        self.process.terminate()
        try:
            self.process.wait(patience)
            self.wait_until_gone()
        except (subprocess.TimeoutExpired, AssertionError) as error:
            left = self.processes()
            for pid in left:
                kill(pid)
            self.process.wait()
            raise AssertionError(f"After {patience:g} s these were still there: {left}") from error
        finally:
            self.process = None

    def wait_until_gone(self) -> None:
        """Wait until no process is left of a site whose ``serve`` has ended.

        The resource tracker of a fork server ends last: when no process is left that could write to its pipe. The
        tracker ends a tenth of a second after ``serve``, and later on a busy machine.
        """
        wait_until(lambda: not self.processes(), "processes are left")

    def renew(self) -> bool:
        """Make a running site as it was at its start. Return False if the site was stopped or disturbed, or is busy."""
        if self.process is None or self.process.poll() is not None or not self.undisturbed():
            return False
        self.give_up_waiting()
        try:
            wait_until(lambda: not self.busy(), "there is still work to do", 10)
        except AssertionError:
            return False
        for name in ("media", "mail"):
            shutil.rmtree(self.data_dir / name, ignore_errors=True)
            if (self.template / name).exists():
                shutil.copytree(self.template / name, self.data_dir / name)
        self.sessions = json.loads((self.template / "sessions.json").read_text())
        if self.database_url:
            restore(self.database_url)
        else:
            copy_rows(self.template / "db.sqlite3", self.data_dir / "db.sqlite3")
        return True

    def sleep(self) -> None:
        """Stop all processes of the site: an idle site costs 4 % of a processor."""
        assert self.process is not None
        for pid in (self.process.pid, *family.descendants(self.process.pid)):
            # A child that decoded a photo may just have ended.
            with suppress(ProcessLookupError):
                self.freeze(pid)
                self.asleep.append(pid)

    def wake(self) -> None:
        """Let a sleeping site go on, and wait until each of its parts has given a sign of life."""
        self.let_go_on()
        wait_until(self.healthy, f"{self.url} does not wake up", PATIENCE)

    def let_go_on(self) -> None:
        while self.asleep:
            os.kill(self.asleep.pop(), signal.SIGCONT)

    def healthy(self) -> bool:
        return httpx.get(f"{self.url}/healthz", timeout=PATIENCE, verify=NO_TLS).status_code == 200

    def undisturbed(self) -> bool:
        """Return whether the processes of the last start still run, and none was replaced by another."""
        assert self.process is not None
        started = self.log.read_bytes()[self.logged :].count(b" runs as process ")
        below = family.children(self.process.pid)
        return started == len(below) and all(family.state(pid) in "SRD" for pid in below)

    def give_up_waiting(self) -> None:
        """Take back all work that no worker has begun: nobody needs it any more, and it costs processor time."""
        statements = (
            "UPDATE assessments_document SET status = 'idle' WHERE status = 'pending'",
            "DELETE FROM django_tasks_database_dbtaskresult WHERE status = 'READY'",
        )
        for statement in statements:
            if self.database_url:
                with psycopg.connect(self.database_url) as server:
                    server.execute(statement)
            else:
                with closing(sqlite3.connect(self.data_dir / "db.sqlite3", timeout=20)) as file, file:
                    file.execute(statement)

    def busy(self) -> bool:
        documents = "SELECT 1 FROM assessments_document WHERE status IN ('pending', 'processing')"
        tasks = "SELECT 1 FROM django_tasks_database_dbtaskresult WHERE status IN ('READY', 'RUNNING')"
        return bool(self.rows(documents) or self.rows(tasks))

    def processes(self) -> dict[int, str]:
        """Return the command lines of all processes of this site, known by their session or their data folder."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                session = int((folder / "stat").read_text().rpartition(")")[2].split()[3])
                named = f"DATA_DIR={self.data_dir}".encode() in (folder / "environ").read_bytes().split(b"\0")
                if (named or session == self.session) and (command := (folder / "cmdline").read_bytes()):
                    found[int(folder.name)] = command.replace(b"\0", b" ").decode()
            except OSError:
                continue
        return found

    def login(self, username: str) -> httpx.Client:
        """Return a client that is signed in and sends the CSRF token with each request."""
        headers = {"X-CSRFToken": CSRF_TOKEN}
        cookies = self.cookies(username)
        return httpx.Client(base_url=self.url, cookies=cookies, headers=headers, timeout=PATIENCE, verify=NO_TLS)

    def cookies(self, username: str) -> dict[str, str]:
        return {"sessionid": self.sessions[username], "csrftoken": CSRF_TOKEN}

    def freeze(self, pid: int) -> None:
        """Stop one of the site's processes (SIGCONT lets it go on), but not while the process locks the database."""
        while True:
            os.kill(pid, signal.SIGSTOP)
            try:
                locked = self.locked(pid)
            except (FileNotFoundError, PermissionError) as gone:
                raise ProcessLookupError(pid) from gone
            if not locked:
                return
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.01)

    def locked(self, pid: int) -> bool:
        """Return whether a process is in the middle of a transaction; on SQLite, whether any process writes."""
        if self.database_url:
            query = "SELECT 1 FROM pg_stat_activity WHERE client_port = ANY(?) AND state <> 'idle'"
            return bool(self.rows(query, family.ports(pid)))
        with closing(sqlite3.connect(self.data_dir / "db.sqlite3", timeout=0.2, isolation_level=None)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            database.execute("ROLLBACK")
            return False

    def manage(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a management command in this site's environment; ``check`` expects it to succeed."""
        done = staging.manage(self.environment, *arguments)
        assert not check or done.returncode == 0, f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}"
        return done

    def python(self, code: str) -> Any:
        """Run Python with the site's models at hand, in a process of its own; return what it prints, read as JSON."""
        done = staging.run(self.environment, code)
        assert done.returncode == 0, f"{code} ended with {done.returncode}:\n{done.stderr}"
        return json.loads(done.stdout or "null")

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Run a query on the site's database, read only. Each ``?`` in it stands for a value."""
        if self.database_url:
            portable = query.replace("%", "%%").replace("?", "%s")
            try:
                return self.server_connection().execute(portable, values).fetchall()  # type: ignore[call-overload, no-any-return]
            except psycopg.OperationalError:
                # The server was restarted, or there is no server: then the second try raises the error.
                if connection := getattr(self.kept, "connection", None):
                    connection.close()
                return self.server_connection().execute(portable, values).fetchall()  # type: ignore[call-overload, no-any-return]
        connection = sqlite3.connect(f"file:{self.data_dir / 'db.sqlite3'}?mode=ro", uri=True, timeout=20)
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute(query, values)]
        finally:
            connection.close()

    def server_connection(self) -> "psycopg.Connection[dict[str, Any]]":
        """Return this thread's connection to PostgreSQL, kept open: a new connection for each query costs much."""
        connection: psycopg.Connection[dict[str, Any]] | None = getattr(self.kept, "connection", None)
        if connection is None or connection.closed:
            connection = psycopg.connect(self.database_url, autocommit=True, row_factory=dict_row)
            connection.read_only = True
            self.kept.connection = connection
        return connection

    def statuses(self, number: str) -> dict[str, str]:
        """Return the status of each document of an assessment."""
        query = (
            "SELECT kind, d.status AS status FROM assessments_document d "
            "JOIN assessments_assessment a ON a.id = d.assessment_id WHERE a.number = ? ORDER BY position"
        )
        return {row["kind"]: row["status"] for row in self.rows(query, number)}


@contextmanager
def held_worker(site: Site) -> Iterator[None]:
    """Nothing gets made meanwhile, so that a batch runs for as long as the test wants."""
    assert site.process
    workers = family.named(site.process.pid, "worker")
    for pid in workers:
        site.freeze(pid)
    try:
        yield
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)


def make_template(data_dir: Path, **settings: str) -> Path:
    """Make a data folder with a migrated database, the static files and the cast, for sites to be copied from."""
    data_dir.mkdir(parents=True, exist_ok=True)
    environment = bare_environment(data_dir) | settings
    prepared = run_manage(environment, "prepare")
    assert prepared.returncode == 0, prepared.stderr
    staged = staging.run(environment, "from tests import cast; print(cast.put_on_stage())")
    assert staged.returncode == 0, staged.stderr
    (data_dir / "sessions.json").write_text(staged.stdout)
    database = data_dir / "db.sqlite3"
    if database.exists():
        # The file then holds all rows, and has no journal beside it that a copy could miss.
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return data_dir


# The signs of life belong to the processes, which run on when the rows of a site are made new.
KEPT_TABLE = "assessments_heartbeat"


def copy_rows(template: Path, path: Path) -> None:
    """Replace the rows of an SQLite database with those of ``template``, which has the same tables."""
    with closing(sqlite3.connect(path.as_uri(), timeout=20, isolation_level=None, uri=True)) as database:
        # An immutable database has no journal, which would come and go while another process copies the template.
        database.execute("ATTACH ? AS template", [f"{template.as_uri()}?immutable=1"])
        database.execute("BEGIN IMMEDIATE")
        tables = database.execute(
            "SELECT name FROM template.sqlite_master WHERE type = 'table' AND name NOT IN ('sqlite_stat1', ?)",
            [KEPT_TABLE],
        ).fetchall()
        for (table,) in tables:
            database.execute(f'DELETE FROM main."{table}"')
            # Generated columns are not among them.
            columns = ", ".join(f'"{row[1]}"' for row in database.execute(f'PRAGMA template.table_info("{table}")'))
            database.execute(f'INSERT INTO main."{table}" ({columns}) SELECT {columns} FROM template."{table}"')
        database.execute("COMMIT")


@cache
def rows_of(url: str) -> tuple[dict[str, bytes], dict[str, int]]:
    """Return all rows of a PostgreSQL database, by table, in the form of COPY, and the values of its used sequences."""
    with psycopg.connect(url) as database:
        tables = database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        rows = {}
        for (table,) in tables:
            with database.cursor().copy(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))) as copy:
                rows[table] = b"".join(copy)
        begun = "SELECT sequencename, last_value FROM pg_sequences WHERE last_value IS NOT NULL"
        return rows, dict(database.execute(begun).fetchall())


def restore(url: str) -> None:
    """Replace the rows of a PostgreSQL database with those of the template on the same server."""
    rows, sequences = rows_of(url.rpartition("/")[0] + "/" + POSTGRESQL_TEMPLATE)
    with psycopg.connect(url) as database:
        # PostgreSQL checks no foreign keys meanwhile.
        database.execute("SET session_replication_role = replica")
        for table, content in rows.items():
            if table != KEPT_TABLE:
                name = sql.Identifier(table)
                database.execute(sql.SQL("DELETE FROM {}").format(name))
                with database.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(name)) as copy:
                    copy.write(content)
        for (sequence,) in database.execute("SELECT sequencename FROM pg_sequences").fetchall():
            value = sequences.get(sequence)
            database.execute("SELECT setval(%s, %s, %s)", [sequence, value or 1, value is not None])


def bare_environment(data_dir: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {"DATA_DIR": str(data_dir), "PYTHONUNBUFFERED": "1"}


def run_manage(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a management command as by hand, from the start of Python to its end. ``staging.manage`` costs a third."""
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(happens: Callable[[], Any], otherwise: str, patience: float = PATIENCE) -> Any:
    """Call ``happens`` until its result is true; return the result. The last call comes after ``patience`` s."""
    last = time.monotonic() + patience
    pause = 0.02
    while True:
        late = time.monotonic() > last
        if result := happens():
            return result
        assert not late, f"{otherwise} (after {patience:g} s)"
        time.sleep(pause)
        # Each call takes processor time from the work that is waited for.
        pause = min(pause * 1.2, 0.2)


def kill(pid: int) -> None:
    """End a process of a test at once."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
