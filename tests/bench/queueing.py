"""The bench of the queue: two people request the documents of hundreds of assessments, on two machines, four workers.

``BENCH_ASSESSMENTS`` (500 when not set) is their number. Each has one photo, so that all four documents are made. The
requests come ``BENCH_BURSTS`` (5) times, each time with webs that have just started and workers that have made nothing
yet; after the last time all documents are made. Before each time the site is idle for ``BENCH_IDLE`` (5) seconds.
"""

import json
import os
import statistics
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx
from rich.console import Console
from rich.table import Table

from tests import family
from tests.running import CSRF_TOKEN, NO_TLS, wait_until
from tests.stack import Stack

from .prepared import MADE, prepare

ASSESSMENTS = int(os.environ.get("BENCH_ASSESSMENTS", "500"))
WORKERS = 4
# The number of assessments whose documents the bare generators make again.
BARE = min(ASSESSMENTS, 25)
PEOPLE = ("first", "second")
# Seconds allowed for each assessment until all are made, and seconds that even a few may take on a busy machine.
PATIENCE, AT_LEAST = 30, 180
# Seconds between two rounds of a visitor who opens pages.
PAUSE = 0.05
IDLE = float(os.environ.get("BENCH_IDLE", "5"))
BURSTS = int(os.environ.get("BENCH_BURSTS", "5"))
# A begin and an end, in seconds.
Span = tuple[float, float]


class Visit(NamedTuple):
    seconds: float
    begun: float
    path: str


class Visitor(threading.Thread):
    """Opens an assessment and the list, again and again; keeps the moment and the seconds of each visit."""

    def __init__(self, client: httpx.Client, number: str) -> None:
        super().__init__(daemon=True)
        self.client = client
        self.paths = [f"/assessments/{number}/", "/assessments/"]
        self.visits: list[Visit] = []
        self.refused = 0
        self.over = threading.Event()
        self.start()

    def run(self) -> None:
        while not self.over.wait(PAUSE):
            for path in self.paths:
                begun = time.monotonic()
                try:
                    self.refused += self.client.get(path).status_code != 200
                except httpx.TransportError:
                    self.refused += 1
                self.visits.append(Visit(time.monotonic() - begun, begun, path))

    def within(self, begin: float, end: float) -> list[Visit]:
        """Return the visits that began, or were going on, within a time; the last visit when there were none."""
        return [
            visit for visit in self.visits if visit.begun < end and visit.begun + visit.seconds > begin
        ] or self.visits[-1:]


def fill(stack: Stack) -> dict[str, Any]:
    """Make two people of the office, each with a session and with half of the assessments."""
    code = (
        "import json; from tests import cast\n"
        f"people = {{name: cast.make_person(name, is_staff=True) for name in {PEOPLE}}}\n"
        "print(json.dumps({name: {'id': person.pk, 'session': cast.session_of(person), 'assessments': "
        f"[cast.make_assessment(person, photos=1).pk for _ in range({ASSESSMENTS // 2})]"
        "} for name, person in people.items()}))\ncast.look_at_all()"
    )
    filled: dict[str, Any] = stack.python(code)
    return filled


def act(stack: Stack, person: dict[str, Any], action: str) -> Span:
    """Run an action on all of a person's assessments in the admin; return the begin and the end of the request."""
    cookies = {"sessionid": person["session"], "csrftoken": CSRF_TOKEN}
    chosen = {"action": action, "_selected_action": person["assessments"], "csrfmiddlewaretoken": CSRF_TOKEN}
    with httpx.Client(base_url=stack.url, cookies=cookies, timeout=60, verify=NO_TLS) as client:
        begun = time.monotonic()
        answer = client.post("/admin/assessments/assessment/", data=chosen)
        assert answer.status_code == 302, answer.text
        assert "progress" in answer.headers["location"], answer.headers["location"]
        return begun, time.monotonic()


def act_together(stack: Stack, people: dict[str, Any], action: str) -> list[Span]:
    with ThreadPoolExecutor(len(PEOPLE)) as pool:
        return list(pool.map(lambda name: act(stack, people[name], action), PEOPLE))


@dataclass
class Burst:
    """Both people request the documents of all their assessments, while a visitor opens pages."""

    visitor: Visitor
    idle: Span
    # The request of each of the two people.
    asked: list[Span]

    @classmethod
    def of(cls, stack: Stack, people: dict[str, Any]) -> Self:
        wait_until(lambda: alive(stack) == WORKERS, "a worker is missing")
        (row,) = stack.rows("SELECT min(number) AS number FROM assessments_assessment")
        visitor = Visitor(stack.login("assessor"), row["number"])
        begun = time.monotonic()
        time.sleep(IDLE)
        return cls(visitor, (begun, time.monotonic()), act_together(stack, people, "generate_documents"))

    @property
    def asking(self) -> Span:
        return min(begun for begun, _ in self.asked), max(end for _, end in self.asked)

    def end(self) -> None:
        self.visitor.over.set()
        self.visitor.join()


def start_afresh(stack: Stack, people: dict[str, Any]) -> None:
    """Cancel all documents, and start the machines again."""
    act_together(stack, people, "cancel_documents")
    wait_until(lambda: not stack.machines[0].busy(), "there is still work to do")
    for machine in stack.machines:
        machine.stop()
    for machine in stack.machines:
        machine.start()


def made(stack: Stack) -> list[dict[str, Any]]:
    """Return the files of the last burst in the order of making: person, assessment, and seconds since the request."""
    return stack.rows(
        "SELECT v.made_by_id AS person, d.assessment_id AS assessment, "
        "EXTRACT(EPOCH FROM v.made_at - b.requested_at)::float AS seconds FROM assessments_documentversion v "
        "JOIN assessments_document d ON d.id = v.document_id JOIN assessments_batch b ON b.id = v.batch_id "
        "WHERE b.id IN (SELECT max(id) FROM assessments_batch GROUP BY assessment_id) ORDER BY v.id"
    )


def active(stack: Stack) -> int:
    (row,) = stack.rows("SELECT count(*) AS count FROM assessments_document WHERE status IN ('pending', 'processing')")
    return int(row["count"])


def alive(stack: Stack) -> int:
    (row,) = stack.rows("SELECT count(*) AS count FROM assessments_heartbeat WHERE role = 'worker'")
    return int(row["count"])


def taken(stack: Stack) -> Counter[str]:
    """Return the processor seconds that each part of the stack has taken so far."""
    seconds = Counter({"this bench with its visitor": time.process_time()})
    for machine in stack.machines:
        assert machine.process
        for pid in family.children(machine.process.pid):
            seconds[family.process_name(pid)] += family.cpu_seconds(pid)
            for server in family.fork_servers(pid):
                for renderer in (server, *family.children(server)):
                    seconds["renderer"] += family.cpu_seconds(renderer, with_ended_children=True)
    for server in stack.servers:
        assert server.process
        name = server.program.name
        seconds[name] += family.cpu_seconds(server.process.pid, with_ended_children=True)
        seconds[name] += sum(map(family.cpu_seconds, family.descendants(server.process.pid)))
    return seconds


def run(console: Console, stack: Stack) -> None:
    console.print(f"Making {ASSESSMENTS} assessments ...")
    people = fill(stack)
    bursts: list[Burst] = []
    for number in range(BURSTS):
        if number:
            bursts[-1].end()
            start_afresh(stack, people)
        before_asking = taken(stack)
        bursts.append(Burst.of(stack, people))
    last = bursts[-1]
    wait_until(lambda: not active(stack), "not all is made", max(ASSESSMENTS * PATIENCE, AT_LEAST))
    working = (last.asking[1], time.monotonic())
    spent = taken(stack) - before_asking
    # The visitor stays: the generators alone get no more of the processor than those of the workers.
    console.print(f"Making {BARE * 4} documents again with the generators alone ...")
    code = f"from tests.bench import bare; print(bare.measure({BARE}, {WORKERS}))"
    count, wall, cpu = json.loads(stack.machines[0].manage("shell", "--verbosity", "0", "--command", code).stdout)
    last.end()
    (attempts,) = stack.rows(
        "SELECT sum(cpu_seconds) / count(*) AS cpu FROM assessments_attempt WHERE outcome = 'success'"
    )

    files = made(stack)
    table = Table(title=f"{ASSESSMENTS} assessments at once, two people, {WORKERS} workers, PostgreSQL, Redis, nginx")
    for heading in ("", "ours", "beside", "ratio", "at most"):
        table.add_column(heading, justify="left" if heading in {"", "beside"} else "right")

    def row(name: str, ours: float, form: str, beside: str = "", theirs: float = 0, target: str = "") -> None:
        compared = f"{beside}: {theirs:{form}}" if beside else ""
        table.add_row(name, f"{ours:{form}}", compared, f"{ours / theirs:.2f}" if theirs else "", target)

    waits = [end - begun for burst in bursts for begun, end in burst.asked]
    row(f"asked for, the longest of {len(waits)} (s)", max(waits), ".2f", "median", statistics.median(waits), "1.00")
    row("documents not made", ASSESSMENTS * 4 - len(files), "d", target="0")
    slowest = [max(burst.visitor.within(*burst.asking)) for burst in bursts]
    median = statistics.median(visit.seconds for visit in slowest)
    worst = 1000 * max(slowest).seconds
    row(f"slowest page while asking, of {BURSTS} times (ms)", worst, ".0f", "median", 1000 * median, "250")
    before, later = last.visitor.within(*last.idle), last.visitor.within(*working)
    usual, tail = 1000 * highest_of(before), 1000 * highest_of(later)
    row("pages while they are made, 99 % (ms)", tail, ".0f", "idle", usual, "250")
    slow = 1000 * max(later).seconds
    row("slowest page while they are made (ms)", slow, ".0f", "idle", 1000 * max(before).seconds, "250")
    row("pages refused", sum(burst.visitor.refused for burst in bursts), "d", target="0")
    early = files[: len(files) // 5]
    row("first fifth: for the first person (%)", 100 * share(early, people["first"]["id"]), ".0f", "fair", 50)
    spread = len({file["assessment"] for file in early})
    row("first fifth: over how many assessments", spread, "d", "fair", min(len(early), ASSESSMENTS))
    seconds = max(file["seconds"] for file in files)
    row("documents a second", len(files) / seconds, ".2f", f"bare generators, {WORKERS} processes", count / wall)
    row("CPU of a document in its process (s)", attempts["cpu"], ".3f", "bare generators", cpu / count)
    console.print(table)
    costs = ", ".join(f"{name} {each / len(files):.3f}" for name, each in spent.most_common() if each)
    console.print(f"Processor seconds of a document: {costs}.")
    console.print(f"The slowest pages were {max(slowest).path} and {max(later).path}; idle, {max(before).path}.")


def highest_of(visits: list[Visit]) -> float:
    """Return the seconds that 99 of 100 visits stay below, or the most seconds of fewer than 100 visits."""
    seconds = [visit.seconds for visit in visits]
    return statistics.quantiles(seconds, n=100)[98] if len(seconds) >= 100 else max(seconds)


def share(files: list[dict[str, Any]], person: int) -> float:
    return sum(file["person"] == person for file in files) / len(files)


def main() -> None:
    console = Console(width=120)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        # PostgreSQL and nginx run as other users.
        os.chmod(folder, 0o755)
        stack = Stack(Path(folder), prepare, made=MADE)
        try:
            stack.start()
            run(console, stack)
        finally:
            stack.stop()
