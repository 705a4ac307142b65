"""Hundreds of assessments asked for at once, by two people, on two machines with four workers.

``BENCH_ASSESSMENTS`` (500 when not set) is how many. Each has one photo, so that all four documents are made.
"""

import json
import os
import statistics
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from tests.running import CSRF_TOKEN, make_template, wait_until
from tests.stack import Stack

ASSESSMENTS = int(os.environ.get("BENCH_ASSESSMENTS", "500"))
WORKERS = 4
# Assessments whose documents the bare generators make again.
BARE = min(ASSESSMENTS, 25)
PEOPLE = ("first", "second")
# Seconds for each assessment within which all must be made.
PATIENCE = 30
# Seconds between two requests of somebody who looks at pages, and in which nothing else happens at first.
PAUSE, IDLE = 0.05, 5.0


class Visitor(threading.Thread):
    """Looks at an assessment and at the list, again and again; keeps when, and how many seconds each took."""

    def __init__(self, client: httpx.Client, number: str) -> None:
        super().__init__(daemon=True)
        self.client = client
        self.paths = [f"/assessments/{number}/", "/assessments/"]
        self.visits: list[tuple[float, float]] = []
        self.refused = 0
        self.over = threading.Event()
        self.start()

    def run(self) -> None:
        while not self.over.wait(PAUSE):
            for path in self.paths:
                begun = time.monotonic()
                self.refused += self.client.get(path).status_code != 200
                self.visits.append((begun, time.monotonic() - begun))

    def took(self, begin: float, end: float) -> list[float]:
        """The seconds of the visits that began, or were going on, within a time."""
        return [seconds for begun, seconds in self.visits if begun < end and begun + seconds > begin]


def fill(stack: Stack) -> dict[str, Any]:
    """Two people of the office, each with a session and with half of the assessments."""
    code = (
        "import json; from tests import cast\n"
        f"people = {{name: cast.make_person(name, is_staff=True) for name in {PEOPLE}}}\n"
        "print(json.dumps({name: {'id': person.pk, 'session': cast.session_of(person), 'assessments': "
        f"[cast.make_assessment(person, photos=1).pk for _ in range({ASSESSMENTS // 2})]"
        "} for name, person in people.items()}))"
    )
    filled: dict[str, Any] = stack.python(code)
    return filled


def ask(stack: Stack, person: dict[str, Any]) -> tuple[float, float]:
    """Choose all of a person's assessments in the office's list, and ask for their documents: when, and seconds."""
    cookies = {"sessionid": person["session"], "csrftoken": CSRF_TOKEN}
    chosen = {
        "action": "generate_documents",
        "_selected_action": person["assessments"],
        "csrfmiddlewaretoken": CSRF_TOKEN,
    }
    with httpx.Client(base_url=stack.url, cookies=cookies, timeout=60) as client:
        begun = time.monotonic()
        answer = client.post("/admin/assessments/assessment/", data=chosen)
        assert answer.status_code == 302, answer.text
        assert "progress" in answer.headers["location"], answer.headers["location"]
        return begun, time.monotonic() - begun


def made(stack: Stack) -> list[dict[str, Any]]:
    """The files in the order in which they were made: for whom, of which assessment, and when."""
    return stack.rows(
        "SELECT v.made_by_id AS person, d.assessment_id AS assessment, "
        "EXTRACT(EPOCH FROM v.made_at - b.requested_at)::float AS seconds FROM assessments_documentversion v "
        "JOIN assessments_document d ON d.id = v.document_id JOIN assessments_batch b ON b.id = v.batch_id "
        "ORDER BY v.id"
    )


def active(stack: Stack) -> int:
    (row,) = stack.rows("SELECT count(*) AS count FROM assessments_document WHERE status IN ('pending', 'processing')")
    return int(row["count"])


def run(console: Console, stack: Stack) -> None:
    console.print(f"Making {ASSESSMENTS} assessments ...")
    people = fill(stack)
    visitor = Visitor(
        stack.login("assessor"), stack.rows("SELECT min(number) AS number FROM assessments_assessment")[0]["number"]
    )
    time.sleep(IDLE)
    idle = (time.monotonic() - IDLE, time.monotonic())
    with ThreadPoolExecutor(len(PEOPLE)) as pool:
        asked = list(pool.map(lambda name: ask(stack, people[name]), PEOPLE))
    asking = (min(begun for begun, _ in asked), max(begun + seconds for begun, seconds in asked))
    wait_until(lambda: not active(stack), "not all is made", ASSESSMENTS * PATIENCE)
    working = (asking[1], time.monotonic())
    visitor.over.set()
    visitor.join()
    console.print(f"Making {BARE * 4} documents again with the generators alone ...")
    code = f"from tests.bench import bare; print(bare.measure({BARE}, {WORKERS}))"
    count, wall, cpu = json.loads(stack.machines[0].manage("shell", "--verbosity", "0", "--command", code).stdout)
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

    row("asked for, the longer of the two (s)", max(seconds for _, seconds in asked), ".2f", target="1.00")
    row("documents not made", ASSESSMENTS * 4 - len(files), "d", target="0")
    for name, span in (("while asking", asking), ("while they are made", working)):
        took, before = visitor.took(*span), visitor.took(*idle)
        row(f"pages {name}, 99 % (ms)", 1000 * highest_of(took), ".0f", "idle", 1000 * highest_of(before), "250")
        row(f"pages {name}, the slowest (ms)", 1000 * max(took), ".0f", "idle", 1000 * max(before), "250")
    row("pages refused", visitor.refused, "d", target="0")
    early = files[: len(files) // 5]
    row("first fifth: for the first person (%)", 100 * share(early, people["first"]["id"]), ".0f", "fair", 50)
    spread = len({file["assessment"] for file in early})
    row("first fifth: over how many assessments", spread, "d", "fair", min(len(early), ASSESSMENTS))
    seconds = max(file["seconds"] for file in files)
    row("documents a second", len(files) / seconds, ".2f", f"bare generators, {WORKERS} processes", count / wall)
    row("CPU of a document in its process (s)", attempts["cpu"], ".3f", "bare generators", cpu / count)
    console.print(table)


def highest_of(seconds: list[float]) -> float:
    """What 99 of 100 stay below; the highest when there are few."""
    return statistics.quantiles(seconds, n=100)[98] if len(seconds) >= 100 else max(seconds)


def share(files: list[dict[str, Any]], person: int) -> float:
    return sum(file["person"] == person for file in files) / len(files)


def prepare(data_dir: Path, **environment: str) -> Path:
    data_dir.mkdir()
    return make_template(data_dir, **environment)


def main() -> None:
    console = Console(width=120)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        # PostgreSQL and nginx are other users.
        os.chmod(folder, 0o755)
        stack = Stack(Path(folder), prepare)
        try:
            stack.start()
            run(console, stack)
        finally:
            stack.stop()


if __name__ == "__main__":
    main()
