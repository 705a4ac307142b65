"""Several machines are one site: pages, clicks and downloads work on each machine, even while another is away."""

import io
import os
import shutil
import signal
import subprocess
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import psycopg
from playwright.sync_api import Page, expect

from tests import cast, family
from tests.crash.scene import OWN
from tests.crash.viewer import Viewer, nothing_missed, nothing_twice
from tests.running import PATIENCE, Site, wait_until

from . import DATABASE, Stack

# Seconds that a page may be without its stream in a rolling restart, with the viewer's own pause.
AWAY = 2.0
GENERATE = f"/assessments/{OWN}/documents/generate/"


def all_made(stack: Stack, number: str = OWN) -> bool:
    return set(stack.statuses(number).values()) == {"success"}


def more_assessments(stack: Stack, count: int) -> list[str]:
    """Make assessments with one small photo each; return their numbers."""
    numbers: list[str] = stack.python(
        "import json; from tests import cast; from django.contrib.auth.models import User\n"
        "assessor = User.objects.get(username='assessor')\n"
        f"print(json.dumps([cast.make_assessment(assessor, photos=1).number for _ in range({count})]))"
    )
    return numbers


@contextmanager
def documents_locked(stack: Stack) -> Iterator[None]:
    """Lock the documents, so that every writer waits."""
    with psycopg.connect(stack.postgresql.url(DATABASE)) as server:
        server.execute("LOCK TABLE assessments_document IN EXCLUSIVE MODE")
        yield


def waiting(stack: Stack) -> list[int]:
    """Return the ports of the database's clients that wait for a lock."""
    return [
        row["client_port"]
        for row in stack.rows("SELECT client_port FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    ]


def web(machine: Site) -> int:
    assert machine.process
    serve = machine.process.pid
    return int(wait_until(lambda: family.named(serve, "web"), "no web runs")[0])


class Click(threading.Thread):
    """One POST, which may have to wait for its answer."""

    def __init__(self, client: httpx.Client) -> None:
        super().__init__(daemon=True)
        self.client = client
        self.answer: httpx.Response | None = None
        self.start()

    def run(self) -> None:
        self.answer = self.client.post(GENERATE)


def test_a_viewer_on_one_web_sees_a_click_on_the_other_web_at_once(stack: Stack) -> None:
    first, second = stack.machines
    viewer = Viewer(first, OWN)
    viewer.start()
    wait_until(lambda: viewer.opened, "the page is not open")
    with second.login("assessor") as client:
        assert client.post(GENERATE).status_code == 302
    clicked = time.monotonic()
    wait_until(lambda: viewer.events, "nothing is seen")
    # Without Redis the change would be seen at the relay's next query, 5 seconds after the last.
    assert time.monotonic() - clicked < 4
    wait_until(lambda: all_made(stack), "the documents are not made", 60)
    wait_until(lambda: nothing_missed(viewer), "the page misses a change")
    assert nothing_twice(viewer)
    viewer.over = True


def test_nginx_sends_only_the_files_that_a_web_hands_over(stack: Stack) -> None:
    with stack.login("assessor") as client:
        path = f"/assessments/{OWN}/documents/photos-zip/"
        # When this test runs alone, no test before it has requested the documents.
        if not all_made(stack):
            client.post(GENERATE)
            wait_until(lambda: all_made(stack), "the documents are not made", 60)
        whole, part = client.get(path), client.get(path, headers={"Range": "bytes=10-19"})
        assert (whole.status_code, whole.headers["content-type"]) == (200, "application/zip")
        assert len(zipfile.ZipFile(io.BytesIO(whole.content)).namelist()) >= 3
        assert (part.status_code, part.content) == (206, whole.content[10:20])
        (name,) = [
            row["file"] for row in stack.rows("SELECT file FROM assessments_documentversion WHERE file LIKE '%.zip'")
        ]
        assert (stack.folder / "media" / name).read_bytes() == whole.content
        assert client.get(f"/_media/{name}").status_code == 404
    with stack.login("stranger") as client:
        assert client.get(path).status_code == 404


def test_a_click_gets_its_answer_although_its_web_is_told_to_end(stack: Stack) -> None:
    first, _ = stack.machines
    told = web(first)
    with first.login("assessor") as client:
        with documents_locked(stack):
            click = Click(client)
            wait_until(lambda: waiting(stack), "nobody waits")
            os.kill(told, signal.SIGTERM)
            wait_until(lambda: refused(first), "the web still lets people in")
            # Requests of other people still succeed.
            with stack.login("assessor") as other:
                assert [other.get("/assessments/").status_code for _ in range(4)] == [200] * 4
            assert click.answer is None
            assert family.running(told)
        click.join(10)
        assert click.answer is not None
        assert click.answer.status_code == 302
    wait_until(lambda: not family.running(told), "the web does not end")
    wait_until(first.ready, "the web does not come back")


def refused(machine: Site) -> bool:
    try:
        httpx.get(f"{machine.url}/readyz", timeout=PATIENCE)
    except httpx.ConnectError:
        return True
    return False


def test_a_click_whose_web_is_killed_is_not_made_a_second_time(stack: Stack) -> None:
    wait_until(lambda: all_made(stack), "the documents are not made", 60)
    before = stack.rows("SELECT revision FROM assessments_assessment WHERE number = ?", OWN)
    with stack.login("assessor") as client:
        with documents_locked(stack):
            click = Click(client)
            (port,) = wait_until(lambda: waiting(stack), "nobody waits")
            (asked,) = [pid for pid in map(web, stack.machines) if port in family.ports(pid)]
            os.kill(asked, signal.SIGKILL)
            click.join(10)
            # PostgreSQL does not know yet that the killed web is gone. A repeated click would wait on another port.
            assert set(waiting(stack)) <= {port}
        assert click.answer is not None
        assert click.answer.status_code == 503
        assert "look first whether it was heard" in click.answer.text
    assert stack.rows("SELECT revision FROM assessments_assessment WHERE number = ?", OWN) == before
    for machine in stack.machines:
        wait_until(machine.ready, "the web does not come back")


def test_a_web_that_hangs_is_left_out_and_no_click_is_lost(stack: Stack) -> None:
    numbers = more_assessments(stack, 6)
    hanging = stack.machines[0]
    asked = "SELECT count(*) AS times FROM assessments_auditentry WHERE action = 'requested' AND number = ANY(?)"
    with stack.login("assessor") as client:
        hanging.freeze(web(hanging))
        try:
            # Half of these requests would wait for two minutes, longer than the client waits.
            for number in numbers:
                assert client.get(f"/assessments/{number}/").status_code == 200
                assert client.post(f"/assessments/{number}/documents/generate/").status_code == 302
            assert stack.rows(asked, numbers) == [{"times": len(numbers)}]
            wait_until(lambda: all(all_made(stack, number) for number in numbers), "documents are not made", 90)
        finally:
            os.kill(web(hanging), signal.SIGCONT)
        # The web that goes on has got no click that it could carry out a second time, and is asked again.
        wait_until(hanging.ready, "the web does not come back")
        assert stack.rows(asked, numbers) == [{"times": len(numbers)}]
        assert all(all_made(stack, number) for number in numbers)


class Clicks(threading.Thread):
    """A person who requests the documents of one assessment after another, and presses another button in between."""

    def __init__(self, stack: Stack, numbers: list[str]) -> None:
        super().__init__(daemon=True)
        self.stack = stack
        self.numbers = numbers
        self.answers: Counter[int | str] = Counter()
        self.slowest = 0.0
        self.over = False

    def run(self) -> None:
        with self.stack.login("assessor") as client:
            for number in self.numbers:
                self.press(client, f"/assessments/{number}/documents/generate/")
                self.press(client, f"/assessments/{OWN}/documents/cancel/")
            while not self.over:
                self.press(client, f"/assessments/{OWN}/documents/cancel/")

    def press(self, client: httpx.Client, path: str) -> None:
        begun = time.monotonic()
        try:
            self.answers[client.post(path).status_code] += 1
        except httpx.TransportError as error:
            self.answers[repr(error)] += 1
        self.slowest = max(self.slowest, time.monotonic() - begun)
        time.sleep(0.25)


def test_a_rolling_restart_loses_no_click_no_document_and_no_stream(stack: Stack) -> None:
    numbers = more_assessments(stack, 8)
    viewers = [Viewer(stack, number) for number in numbers[:6]]
    clicks = Clicks(stack, numbers)
    for thread in (*viewers, clicks):
        thread.start()
    wait_until(lambda: all(viewer.opened for viewer in viewers), "not every page is open")
    for machine in stack.machines:
        machine.stop()
        machine.start()
    clicks.over = True
    clicks.join(30)
    assert set(clicks.answers) == {302}, clicks.answers
    wait_until(lambda: all(all_made(stack, number) for number in numbers), "documents are not made", 60)
    versions = stack.rows(
        "SELECT a.number AS number, v.number AS version FROM assessments_documentversion v "
        "JOIN assessments_document d ON d.id = v.document_id JOIN assessments_assessment a ON a.id = d.assessment_id "
        "WHERE a.number = ANY(?)",
        numbers,
    )
    assert Counter((row["number"], row["version"]) for row in versions) == {(number, 1): 4 for number in numbers}
    wait_until(lambda: all(map(nothing_missed, viewers)), "a page misses a change")
    assert all(map(nothing_twice, viewers))
    gaps = [gap for viewer in viewers for gap in viewer.gaps]
    print(f"{sum(clicks.answers.values())} clicks, the slowest {clicks.slowest:.2f} s; gaps {sorted(gaps)}")
    assert gaps
    assert max(gaps) < AWAY
    for viewer in viewers:
        viewer.over = True


def test_an_assessor_signs_in_and_gets_documents_through_nginx(stack: Stack, open_page: Callable[..., Page]) -> None:
    (number,) = more_assessments(stack, 1)
    page = open_page(stack, None, "/")
    page.get_by_label("User name").fill("assessor")
    page.get_by_label("Password").fill(cast.PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name=number).click()
    page.get_by_role("button", name="Generate all documents").click()
    expect(page.locator("#documents")).to_have_attribute("data-outcome", "complete", timeout=60_000)
    for slug in ("report", "estimate", "photos-pdf", "photos-zip"):
        expect(page.locator(f"#document-{slug}")).to_have_attribute("data-status", "success")
    with page.expect_download() as download:
        page.locator("#document-photos-zip").get_by_role("link").first.click()
    assert zipfile.is_zipfile(download.value.path())


def test_a_back_up_taken_amid_the_work_is_restored_and_the_work_goes_on(stack: Stack) -> None:
    numbers = more_assessments(stack, 3)
    dump, media = stack.folder / "dump", stack.folder / "media"
    with stack.login("assessor") as client:
        for number in numbers:
            client.post(f"/assessments/{number}/documents/generate/")
        client.post(GENERATE)
        wait_until(lambda: "success" in stack.statuses(numbers[0]).values(), "no document is made")
        # The rows are copied first: then each file that a row names is there when the files are copied.
        postgresql(stack, "pg_dump", "--format=custom", f"--file={dump}", stack.postgresql.url(DATABASE))
        shutil.copytree(media, stack.folder / "copy")
        assert not all(all_made(stack, number) for number in numbers)
        wait_until(lambda: all(all_made(stack, number) for number in numbers), "the documents are not made", 60)
        wait_until(lambda: all_made(stack), "the documents are not made", 60)
    viewer = Viewer(stack, numbers[0])
    viewer.start()
    wait_until(lambda: nothing_missed(viewer), "the page is not up to date")
    seen = viewer.revision

    for machine in stack.machines:
        machine.stop()
    stack.postgresql.drop(DATABASE)
    stack.postgresql.create(DATABASE, template="template1")
    postgresql(stack, "pg_restore", "--exit-on-error", f"--dbname={stack.postgresql.url(DATABASE)}", str(dump))
    shutil.rmtree(media)
    (stack.folder / "copy").rename(media)
    viewer.events.clear()
    for machine in stack.machines:
        machine.start()

    for number in (*numbers, OWN):
        wait_until(lambda number=number: all_made(stack, number), f"{number} is not made", 90)
    with stack.login("assessor") as client:
        for number in (*numbers, OWN):
            for slug in stack.statuses(number):
                assert client.get(f"/assessments/{number}/documents/{slug}/").status_code == 200
    wait_until(lambda: nothing_missed(viewer), "the page misses a change")
    viewer.over = True
    # A page that was open all the time knows a later revision than the restored database.
    late = Viewer(stack, numbers[0])
    late.since = seen + 1000
    late.start()
    wait_until(lambda: nothing_missed(late), "the page misses a change")
    late.over = True


def postgresql(stack: Stack, program: str, *arguments: str) -> None:
    subprocess.run([stack.postgresql.program.with_name(program), *arguments], check=True, timeout=60)
