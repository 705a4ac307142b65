"""The bench of streams: the seconds from the commit of a change to all its readers, and the cost of holding streams.

One web process, beside sse-starlette on uvicorn doing the same work (fanout.py): the same PostgreSQL, Redis, changes
and readers, one after the other; then with more and more changes, until our changes take too long. ``BENCH_LOADS`` is
the numbers of streams and of assessments (1000/250 and 5000/5000 when not set), ``BENCH_KNEE`` the numbers of changes
a second at the end (150, 300 and 600), ``BENCH_SECONDS`` the length of a measurement (15), and ``BENCH_QUIET`` the
idle seconds before a measurement (3).
"""

import http.client
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path

import psycopg
from rich.console import Console
from rich.table import Table

from assessments.processes import die_with_parent
from tests import family
from tests.running import ROOT, bare_environment, free_port, run_manage, wait_until
from tests.servers import PostgreSQL, Redis

from .prepared import take_static_files
from .watchers import Seen, watch

SECONDS = float(os.environ.get("BENCH_SECONDS", "15"))
DATABASE = "bench"
# The changes a second that one reporting process can make, beside all other work on the machine.
RATE_OF_ONE = 150
KNEE = [int(rate) for rate in os.environ.get("BENCH_KNEE", "150 300 600").split()]
# The seconds in which changes must reach 99 of 100 readers.
TOO_LONG = 0.25
QUIET = float(os.environ.get("BENCH_QUIET", "3"))

processes = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True)
class Load:
    streams: int
    assessments: int
    rate: float

    def __str__(self) -> str:
        return f"{self.streams:,} streams over {self.assessments:,} assessments, {self.rate:g} changes a second"


LOADS = [
    Load(*map(int, load.split("/")), rate=100) for load in os.environ.get("BENCH_LOADS", "1000/250 5000/5000").split()
]


@dataclass(frozen=True, slots=True)
class Result:
    """The measured values: latencies and CPU time in seconds, memory in bytes, rates by the second."""

    latencies: list[float]
    streams: int
    changes: int
    lost: int
    backwards: int
    closed: int
    opening: float
    threads: int
    connections: int
    memory: float
    cpu: float
    seconds: float
    # The used share of all the machine's processors, by all processes.
    busy: float
    events: int
    received: int
    readers_cpu: float

    def percentile(self, percent: int) -> float:
        return statistics.quantiles(self.latencies, n=100)[percent - 1]


class Bench:
    """The servers that we share with the peer, and a database with assessments to watch."""

    def __init__(self, assessments: int) -> None:
        self.postgresql, self.redis = PostgreSQL(), Redis()
        self.folder = Path(tempfile.mkdtemp(prefix="bench-"))
        self.postgresql.start()
        self.redis.start()
        self.postgresql.create(DATABASE)
        self.environment = bare_environment(self.folder) | {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATABASE_URL": self.postgresql.url(DATABASE),
            "REDIS_URL": self.redis.url,
            "STREAMS_PER_USER": "100000",
            "LEASE_SECONDS": "86400",
        }
        take_static_files(self.folder)
        self.manage("prepare")
        self.session = json.loads(self.manage(*in_shell(f"print(changes.fill({assessments}))")))

    def manage(self, *arguments: str) -> str:
        done = run_manage(self.environment, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def close(self) -> None:
        for server in (self.redis, self.postgresql):
            server.stop(server.gently)
            server.remove()

    def ours(self, port: int) -> list[str]:
        return ["manage.py", "web", "--port", str(port)]

    def peer(self, port: int) -> list[str]:
        return ["-m", "uvicorn", "tests.bench.fanout:application", "--port", str(port), "--log-level", "warning"]

    @contextmanager
    def serving(self, command: Callable[[int], list[str]]) -> Iterator[tuple[int, int]]:
        """Start a server; give its pid and port."""
        port = free_port()
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *command(port)],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=partial(die_with_parent, os.getpid()),
            )
        try:
            wait_until(lambda: process.poll() is not None or answers(port), f"port {port} does not answer")
            assert process.poll() is None, (self.folder / "log").read_text()
            yield process.pid, port
        finally:
            process.terminate()
            process.wait(60)

    def measure(self, command: Callable[[int], list[str]], load: Load) -> Result:
        with self.serving(command) as (pid, port):
            # The first stream loads modules and starts threads, which are not counted as the cost of a stream.
            with self.watching(port, replace(load, streams=1)):
                time.sleep(QUIET)
            before = family.memory(pid)
            with self.watching(port, load) as (pipe, watched, opening):
                time.sleep(QUIET)
                memory = (family.memory(pid) - before) / load.streams
                writers = [self.writer(load, share, shares_of(load)) for share in range(shares_of(load))]
                watch_over = Census(pid, self.postgresql.url("postgres"))
                pipe.send("now")
                begun, cpu, (used, ticks) = time.monotonic(), family.cpu_seconds(pid), machine()
                changes = made_by(writers)
                seconds, cpu = time.monotonic() - begun, family.cpu_seconds(pid) - cpu
                used_since, ticks_since = machine()
                watch_over.stop()
                last = {number: revision for number, revision, _ in changes}
                pipe.send([last.get(number, 0) for number in watched])
                seen: Seen = pipe.recv()
        return Result(
            latencies=list(latencies(changes, watched, seen)),
            streams=load.streams,
            changes=len(changes),
            lost=sum(
                not arrived or arrived[-1][0] != last[number]
                for number, arrived in zip(watched, seen.arrivals, strict=True)
                if number in last
            ),
            backwards=sum(earlier[0] >= later[0] for arrived in seen.arrivals for earlier, later in pairwise(arrived)),
            closed=seen.closed,
            opening=opening,
            threads=watch_over.threads,
            connections=watch_over.connections,
            memory=memory,
            cpu=cpu,
            seconds=seconds,
            busy=(used_since - used) / (ticks_since - ticks),
            events=sum(map(len, seen.arrivals)),
            received=seen.bytes,
            readers_cpu=seen.cpu_seconds,
        )

    @contextmanager
    def watching(self, port: int, load: Load) -> Iterator[tuple[Connection, list[str], float]]:
        """Start readers in a process; give its pipe, the assessment of each reader, and the seconds of opening."""
        with psycopg.connect(self.environment["DATABASE_URL"]) as database:
            rows = database.execute(
                "SELECT number, revision FROM assessments_assessment ORDER BY number LIMIT %s", [load.assessments]
            ).fetchall()
        watched = [rows[stream % len(rows)] for stream in range(load.streams)]
        paths = [f"/assessments/{number}/events/?lastEventId={number}:{revision}" for number, revision in watched]
        pipe, theirs = processes.Pipe()
        process = processes.Process(target=watch, args=(theirs, port, paths, f"sessionid={self.session}"), daemon=True)
        process.start()
        theirs.close()
        try:
            yield pipe, [number for number, _ in watched], pipe.recv()
        finally:
            process.terminate()
            process.join()

    def writer(self, load: Load, share: int, shares: int) -> subprocess.Popen[str]:
        """Return a process that is ready to make its share of the changes."""
        code = f"changes.report({load.assessments}, {load.rate / shares}, {SECONDS}, {share}, {shares})"
        process = subprocess.Popen(
            [sys.executable, "manage.py", *in_shell(code)],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=partial(die_with_parent, os.getpid()),
        )
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        return process


class Census(threading.Thread):
    """Counts the threads of a process and its connections to the database every second; keeps the highest counts."""

    def __init__(self, pid: int, database: str) -> None:
        super().__init__()
        self.pid = pid
        self.database = database
        self.threads = self.connections = 0
        self.over = threading.Event()
        self.start()

    def run(self) -> None:
        with psycopg.connect(self.database, autocommit=True) as database:
            query = "SELECT count(*) FROM pg_stat_activity WHERE client_port = ANY(%s)"
            while not self.over.wait(1):
                row = database.execute(query, [family.ports(self.pid)]).fetchone()
                self.connections = max(self.connections, row[0] if row else 0)
                self.threads = max(self.threads, family.threads(self.pid))

    def stop(self) -> None:
        self.over.set()
        self.join()


def in_shell(code: str) -> tuple[str, ...]:
    return "shell", "--verbosity", "0", "--command", f"from tests.bench import changes; {code}"


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def shares_of(load: Load) -> int:
    return -(-int(load.rate) // RATE_OF_ONE)


def made_by(writers: list[subprocess.Popen[str]]) -> list[tuple[str, int, float]]:
    """Let the writers make their changes; return the changes as (number, revision, moment)."""
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("go\n")
        writer.stdin.flush()
    return [tuple(change) for writer in writers for change in json.loads(writer.stdout.readline())]  # type: ignore[union-attr]


def latencies(changes: list[tuple[str, int, float]], watched: list[str], seen: Seen) -> Iterator[float]:
    """Yield, for each change and each of its readers, the seconds until that state or a newer state arrived."""
    changes_of = defaultdict(list)
    for number, revision, moment in changes:
        changes_of[number].append((revision, moment))
    for number, arrived in zip(watched, seen.arrivals, strict=True):
        coming = iter(arrived)
        state, at = next(coming, (0, 0.0))
        for revision, moment in changes_of[number]:
            while state < revision and at:
                state, at = next(coming, (0, 0.0))
            if at:
                yield at - moment


def machine() -> tuple[int, int]:
    """Return the ticks of all processors since the machine started: ticks of work, and all ticks."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    # The fourth field is idle time, the fifth is idle time while a disk works.
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def allow_files(count: int) -> bool:
    """Let this process and its children open as many files as possible. Return False if ``count`` is not allowed."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most == resource.RLIM_INFINITY or most >= count


ROWS: list[tuple[str, Callable[[Result], float], str]] = [
    ("latency, median (ms)", lambda result: 1000 * result.percentile(50), "{:.1f}"),
    ("latency, 99 % (ms)", lambda result: 1000 * result.percentile(99), "{:.1f}"),
    ("latency, highest (ms)", lambda result: 1000 * max(result.latencies), "{:.1f}"),
    ("streams without the last state", lambda result: result.lost, "{:.0f}"),
    ("events out of order, or twice", lambda result: result.backwards, "{:.0f}"),
    ("streams that broke off", lambda result: result.closed, "{:.0f}"),
    ("threads", lambda result: result.threads, "{:.0f}"),
    ("database connections", lambda result: result.connections, "{:.0f}"),
    ("memory for each stream (KiB)", lambda result: result.memory / 1024, "{:.1f}"),
    ("CPU of the process (%)", lambda result: 100 * result.cpu / result.seconds, "{:.1f}"),
    (
        "CPU for each stream (ms by the minute)",
        lambda result: 6e4 * result.cpu / result.seconds / result.streams,
        "{:.2f}",
    ),
    ("CPU for each change (ms)", lambda result: 1000 * result.cpu / result.changes, "{:.2f}"),
    ("opening all (s)", lambda result: result.opening, "{:.1f}"),
    ("changes a second", lambda result: result.changes / result.seconds, "{:.0f}"),
    ("events a second", lambda result: result.events / result.seconds, "{:.0f}"),
    ("bytes of an event", lambda result: result.received / max(1, result.events), "{:.0f}"),
    ("CPU of the readers (%)", lambda result: 100 * result.readers_cpu / result.seconds, "{:.1f}"),
    ("CPU of the whole machine (%)", lambda result: 100 * result.busy, "{:.0f}"),
]
TARGETS = {
    1000: ["20", "80", "", "0", "0", "0", "4", "2", "56"],
    5000: ["", "250", "", "0", "0", "0"],
}


def compare(console: Console, bench: Bench, load: Load) -> None:
    console.print(f"{load} ...")
    results = [bench.measure(command, load) for command in (bench.ours, bench.peer)]
    table = Table(title=str(load))
    for heading in ("", "ours", "sse-starlette on uvicorn", "ratio", "at most"):
        table.add_column(heading, justify="left" if not heading else "right")
    targets = TARGETS.get(load.streams, [])
    for position, (name, figure, form) in enumerate(ROWS):
        ours, peer = map(figure, results)
        ratio = f"{ours / peer:.2f}" if peer else ""
        target = targets[position] if position < len(targets) else ""
        table.add_row(name, form.format(ours), form.format(peer), ratio, target)
    console.print(table)


def find_knee(console: Console, bench: Bench) -> None:
    """Measure with more and more changes, until our changes take too long."""
    few = LOADS[0]
    title = f"{few.streams:,} streams over {few.assessments:,} assessments: where the knee is"
    table = Table(title=f"{title} (ours / sse-starlette on uvicorn)")
    for heading in (
        "changes a second",
        "made",
        "median (ms)",
        "99 % (ms)",
        "CPU of the process (%)",
        "of the machine (%)",
    ):
        table.add_column(heading, justify="right")
    for rate in KNEE:
        load = replace(few, rate=rate)
        console.print(f"{load} ...")
        results = [bench.measure(command, load) for command in (bench.ours, bench.peer)]
        figures: list[Callable[[Result], float]] = [
            lambda result: result.changes / result.seconds,
            lambda result: 1000 * result.percentile(50),
            lambda result: 1000 * result.percentile(99),
            lambda result: 100 * result.cpu / result.seconds,
            lambda result: 100 * result.busy,
        ]
        table.add_row(str(rate), *(" / ".join(f"{figure(result):.0f}" for result in results) for figure in figures))
        if results[0].percentile(99) > TOO_LONG:
            break
    console.print(table)


def main() -> None:
    console = Console(width=110)
    loads = [load for load in LOADS if allow_files(load.streams + 1000)]
    for load in LOADS[len(loads) :]:
        console.print(f"This machine does not let a process open enough files for {load}: left out.", style="bold")
    bench = Bench(max(load.assessments for load in loads))
    try:
        for load in loads:
            compare(console, bench, load)
        find_knee(console, bench)
    finally:
        bench.close()
