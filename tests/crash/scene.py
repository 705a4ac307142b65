"""The actions and the queries of the tests of faults."""

import os
import signal
import socket
from pathlib import Path
from typing import Any

import httpx

from tests import family
from tests.cast import YEAR
from tests.running import Site, wait_until

# The assessor's assessment with photos.
OWN = f"ASM-{YEAR}-001"


def serve(site: Site) -> int:
    assert site.process
    return site.process.pid


def workers(site: Site) -> list[int]:
    """All workers of a site, as soon as all of them run."""
    number = int(site.environment.get("WORKERS", "1"))

    def look() -> list[int]:
        found = [pid for pid in family.named(serve(site), "worker") if family.running(pid)]
        return found if len(found) == number else []

    return wait_until(look, "a worker is missing")  # type: ignore[no-any-return]


def ask(site: Site, *kinds: str) -> None:
    """Request the documents of some kinds, or all documents."""
    with site.login("assessor") as client:
        paths = [f"{kind}/retry/" for kind in kinds] or ["generate/"]
        for path in paths:
            answer = client.post(f"/assessments/{OWN}/documents/{path}")
            assert (answer.status_code, answer.headers["location"]) == (302, f"/assessments/{OWN}/")


def finishes_its_document_and_leaves_the_rest(site: Site) -> None:
    """End a site with one worker in the middle of the first document, and check that the worker makes no other."""
    (worker,), process = workers(site), site.process
    assert process
    ask(site)
    renderer = family.hold_renderer(worker)
    process.terminate()
    wait_until(lambda: not family.named(serve(site), "web"), "the web process goes on")
    assert family.running(worker)
    os.kill(renderer, signal.SIGCONT)
    assert process.wait(60) == 0
    assert list(site.statuses(OWN).values()) == ["success", "pending", "pending", "pending"]
    site.wait_until_gone()


def ended(site: Site) -> bool:
    return not {"pending", "processing"} & set(site.statuses(OWN).values())


def all_made(site: Site) -> bool:
    return set(site.statuses(OWN).values()) == {"success"}


def make(site: Site, *kinds: str) -> None:
    """Request documents, and wait until each was made or has failed."""
    ask(site, *kinds)
    wait_until(lambda: ended(site), "the documents do not end", 90)


def document(site: Site, kind: str) -> dict[str, Any]:
    """Return one document's row: its status, error, reference, message and the number of its attempts."""
    query = (
        "SELECT d.status AS status, error, reference, message, attempts FROM assessments_document d "
        "JOIN assessments_assessment a ON a.id = d.assessment_id WHERE number = ? AND kind = ?"
    )
    (row,) = site.rows(query, OWN, kind)
    return row


def versions(site: Site) -> list[int]:
    return [row["number"] for row in site.rows("SELECT number FROM assessments_documentversion ORDER BY id")]


def outcomes(site: Site, kind: str = "report") -> list[str]:
    query = (
        "SELECT outcome FROM assessments_attempt t JOIN assessments_document d ON d.id = t.document_id "
        "WHERE d.kind = ? ORDER BY t.id"
    )
    return [row["outcome"] for row in site.rows(query, kind)]


def at_work(site: Site) -> dict[int, list[dict[str, Any]]]:
    """Return, by the pid of each worker at work, its documents and the numbers of their attempts."""
    query = (
        "SELECT d.id AS document, d.attempts AS attempt, t.worker AS worker FROM assessments_attempt t "
        "JOIN assessments_document d ON d.id = t.document_id WHERE d.status = 'processing' AND d.lease_token = t.token"
    )
    made: dict[int, list[dict[str, Any]]] = {}
    for row in site.rows(query):
        host, _, pid = row["worker"].rpartition(":")
        assert host == socket.gethostname()
        made.setdefault(int(pid), []).append(row)
    return made


def stray_files(site: Site) -> set[str]:
    """Return the files in the documents' storage without a version, and the versions without a file."""
    media = Path(site.environment.get("MEDIA_DIR", site.data_dir / "media"))
    stored = {str(path.relative_to(media)) for path in (media / "documents").rglob("*") if path.is_file()}
    return stored ^ {row["file"] for row in site.rows("SELECT file FROM assessments_documentversion")}


def download(site: Site, kind: str) -> httpx.Response:
    with site.login("assessor") as client:
        return client.get(f"/assessments/{OWN}/documents/{kind}/")


def health(site: Site) -> dict[str, Any]:
    with site.login("assessor") as client:
        found: dict[str, Any] = client.get("/healthz").json()
        return found
