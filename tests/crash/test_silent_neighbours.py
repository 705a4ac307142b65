"""A silent mail server or bucket delays no document, and no recovery of a document."""

import os
import signal
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import family
from tests.running import Site, wait_until
from tests.servers import S3

from .scene import YEAR, ask, outcomes, serve, workers

WITHOUT_PHOTOS = f"ASM-{YEAR}-003"
LEASE = 4
# Seconds in which a killed worker's document is free again: its lease, a round of the sweep, and a busy machine.
RECOVERED = LEASE + 8.0
# Batches whose failures are to be mailed.
STAGE_FAILURES = """
from django.contrib.auth.models import User
from django.db.models.functions import Now
from assessments.models import Assessment, Batch, Document
person = User.objects.get(username="assessor")
for _ in range(56):
    assessment = Assessment.objects.create(assessor=person)
    batch = Batch.objects.create(assessment=assessment, requested_by=person, origin="page")
    assessment.documents.filter(kind="report").update(status="error", error="Broken.", batch=batch, ended_at=Now())
"""

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


class MailServer(socketserver.ThreadingTCPServer):
    """Takes connections, and answers each line after ``pause`` seconds; with None, never answers."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, pause: float | None) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.pause = pause
        self.calls = 0
        self.over = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def settings(self) -> dict[str, str]:
        return {"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": str(self.server_address[1])}


class Conversation(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.server.calls += 1
        answer = b"220 ready\r\n"
        while not self.server.over.wait(self.server.pause):
            self.wfile.write(answer)
            answer = b"354 go on\r\n" if (line := self.rfile.readline()).startswith(b"data") else b"250 good\r\n"
            if not line:
                return


@pytest.fixture(params=[None, 10.0], ids=["never answers", "answers after 10 s"])
def mail_server(request: pytest.FixtureRequest) -> Iterator[MailServer]:
    with MailServer(request.param) as server:
        yield server
        server.over.set()
        server.shutdown()


@pytest.fixture
def bucket(site_template: Path) -> Iterator[S3]:
    server = S3()
    server.start()
    # The site's id is copied into the bucket, as for a move of the site's files.
    server.client.put_object(
        Bucket=server.bucket, Key="site-id", Body=(site_template / "media" / "site-id").read_bytes()
    )
    yield server
    server.remove()


def test_a_slow_mail_server_delays_no_recovery_and_no_worker(
    start_site: Callable[..., Site], mail_server: MailServer
) -> None:
    site = start_site(LEASE_SECONDS=str(LEASE), **mail_server.settings)
    site.python(STAGE_FAILURES)
    wait_until(lambda: mail_server.calls, "no mail is sent")
    (worker,) = workers(site)
    with site.login("assessor") as client:
        client.post(f"/assessments/{WITHOUT_PHOTOS}/documents/photos-pdf/retry/")
    wait_until(lambda: site.statuses(WITHOUT_PHOTOS)["photos-pdf"] == "error", "it does not fail")
    ask(site, "estimate")
    # The worker has gone on to the next document, without waiting for the mail server.
    family.hold_renderer(worker, 15)
    is_recovered(site, worker)
    wait_until(lambda: outcomes(site, "estimate")[-1] == "success", "it is not made again", 60)


def test_a_hanging_bucket_delays_no_recovery(start_site: Callable[..., Site], bucket: S3) -> None:
    site = start_site(LEASE_SECONDS=str(LEASE), **bucket.settings)
    (first,) = workers(site)
    ask(site, "estimate")
    family.hold_renderer(first)
    # What this one leaves, the sweep tries to remove again and again.
    with ThreadPoolExecutor(1) as pool:
        # The next worker begins as soon as the document is free.
        held = pool.submit(hold_next, site, first)
        is_recovered(site, first)
        second = held.result()
    assert bucket.process
    bucket.process.send_signal(signal.SIGSTOP)
    time.sleep(2 * LEASE)
    is_recovered(site, second)
    bucket.process.send_signal(signal.SIGCONT)
    wait_until(lambda: site.statuses(f"ASM-{YEAR}-001")["estimate"] == "success", "it is not made again", 60)


def hold_next(site: Site, worker: int) -> int:
    """Stop the renderer of the worker that comes after one; return that worker."""

    def look() -> int:
        return next((pid for pid in family.named(serve(site), "worker") if pid != worker), 0)

    following = int(wait_until(look, "no other worker runs"))
    family.hold_renderer(following)
    return following


def is_recovered(site: Site, worker: int) -> None:
    """Kill a worker that makes a document, and check that the document is soon free for another worker."""
    before = outcomes(site, "estimate").count("lost")
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: outcomes(site, "estimate").count("lost") > before, "it is not recovered", RECOVERED)


def test_the_mail_comes_within_seconds_after_the_batch_has_ended(site: Site) -> None:
    with site.login("assessor") as client:
        client.post(f"/assessments/{WITHOUT_PHOTOS}/documents/photos-pdf/retry/")
    wait_until(lambda: site.statuses(WITHOUT_PHOTOS)["photos-pdf"] == "error", "it does not fail")
    folder = site.data_dir / "mail"
    wait_until(lambda: [path for path in folder.glob("*") if b"1 document failed" in path.read_bytes()], "no mail", 30)
    assert len(list(folder.glob("*"))) == 1
