"""The soak: random faults of a site's processes, and the checks afterwards."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import groupby, pairwise
from pathlib import Path
from random import Random
from typing import Any

import psycopg

from tests import family
from tests.running import Site, kill, wait_until

from .scene import at_work, serve, stray_files
from .viewer import Viewer, nothing_missed, nothing_twice

SEED = int(os.environ.get("SOAK_SEED", "4711"))
LEASE = 6
# Seconds for which a process stands still: long enough to lose its lease.
STANDSTILL = LEASE + 2.0
# Seconds in which unfinished documents have to end after the last fault.
RECOVERY = 300

# Makes ``ASSESSMENTS`` assessments.
SET_THE_STAGE = """
import io, json
from django.contrib.auth.models import User
from django.db import connection
from PIL import Image
from assessments.models import Assessment
from tests import cast

# Half a second's work each for a generator: a PNG cannot be scaled while it is decoded, and no print image is there.
file = io.BytesIO()
Image.linear_gradient("L").resize((4000, 3000)).convert("RGB").save(file, "PNG", compress_level=1)
numbers = []
for _ in range(ASSESSMENTS):
    assessment = cast.make_assessment(User.objects.get(username="assessor"), photos=0)
    for position in range(12):
        cast.add_photo(assessment, file.getvalue(), f"IMG_{position:04}.png", position=position)
    assessment.photos.update(state="ready")
    numbers.append(assessment.number)

# Notes every revision that a document ever gets, and those of saved data.
changes = {
    "revision": ("document", "NEW.assessment_id", "NEW.revision", 0),
    "facts_revision": ("assessment", "NEW.id", "NEW.facts_revision", 1),
    "photos_revision": ("assessment", "NEW.id", "NEW.photos_revision", 1),
}
with connection.cursor() as cursor:
    cursor.execute("CREATE TABLE noted (assessment_id BIGINT, revision BIGINT, saved INT)")
    for pk, revision in Assessment.objects.values_list("pk", "revision"):
        for number in range(1, revision + 1):
            cursor.execute("INSERT INTO noted VALUES (%s, %s, 1)", [pk, number])
    for column, (table, assessment, value, saved) in changes.items():
        body = f"INSERT INTO noted VALUES ({assessment}, {value}, {saved});"
        when = f"AFTER UPDATE OF {column} ON assessments_{table} FOR EACH ROW WHEN ({value} <> OLD.{column})"
        name = f"note_{column}"
        if connection.vendor == "postgresql":
            does = f"RETURNS trigger AS 'BEGIN {body} RETURN NEW; END' LANGUAGE plpgsql"
            cursor.execute(f"CREATE FUNCTION {name}() {does}")
            cursor.execute(f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION {name}()")
        else:
            cursor.execute(f"CREATE TRIGGER {name} {when} BEGIN {body} END")
print(json.dumps(numbers))
"""


class Chaos:
    """Kills or stops a random process of some sites on one database, every ``pause`` seconds.

    ``restarts`` are further faults: by the name of a server, the function that restarts the server.
    """

    def __init__(
        self,
        sites: list[Site],
        pause: float,
        roles: tuple[str, ...] = ("worker", "renderer", "sweep"),
        restarts: dict[str, Callable[[], None]] | None = None,
    ) -> None:
        self.sites = sites
        self.pause = pause
        self.roles = roles
        self.restarts = restarts or {}
        # The id of the one document that may fail.
        self.poison = 0
        self.random = Random(SEED)
        self.done: Counter[str] = Counter()
        # The pids of the processes that stand still, and the times when these go on.
        self.still: dict[int, float] = {}

    def go_on_for(self, seconds: float) -> None:
        last = time.monotonic() + seconds
        fault_at = time.monotonic()
        while time.monotonic() < last:
            if time.monotonic() >= fault_at:
                self.one_fault()
                fault_at += self.pause
            self.wake(time.monotonic())
            time.sleep(0.05)
        self.wake(float("inf"))

    def wake(self, now: float) -> None:
        for pid in [pid for pid, until in self.still.items() if until <= now]:
            del self.still[pid]
            resume(pid)

    def one_fault(self) -> None:
        choices = [(role, fault) for role in self.roles for fault in ("killed", "stopped")]
        choices += [(name, "restarted") for name in self.restarts]
        self.random.shuffle(choices)
        for role, fault in choices:
            if fault == "restarted":
                if self.restart(role):
                    return
                continue
            victims = [pid for pid in self.candidates(role) if pid not in self.still and family.state(pid) not in "ZXT"]
            if victims and self.strike(self.random.choice(victims), fault):
                self.done[f"{role} {fault}"] += 1
                return
        self.done["everybody spared"] += 1

    def candidates(self, role: str) -> list[int]:
        if role != "renderer":
            return [pid for site in self.sites for pid in family.named(serve(site), role)]
        return [renderer for worker in self.candidates("worker") for renderer in family.renderers(worker)]

    def restart(self, name: str) -> bool:
        """Restart a server. Return False while a document is at its last attempt, which the restart could end."""
        if any(self.last_attempt(row) for rows in at_work(self.sites[0]).values() for row in rows):
            return False
        self.restarts[name]()
        self.done[f"{name} restarted"] += 1
        return True

    def strike(self, pid: int, fault: str) -> bool:
        """Kill or stop a process. Return False if the process has ended or must be spared."""
        try:
            # The process stands still between two transactions, so its last change of the database is complete.
            self.sites[0].freeze(pid)
        except ProcessLookupError:
            return False
        if self.on_last_attempt(pid):
            resume(pid)
            return False
        if fault == "killed":
            kill(pid)
        else:
            self.still[pid] = time.monotonic() + STANDSTILL
        return True

    def on_last_attempt(self, pid: int) -> bool:
        """Return whether a process, or the worker that it belongs to, is at the last attempt of a document.

        A document has three attempts. Only the poisoned document may use up its attempts: all others must be made.
        """
        made = at_work(self.sites[0])
        rows = made.get(pid) or made.get(family.parent(family.parent(pid)), [])
        return any(map(self.last_attempt, rows))

    def last_attempt(self, row: dict[str, Any]) -> bool:
        return bool(row["attempt"] >= 3 and row["document"] != self.poison)


class Poison(threading.Thread):
    """Kills each process that makes the poisoned document."""

    def __init__(self, site: Site, document: int) -> None:
        super().__init__(name="poison", daemon=True)
        self.site = site
        self.document = document
        self.kills = 0
        self.over = False

    def run(self) -> None:
        while not self.over:
            for worker in self.makers():
                for renderer in filter(family.running, family.renderers(worker)):
                    self.strike(worker, renderer)
            time.sleep(0.02)

    def makers(self) -> list[int]:
        made: dict[int, list[dict[str, Any]]] = {}
        # The database may be restarting.
        with suppress(psycopg.OperationalError):
            made = at_work(self.site)
        return [pid for pid, rows in made.items() if any(row["document"] == self.document for row in rows)]

    def strike(self, worker: int, renderer: int) -> None:
        try:
            os.kill(renderer, signal.SIGSTOP)
        except ProcessLookupError:
            return
        # The renderer stands still now. If its worker is still at this document, so is the renderer.
        if worker in self.makers():
            kill(renderer)
            self.kills += 1
        else:
            resume(renderer)


def resume(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return


def documents(site: Site, numbers: list[str]) -> list[dict[str, Any]]:
    marks = ",".join("?" * len(numbers))
    return site.rows(
        "SELECT d.id AS id, number, kind, d.status AS status, attempts, error, reference, d.revision AS revision, "
        "a.revision AS last, a.id AS assessment FROM assessments_document d "
        f"JOIN assessments_assessment a ON a.id = d.assessment_id WHERE number IN ({marks}) ORDER BY number, position",
        *numbers,
    )


def soak(site: Site, chaos: Chaos, assessments: int, seconds: float) -> str:
    """Make all documents of some assessments amid chaos, one document poisoned; return one line about the run.

    The clicks go to ``site``, and a page of each assessment is open on ``site``.
    """
    numbers: list[str] = site.python(f"ASSESSMENTS = {assessments}\n{SET_THE_STAGE}")
    poisoned = next(row for row in documents(site, numbers[-1:]) if row["kind"] == "photos-pdf")
    chaos.poison = poisoned["id"]
    poison = Poison(site, poisoned["id"])
    viewers = [Viewer(site, number) for number in numbers]
    for thread in (poison, *viewers):
        thread.start()
    begun = time.monotonic()
    with site.login("assessor") as client:
        for number in numbers:
            assert client.post(f"/assessments/{number}/documents/generate/").status_code == 302
    chaos.go_on_for(seconds)
    unfinished = sum(row["status"] in ("pending", "processing") for row in documents(site, numbers))
    wait_until(
        lambda: not {"pending", "processing"} & {row["status"] for row in documents(site, numbers)},
        f"documents are stuck (SOAK_SEED={SEED}): {documents(site, numbers)}",
        RECOVERY,
    )
    lasted = time.monotonic() - begun
    poison.over = True
    faults = ", ".join(f"{number} x {name}" for name, number in sorted(chaos.done.items()))
    story = (
        f"SOAK_SEED={SEED}: {faults}; the poisoned renderer killed {poison.kills} times; {unfinished} documents "
        f"unfinished after {seconds:g} s, all ended after {lasted:.0f} s"
    )
    # pytest shows the story beside a failure.
    print(story)
    each_is_made_once_but_the_poisoned_one(site, numbers, poisoned["id"])
    attempts_never_overlap(site, numbers)
    no_change_is_missing(site, numbers)
    for viewer in viewers:
        wait_until(lambda viewer=viewer: nothing_missed(viewer), f"{viewer.number}: the page shows {viewer.shown}")
        assert nothing_twice(viewer), viewer.revisions
        viewer.over = True
    return story


def each_is_made_once_but_the_poisoned_one(site: Site, numbers: list[str], poisoned: int) -> None:
    rows = documents(site, numbers)
    assert Counter(row["status"] for row in rows) == {"success": len(rows) - 1, "error": 1}, [
        (row["id"], row["number"], row["kind"], row["attempts"], row["error"])
        for row in rows
        if row["status"] != "success"
    ]
    (failed,) = [row for row in rows if row["status"] == "error"]
    assert (failed["id"], failed["attempts"]) == (poisoned, 3)
    # The error depends on the process that was killed last: the renderer or the worker.
    renderer, worker = (
        "The process that made this stopped unexpectedly (Killed). Retry it",
        "The worker stopped 3 times",
    )
    assert failed["error"].startswith((renderer, worker))
    assert failed["reference"]
    versions = site.rows("SELECT document_id, number FROM assessments_documentversion ORDER BY document_id")
    assert [(row["document_id"], row["number"]) for row in versions] == sorted(
        (row["id"], 1) for row in rows if row["status"] == "success"
    )
    assert not site.rows("SELECT id FROM assessments_attempt WHERE outcome = 'running'")


def attempts_never_overlap(site: Site, numbers: list[str]) -> None:
    attempts = site.rows(
        "SELECT d.assessment_id AS assessment, t.started_at AS started, t.ended_at AS ended "
        "FROM assessments_attempt t JOIN assessments_document d ON d.id = t.document_id ORDER BY assessment, t.id"
    )
    stories = [list(story) for _, story in groupby(attempts, key=lambda row: row["assessment"])]
    assert len(stories) == len(numbers)
    assert all(before["ended"] <= after["started"] for story in stories for before, after in pairwise(story))


def no_change_is_missing(site: Site, numbers: list[str]) -> None:
    """Check that one change each got an assessment's revisions 1, 2, 3, ... up to the present revision."""
    rows = documents(site, numbers)
    for assessment, last in {(row["assessment"], row["last"]) for row in rows}:
        noted = site.rows("SELECT revision, saved FROM noted WHERE assessment_id = ? ORDER BY revision", assessment)
        # One save may note two columns.
        of_saves = {row["revision"] for row in noted if row["saved"]}
        of_documents = [row["revision"] for row in noted if not row["saved"]]
        assert sorted([*of_saves, *of_documents]) == list(range(1, last + 1))
        assert max(row["revision"] for row in rows if row["assessment"] == assessment) == of_documents[-1]


def nothing_is_left_behind(sites: list[Site], workers: int, temporary: Path) -> None:
    """End the sites, each with ``workers`` workers. Files that the sites share are in the first site's data folder."""
    for site in sites:
        running = wait_until(
            lambda site=site: len(found := family.named(serve(site), "worker")) == workers and found,
            "a worker is missing",
            60,
        )
        wait_until(lambda running=running: not any(map(family.renderers, running)), "renderers are left")
        wait_until(lambda site=site: not list((site.data_dir / "work").iterdir()), "work folders are left")
        site.stop()
    sites[0].manage("sweep", "--once")
    assert not stray_files(sites[0])
    assert not any(site.processes() for site in sites)
    assert not list(temporary.iterdir())
