"""The bench of documents: ours beside floors and peers in the same run, with the ratios.

Each figure is the median of several runs (``BENCH_RUNS``, 3 when not set), ours and the peer's in turns. The assessment
has ``BENCH_PHOTOS`` (60) photos of ``BENCH_MEGAPIXELS`` (12) and an estimate of ``BENCH_LINES`` (120) lines. No figure
fails the bench: the machine may be busy.
"""

import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

RUNS = int(os.environ.get("BENCH_RUNS", "3"))
PHOTOS = int(os.environ.get("BENCH_PHOTOS", "60"))
MEGAPIXELS = int(os.environ.get("BENCH_MEGAPIXELS", "12"))
LINES = int(os.environ.get("BENCH_LINES", "120"))

DATA = Path(tempfile.mkdtemp(prefix="assessments-bench-"))
# Playwright runs an event loop in this thread. No transaction is open while this thread waits for the loop.
os.environ |= {"DATA_DIR": str(DATA), "DJANGO_SETTINGS_MODULE": "config.settings", "DJANGO_ALLOW_ASYNC_UNSAFE": "1"}

import django  # noqa: E402

django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from assessments.documents import queue, snapshot, worker  # noqa: E402
from assessments.documents.kinds import SLUGS  # noqa: E402
from assessments.models import Assessment, Attempt, EstimateLine, Photo  # noqa: E402
from assessments.operations.demo.content import make_assessment  # noqa: E402
from assessments.photos import intake as photos  # noqa: E402

from . import peers  # noqa: E402
from .peers import Cost  # noqa: E402

KINDS = SLUGS
processes = multiprocessing.get_context("forkserver")


class Bench:
    """One assessment with many photos, and the ways to make its documents."""

    def __init__(self) -> None:
        call_command("migrate", verbosity=0)
        # The first child finds the libraries loaded, as with a worker.
        worker.warm_up()
        owner = User.objects.create_user("assessor")
        self.assessment = make_assessment(owner, PHOTOS, MEGAPIXELS)
        give_lines(self.assessment)
        self.originals = [Path(photo.original.path) for photo in self.assessment.photos.all()]
        while photo := Photo.objects.claim():
            photos.look_at(photo)
        self.prepared = list(self.assessment.photos.values("pk", "print_image", "thumbnail"))
        self.ours("report")

    @contextmanager
    def unprepared(self) -> Iterator[None]:
        """Take the print images away for as long as the context lasts, as right after an upload."""
        self.assessment.photos.update(print_image="", thumbnail="")
        yield
        for names in self.prepared:
            self.assessment.photos.filter(pk=names.pop("pk")).update(**names)
        self.prepared = list(self.assessment.photos.values("pk", "print_image", "thumbnail"))

    def ours(self, *kinds: str) -> Cost:
        """Make documents as a worker does (claim, snapshot, child process, storing); return the cost."""
        queue.request(self.assessment, kinds)
        cpu, begun = time.process_time(), time.perf_counter()
        attempts = [worker.advance(self.assessment.pk) for _ in kinds]
        wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
        made = Attempt.objects.filter(pk__in=[attempt.pk for attempt in attempts if attempt])
        failed = [f"{attempt}: {attempt.error}" for attempt in made if attempt.outcome != "success"]
        if failed:
            sys.exit("\n".join(failed))
        children = made.values_list("cpu_seconds", "peak_memory")
        return Cost(wall, cpu + sum(used for used, _ in children), max(peak for _, peak in children))

    def snapshot(self, kind: str) -> Any:
        queue.request(self.assessment, [kind])
        attempt = queue.claim(self.assessment.pk)
        assert attempt
        content = snapshot.take(attempt)
        attempt.cancel()
        return content

    def html(self, kind: str) -> tuple[str, Path]:
        """Return a document's HTML, and a folder with its pictures as they are in the database now."""
        folder = Path(tempfile.mkdtemp(dir=DATA))
        receiver, sender = processes.Pipe(duplex=False)
        process = processes.Process(target=peers.send_html, args=(sender, self.snapshot(kind), folder))
        process.start()
        sender.close()
        html = receiver.recv()
        process.join()
        return html, folder


def give_lines(assessment: Assessment) -> None:
    """Lengthen the estimate to LINES lines by repeating its lines."""
    lines = list(assessment.estimate.lines.all())
    for number in range(len(lines), LINES):
        line = lines[number % len(lines)]
        line.pk, line.position, line._state.adding = None, number, True
        EstimateLine.objects.bulk_create([line])


def peer(work: Callable[..., Any], *arguments: Any) -> Callable[[], Cost]:
    """Return a function that does a peer's work in a process of its own, with an empty folder as the last argument."""

    def run() -> Cost:
        folder = Path(tempfile.mkdtemp(dir=DATA))
        receiver, sender = processes.Pipe(duplex=False)
        process = processes.Process(target=peers.measured, args=(sender, work, (*arguments, folder)))
        process.start()
        sender.close()
        cost: Cost = receiver.recv()
        process.join()
        shutil.rmtree(folder)
        return cost

    return run


@contextmanager
def warm_chromium(html: str, folder: Path) -> Iterator[Callable[[], Cost] | None]:
    """Give a function that prints the same HTML in a running browser; None where there is no Chromium."""
    executable = shutil.which("chromium")
    if executable is None:
        yield None
        return
    (folder / "page.html").write_text(html)
    shutil.copyfile("templates/documents/print.css", folder / "print.css")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page = browser.new_page()

        def run() -> Cost:
            begun = time.perf_counter()
            page.goto((folder / "page.html").as_uri())
            page.add_style_tag(path=folder / "print.css")
            page.pdf(path=folder / "chromium.pdf")
            return Cost(time.perf_counter() - begun, 0.0)

        run()
        yield run
        browser.close()


def in_turns(*works: Callable[[], Cost]) -> list[Cost]:
    """Run each work RUNS times, in turns, and return the median cost of each."""
    costs: list[list[Cost]] = [[] for _ in works]
    for _ in range(RUNS):
        for work, kept in zip(works, costs, strict=True):
            kept.append(work())
    return [
        Cost(
            statistics.median(cost.wall for cost in kept),
            statistics.median(cost.cpu for cost in kept),
            max(cost.memory for cost in kept),
        )
        for kept in costs
    ]


def table() -> Table:
    shown = Table(title=f"{PHOTOS} photos of {MEGAPIXELS} megapixels, {LINES} lines, medians of {RUNS}")
    for heading in ("work", "ours (wall / CPU s)", "beside", "its wall / CPU s", "ratio", "target"):
        shown.add_column(heading, justify="right" if "/" in heading or heading == "ratio" else "left")
    return shown


def main() -> None:
    try:
        run()
    finally:
        shutil.rmtree(DATA, ignore_errors=True)


def run() -> None:
    console = Console(width=150)
    console.print(f"Taking {PHOTOS} photos ...")
    bench = Bench()
    rows = table()

    def row(work: str, ours: Cost, beside: str, theirs: Cost, figure: str, target: str) -> None:
        ratio = getattr(ours, figure) / getattr(theirs, figure)
        console.print(f"{work}, beside {beside}: {ratio:.2f}")
        rows.add_row(
            work,
            f"{ours.wall:.2f} / {ours.cpu:.2f}",
            beside,
            f"{theirs.wall:.2f} / {theirs.cpu:.2f}",
            f"{ratio:.2f} ({figure})",
            target,
        )

    report, estimate = bench.html("report"), bench.html("estimate")
    ours, bare = in_turns(lambda: bench.ours("report"), peer(peers.print_once, *report))
    row("report, prepared photos", ours, "bare WeasyPrint", bare, "wall", "1.15")
    with warm_chromium(*estimate) as chromium:
        ours, bare, *browser = in_turns(
            lambda: bench.ours("estimate"), peer(peers.print_once, *estimate), *([chromium] if chromium else [])
        )
    row(f"estimate of {LINES} lines", ours, "bare WeasyPrint", bare, "wall", "-")
    for cost in browser:
        row(f"estimate of {LINES} lines", ours, "warm Chromium", cost, "wall", "1.00")

    ours, copied = in_turns(lambda: bench.ours("photos-zip"), peer(peers.copy_files, bench.originals))
    row("photos ZIP", ours, "copying the files", copied, "wall", "1.50")

    with bench.unprepared():
        photos_html, naive_report = bench.html("photos-pdf"), bench.html("report")
        originals, floor, naive_photos = in_turns(
            lambda: bench.ours("photos-pdf"),
            peer(peers.scale_and_embed, bench.originals),
            peer(peers.print_once, *photos_html),
        )
        row("photos PDF, originals", originals, "img2pdf floor", floor, "cpu", "1.40")
        row("photos PDF, originals", originals, "bare WeasyPrint", naive_photos, "cpu", "0.50")
        pages = [naive_report, estimate, photos_html]
        all_originals, naive = in_turns(lambda: bench.ours(*KINDS), peer(peers.naive_sequence, pages, bench.originals))
        row("four documents, originals", all_originals, "naive sequence", naive, "wall", "0.30, then 0.25")
    (ours,) = in_turns(lambda: bench.ours("photos-pdf"))
    row("photos PDF, prepared", ours, "bare WeasyPrint on originals", naive_photos, "wall", "0.15")
    (ours,) = in_turns(lambda: bench.ours(*KINDS))
    row("four documents, prepared", ours, "naive sequence", naive, "wall", "0.12")

    console.print(rows)
    peak = max(originals.memory, all_originals.memory) / 2**20
    console.print(
        f"Peak memory of a child with {PHOTOS} originals: {peak:.0f} MiB (target 160); "
        f"bare WeasyPrint {naive_photos.memory / 2**20:.0f} MiB"
    )
