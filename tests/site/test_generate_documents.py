"""The command that generates documents: real processes, in a terminal and without one."""

import fcntl
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from assessments.processes import die_with_parent
from tests import family, staging
from tests.cast import YEAR
from tests.running import ROOT, Site, run_manage, wait_until

OWN, WITHOUT_PHOTOS = f"ASM-{YEAR}-001", f"ASM-{YEAR}-003"
LABELS = {"report": "Assessment Report", "estimate": "Estimate", "photos-pdf": "Photos PDF", "photos-zip": "Photos ZIP"}
NO_PHOTOS = "This assessment has no photos. Add photos, then retry."
INTERRUPTED = 130
# The bars hide the cursor while they are shown.
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"

StartSite = Callable[..., Site]


@pytest.fixture
def idle(site_template: Path, tmp_path: Path) -> Iterator[Site]:
    """Give a site that is not started: only the command can make its documents."""
    site = Site(site_template, tmp_path / "idle")
    yield site
    site.stop()
    site.wait_until_gone()


class Terminal:
    """A terminal in which the command runs; its output is read all the time."""

    def __init__(self, site: Site, *arguments: str, **environment: str) -> None:
        self.screen, keyboard = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "generate_documents", *arguments],
            cwd=ROOT,
            env=site.environment | {"TERM": "xterm", "COLUMNS": "100"} | environment,
            stdin=keyboard,
            stdout=keyboard,
            stderr=keyboard,
            start_new_session=True,
            preexec_fn=partial(take_terminal, os.getpid()),
        )
        os.close(keyboard)
        self.shown = b""
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self) -> None:
        while True:
            try:
                self.shown += os.read(self.screen, 65536)
            except OSError:
                # No process holds the other end of the terminal any more.
                return

    @property
    def text(self) -> str:
        return self.shown.decode()

    @property
    def lines(self) -> list[str]:
        """The lines below the bars, without escape sequences."""
        below = self.text.rpartition(SHOW_CURSOR)[2]
        return re.sub(r"\x1b\[[0-9;?]+[a-z]", "", below, flags=re.IGNORECASE).splitlines()

    def press_ctrl_c(self) -> None:
        os.write(self.screen, b"\x03")

    def end(self, patience: float = 60) -> int:
        code = self.process.wait(patience)
        self.reader.join(patience)
        return code

    def close(self) -> None:
        self.process.kill()
        self.end()
        os.close(self.screen)


def take_terminal(parent: int) -> None:
    """Make standard input the terminal whose keys send signals, and end this process with the tests."""
    # A suite that runs in the background ignores Ctrl-C, and its children would, too.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    die_with_parent(parent)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@contextmanager
def terminal(site: Site, *arguments: str, **environment: str) -> Iterator[Terminal]:
    opened = Terminal(site, *arguments, **environment)
    try:
        yield opened
    finally:
        opened.close()


Run = Callable[..., subprocess.CompletedProcess[str]]


def generate(site: Site, *arguments: str, run: Run = staging.manage) -> tuple[int, list[str]]:
    """Run the command without a terminal; return its exit code and its lines. Only the log may go to stderr."""
    done = run(site.environment, "generate_documents", *arguments)
    logged = re.compile(r" INFO assessments\.documents\.worker: ")
    assert all(logged.search(line) for line in done.stderr.splitlines()), done.stderr
    return done.returncode, done.stdout.splitlines()


def assert_lists_the_file(line: str, kind: str) -> None:
    """Check that a line of the summary names the document's file, which exists, and its size."""
    match = re.fullmatch(rf"{LABELS[kind]}: (/.+) \(([0-9.]+) KB\)", line)
    assert match, line
    assert f"/{kind}/" in match[1]
    assert Path(match[1]).stat().st_size / 1024 == pytest.approx(float(match[2]), abs=0.051)


def full_bar(part: str) -> str:
    """Return the expression for the full, coloured bar of a document."""
    return rf"\x1b\[[0-9;]+m{part}{{40}}\x1b\[0m \x1b\[\d+m100%"


def versions(site: Site) -> list[tuple[str, int]]:
    """Return the kind and the number of each version, in the order of their making."""
    rows = site.rows(
        "SELECT d.kind AS kind, v.number AS number FROM assessments_documentversion v "
        "JOIN assessments_document d ON d.id = v.document_id ORDER BY v.id"
    )
    return [(row["kind"], row["number"]) for row in rows]


ONE_EACH = [(kind, 1) for kind in LABELS]


def all_made(site: Site) -> bool:
    return set(site.statuses(OWN).values()) == {"success"}


def worker(site: Site) -> int:
    assert site.process
    serve = site.process.pid
    (found,) = wait_until(lambda: family.named(serve, "worker"), "no worker runs")
    return int(found)


# All made, some made, or none


def test_a_worker_makes_all_four_and_the_exit_code_is_0(site: Site) -> None:
    code, lines = generate(site, OWN, run=run_manage)
    assert code == 0
    *told, report, estimate, photos_pdf, photos_zip, last = lines
    for kind, line in zip(LABELS, (report, estimate, photos_pdf, photos_zip), strict=True):
        assert_lists_the_file(line, kind)
    assert last == "4 of 4 documents ready"
    assert "Photos PDF: 3 photos, 2 pages" in told
    # The output has a line for each status of a document, and no bar.
    assert 4 <= len(told) <= 12
    assert not re.search(r"[\x1b\r━%]", "".join(lines))
    assert versions(site) == ONE_EACH


def test_inline_makes_documents_without_a_worker_and_ends_with_1_when_some_failed(idle: Site) -> None:
    code, lines = generate(idle, WITHOUT_PHOTOS, "--inline", run=run_manage)
    assert code == 1
    assert_lists_the_file(lines[-5], "report")
    assert_lists_the_file(lines[-4], "estimate")
    assert lines[-3:] == [f"Photos PDF: {NO_PHOTOS}", f"Photos ZIP: {NO_PHOTOS}", "2 of 4 documents ready"]
    # The command deletes its sign of life: no worker is alive now.
    assert idle.rows("SELECT name FROM assessments_heartbeat WHERE role = 'worker'") == []


def test_a_command_with_only_makes_the_named_documents_alone(idle: Site) -> None:
    code, lines = generate(idle, OWN, "--inline", "--only", "photos-zip")
    assert code == 0
    assert_lists_the_file(lines[-2], "photos-zip")
    assert lines[-1] == "1 of 1 documents ready"
    assert all(line.startswith("Photos ZIP: ") for line in lines[:-1])
    assert versions(idle) == [("photos-zip", 1)]
    code, lines = generate(idle, OWN, "--inline", "--only", "photos-zip", "estimate")
    assert code == 0
    # The summary has the order of the making, not the order of the arguments.
    assert_lists_the_file(lines[-3], "estimate")
    assert_lists_the_file(lines[-2], "photos-zip")
    assert lines[-1] == "2 of 2 documents ready"
    assert versions(idle) == [("photos-zip", 1), ("estimate", 1), ("photos-zip", 2)]
    statuses = {"report": "idle", "estimate": "success", "photos-pdf": "idle", "photos-zip": "success"}
    assert idle.statuses(OWN) == statuses
    code, lines = generate(idle, WITHOUT_PHOTOS, "--inline", "--only", "photos-pdf")
    assert (code, lines[-2:]) == (1, [f"Photos PDF: {NO_PHOTOS}", "0 of 1 documents ready"])


def test_a_cancelled_document_with_an_older_file_does_not_count_as_made(site: Site) -> None:
    assert generate(site, OWN, "--only", "report")[0] == 0
    with terminal(site, OWN, "--only", "report") as following, site.login("assessor") as client:
        family.hold_renderer(worker(site))
        client.post(f"/assessments/{OWN}/documents/cancel/")
        assert following.end() == 1
        assert following.lines == ["Assessment Report: cancelled", "0 of 1 documents ready"]
    assert site.statuses(OWN)["report"] == "success"


# These bytes are not text.
NO_TEXT = os.fsdecode(b"ASM-\xff")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "There is no assessment nonsense. A number looks like ASM-2026-001."),
        (["ASM-1999-001"], "There is no assessment ASM-1999-001. A number looks like ASM-2026-001."),
        ([NO_TEXT], r"There is no assessment ASM-\udcff. A number looks like ASM-2026-001."),
        (
            [OWN, "--only", "photos"],
            "argument --only: invalid choice: 'photos' (choose from 'report', 'estimate', 'photos-pdf', 'photos-zip')",
        ),
        ([OWN, "--only"], "argument --only: expected at least one argument"),
        ([], "the following arguments are required: number"),
    ],
    ids=["no number", "unknown", "no text", "wrong document", "no document", "nothing"],
)
def test_bad_usage_ends_with_2_and_requests_no_document(idle: Site, arguments: list[str], words: str) -> None:
    run = run_manage if arguments == [NO_TEXT] else staging.manage
    done = run(idle.environment, "generate_documents", *arguments, "--inline")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].partition("rror: ")[2] == words
    assert "Traceback" not in done.stderr
    assert set(idle.statuses(OWN).values()) == {"idle"}


# Several at the same work


def test_a_second_command_joins_the_first(site: Site) -> None:
    with terminal(site, OWN) as first:
        renderer = family.hold_renderer(worker(site))
        with terminal(site, OWN) as second:
            wait_until(lambda: "are being made already; following them" in second.text, "the second does not join")
            os.kill(renderer, signal.SIGCONT)
            assert (first.end(), second.end()) == (0, 0)
        assert "are being made already" not in first.text
    assert versions(site) == ONE_EACH
    assert site.rows("SELECT origin FROM assessments_batch") == [{"origin": "command"}]


def test_inline_and_a_worker_at_the_same_time_make_each_document_once(site: Site) -> None:
    with terminal(site, OWN) as one:
        renderer = family.hold_renderer(worker(site))
        with terminal(site, OWN, "--inline") as other:
            wait_until(lambda: "are being made already; following them" in other.text, "it does not join")
            os.kill(renderer, signal.SIGCONT)
            assert (one.end(), other.end()) == (0, 0)
    assert versions(site) == ONE_EACH
    assert site.rows("SELECT id FROM assessments_attempt WHERE outcome <> 'success'") == []


def test_inline_takes_over_the_documents_of_a_killed_command(idle: Site) -> None:
    with terminal(idle, OWN, "--inline") as killed:
        wait_until(lambda: family.renderers(killed.process.pid), "nothing is being made")
        killed.process.kill()
        code, lines = generate(idle, OWN, "--inline")
    assert (code, lines[-1]) == (0, "4 of 4 documents ready")
    assert versions(idle) == ONE_EACH
    assert idle.rows("SELECT count(*) AS lost FROM assessments_attempt WHERE outcome = 'lost'") == [{"lost": 1}]


def test_the_command_says_that_no_worker_is_running_and_waits_for_one(idle: Site) -> None:
    with terminal(idle, OWN, "--only", "photos-zip") as waiting:
        wait_until(lambda: "No worker is running; this starts as soon as one does" in waiting.text, "it says nothing")
        idle.start()
        assert waiting.end() == 0


# The output


def test_a_terminal_shows_a_bar_for_each_document(idle: Site) -> None:
    with terminal(idle, OWN, "--inline") as shown:
        assert shown.end() == 0
        assert HIDE_CURSOR in shown.text
        for label in LABELS.values():
            assert re.search(rf"{label} +{full_bar('━')}", shown.text), label
        *files, last = shown.lines
        for kind, line in zip(LABELS, files, strict=True):
            assert_lists_the_file(line, kind)
        assert last == "4 of 4 documents ready"
        # The log would tear the bars apart.
        assert " INFO " not in shown.text


ADD_A_BROKEN_PHOTO = f"""
from tests import cast
from assessments.models import Assessment
cast.add_photo(Assessment.objects.get(number="{OWN}"), b"no photo", "Kühler vorn ☂.jpg")
"""


@pytest.mark.parametrize(
    ("encoding", "bar", "photo", "folder"),
    [
        ("utf-8", "━", "Kühler vorn ☂.jpg", "/Gutachten für Jürgen/"),
        ("ascii", "-", r"K\xfchler vorn \u2602.jpg", r"/Gutachten f\xfcr J\xfcrgen/"),
    ],
)
def test_letters_that_the_output_cannot_encode_are_written_as_escapes(
    site_template: Path, tmp_path: Path, encoding: str, bar: str, photo: str, folder: str
) -> None:
    site = Site(site_template, tmp_path / "Gutachten für Jürgen", PYTHONIOENCODING=encoding)
    site.python(ADD_A_BROKEN_PHOTO)
    code, lines = generate(site, OWN, "--inline", "--only", "photos-pdf", run=run_manage)
    assert (code, lines[-1]) == (0, "1 of 1 documents ready")
    assert [line for line in lines if photo in line]
    assert folder in lines[-2]
    with terminal(site, OWN, "--inline", "--only", "photos-pdf", COLUMNS="200") as shown:
        assert shown.end() == 0
        assert re.search(full_bar(bar), shown.text)
        assert photo in shown.text
        assert folder in shown.lines[0]


# Ctrl-C


def test_ctrl_c_ends_the_following_and_not_the_documents(site: Site) -> None:
    with terminal(site, OWN) as followed:
        renderer = family.hold_renderer(worker(site))
        followed.press_ctrl_c()
        assert followed.end() == INTERRUPTED
        assert "Traceback" not in followed.text
        assert followed.lines == ["No longer followed here. What is not made yet is left to a worker."]
    os.kill(renderer, signal.SIGCONT)
    wait_until(lambda: all_made(site), "the documents are not made", 60)
    assert versions(site) == ONE_EACH


def test_ctrl_c_gives_the_documents_of_an_inline_run_to_a_worker(idle: Site) -> None:
    with terminal(idle, OWN, "--inline") as stopped:
        renderer = family.hold_renderer(stopped.process.pid)
        stopped.press_ctrl_c()
        assert stopped.end(15) == INTERRUPTED
        assert "Traceback" not in stopped.text
    assert not family.running(renderer)
    assert set(idle.statuses(OWN).values()) == {"pending"}
    assert list((idle.data_dir / "work").iterdir()) == []
    idle.wait_until_gone()
    idle.start()
    wait_until(lambda: all_made(idle), "no worker goes on with it", 60)
    assert versions(idle) == ONE_EACH
    attempts = idle.rows("SELECT outcome FROM assessments_attempt ORDER BY id")
    assert [row["outcome"] for row in attempts] == ["released", *["success"] * 4]


def test_ctrl_c_while_the_libraries_are_imported_shows_no_traceback(idle: Site) -> None:
    with terminal(idle, OWN, "--inline") as stopped:

        def importing() -> bool:
            servers = [pid for pid in family.children(stopped.process.pid) if "forkserver" in family.command(pid)]
            return any(family.ignores(pid, signal.SIGINT) and not family.maps(pid, "libpango") for pid in servers)

        wait_until(importing, "the fork server imports its libraries and heeds Ctrl-C")
        stopped.press_ctrl_c()
        assert stopped.end(15) == INTERRUPTED
        assert "Traceback" not in stopped.text
    assert set(idle.statuses(OWN).values()) == {"pending"}
