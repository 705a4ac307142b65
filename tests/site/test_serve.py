"""The command ``serve`` starts all processes of a site, and ends them."""

import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests import family
from tests.cast import YEAR
from tests.running import Site, wait_until

OWN = f"ASM-{YEAR}-001"

StartSite = Callable[..., Site]


def serve(site: Site) -> int:
    assert site.process
    return site.process.pid


def generate(site: Site) -> None:
    with site.login("assessor") as client:
        client.post(f"/assessments/{OWN}/documents/generate/")


def test_serve_starts_one_web_the_workers_and_one_sweep(site_with: StartSite) -> None:
    site = site_with(WORKERS="2")
    wait_until(lambda: len(family.children(serve(site))) == 4, "the children are not there")
    assert [len(family.named(serve(site), name)) for name in ("web", "worker", "sweep")] == [1, 2, 1]


def test_workers_have_a_lower_priority_than_the_web(site: Site) -> None:
    (web,) = wait_until(lambda: family.named(serve(site), "web"), "no web runs")
    (worker,) = wait_until(lambda: family.named(serve(site), "worker"), "no worker runs")
    wait_until(lambda: family.niceness(worker) > family.niceness(web) == 0, "the worker goes first")
    # The children of the worker have the same niceness: a fork server is there by then.
    assert {family.niceness(pid) for pid in family.descendants(worker)} == {family.niceness(worker)}
    # Linux shares the processors out among sessions first: niceness counts within a session alone.
    assert os.getsid(worker) == os.getsid(web)


def test_health_names_the_part_that_does_not_answer(site: Site) -> None:
    with site.login("assessor") as client:
        health = wait_until(
            lambda: (answer := client.get("/healthz")).status_code == 200 and answer, "it is not healthy"
        )
        assert health.json()["healthy"]
        (sweep,) = family.named(serve(site), "sweep")
        site.freeze(sweep)
        sick = wait_until(
            lambda: (answer := client.get("/healthz")).status_code == 503 and answer, "it stays healthy", 30
        )
        assert sick.json() == {
            "healthy": False,
            "database": "alive",
            "channel layer": "alive",
            "workers": "alive",
            "sweep": "not answering",
        }
        assert client.get("/readyz").status_code == 200
        os.kill(sweep, signal.SIGCONT)


def test_each_dead_child_is_started_again_and_leaves_no_temporary_files(start_site: StartSite) -> None:
    with tempfile.TemporaryDirectory() as folder:
        site = start_site(TMPDIR=folder)
        left = uploads_in(folder)
        assert_each_is_started_again(site)
        wait_until(lambda: not [path for path in left if path.exists()], "temporary files are left")
        site.stop()
        assert list(Path(folder).iterdir()) == []


def test_a_killed_serve_leaves_temporary_files_only_until_the_next_start(start_site: StartSite) -> None:
    with tempfile.TemporaryDirectory() as folder:
        site = start_site(TMPDIR=folder)
        left = uploads_in(folder)
        assert site.process
        site.process.kill()
        site.process.wait()
        site.wait_until_gone()
        assert all(path.exists() for path in left)
        site.start()
        wait_until(lambda: not [path for path in left if path.exists()], "temporary files are left")
        assert {path.parent for path in uploads_in(folder)}.isdisjoint(path.parent for path in left)


def uploads_in(folder: str) -> list[Path]:
    """Put a file into each process's folder of temporary files; return the files."""
    folders = wait_until(
        lambda: len(found := list(Path(folder).glob("assessments-files-*"))) == 2 and found, "a folder is missing"
    )
    assert {path.name.split("-")[2] for path in folders} == {"web", "worker"}
    uploads = [path / "upload" for path in folders]
    for path in uploads:
        path.touch()
    return uploads


def assert_each_is_started_again(site: Site) -> None:
    for name in ("web", "worker", "sweep"):
        (old,) = wait_until(lambda name=name: family.named(serve(site), name), f"no {name} runs")
        os.kill(old, signal.SIGKILL)
        wait_until(lambda name=name, old=old: family.named(serve(site), name) not in ([], [old]), f"no new {name}")
    wait_until(site.ready, "the site does not answer")


# While a file named by the pid of a process lies beside this module, the kernel refuses that process each fork.
REFUSING = """
import errno, os
fork, here = os.fork, os.path.dirname(__file__)
def refused_at_times():
    if os.path.exists(f"{here}/{os.getpid()}"):
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return fork()
os.fork = refused_at_times
"""


def test_a_fork_that_fails_is_tried_again_and_the_document_in_hand_is_made(
    start_site: StartSite, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(REFUSING)
    site = start_site(PYTHONPATH=str(tmp_path))
    (worker,) = wait_until(lambda: family.named(serve(site), "worker"), "no worker runs")
    generate(site)
    renderer = family.hold_renderer(worker)
    (sweep,) = family.named(serve(site), "sweep")
    refusal = tmp_path / str(serve(site))
    refusal.touch()
    os.kill(sweep, signal.SIGKILL)
    wait_until(
        lambda: site.log.read_text().count("sweep did not start (Resource temporarily unavailable)") > 1,
        "no second try",
    )
    assert "it starts again in 2.0 s" in site.log.read_text()
    assert family.running(worker)
    refusal.unlink()
    wait_until(lambda: family.named(serve(site), "sweep"), "no new sweep")
    os.kill(renderer, signal.SIGCONT)
    wait_until(lambda: set(site.statuses(OWN).values()) == {"success"}, "the documents are not made")
    assert site.rows("SELECT outcome FROM assessments_attempt WHERE outcome <> 'success'") == []
    assert family.named(serve(site), "worker") == [worker]


def test_no_process_outlives_a_killed_serve(site_with: StartSite) -> None:
    site = site_with(WORKERS="2")
    process = site.process
    assert process
    worker = wait_until(lambda: family.named(process.pid, "worker"), "no worker runs")[0]
    site.freeze(wait_until(lambda: family.named(process.pid, "worker"), "no worker runs")[1])
    generate(site)
    family.hold_renderer(worker)
    process.kill()
    process.wait()
    site.wait_until_gone()


def test_a_port_in_use_and_a_bad_number_are_reported_in_one_line(site: Site) -> None:
    for arguments, words in (
        (["--port", str(site.port)], "Choose another with --port or PORT."),
        (["--port", "70000"], "it must be from 1 to 65535"),
        (["--port", "0", "--workers", "0"], "it must be from 1 to 64"),
    ):
        done = site.manage("serve", *arguments, check=False)
        assert done.returncode == 2
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
