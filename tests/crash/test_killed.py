"""Real processes, really killed in the middle of a document: nothing is lost, nothing is made twice."""

import os
import signal
from collections.abc import Callable
from datetime import date

from tests import family
from tests.running import Site, wait_until

YEAR = date.today().year  # noqa: DTZ011
OWN = f"ASM-{YEAR}-001"

StartSite = Callable[..., Site]


def serve(site: Site) -> int:
    assert site.process
    return site.process.pid


def workers(site: Site) -> list[int]:
    return wait_until(lambda: family.named(serve(site), "worker"), "no worker runs")  # type: ignore[no-any-return]


def generate(site: Site, *kinds: str) -> None:
    with site.login("assessor") as client:
        if not kinds:
            client.post(f"/assessments/{OWN}/documents/generate/")
        for kind in kinds:
            client.post(f"/assessments/{OWN}/documents/{kind}/retry/")


def all_made(site: Site) -> bool:
    return set(site.statuses(OWN).values()) == {"success"}


def versions(site: Site) -> list[int]:
    return [row["number"] for row in site.rows("SELECT number FROM assessments_documentversion ORDER BY id")]


def outcomes(site: Site, kind: str = "report") -> list[str]:
    query = (
        "SELECT outcome FROM assessments_attempt t JOIN assessments_document d ON d.id = t.document_id "
        "WHERE d.kind = ? ORDER BY t.id"
    )
    return [row["outcome"] for row in site.rows(query, kind)]


def stored_files(site: Site) -> int:
    return sum(path.is_file() for path in (site.data_dir / "media" / "documents").rglob("*"))


def test_another_worker_finishes_what_a_killed_one_began(start_site: StartSite) -> None:
    site = start_site(WORKERS="2", LEASE_SECONDS="3")
    stray = site.data_dir / "work" / ".stray"
    stray.parent.mkdir(exist_ok=True)
    stray.touch()
    first, second = workers(site)
    site.freeze(second)
    generate(site)
    renderer = family.hold_renderer(first)
    os.kill(first, signal.SIGKILL)
    os.kill(second, signal.SIGCONT)
    wait_until(lambda: not family.running(renderer), "the renderer outlives its worker", 5)
    wait_until(lambda: all_made(site), "the documents are not made")
    assert outcomes(site) == ["lost", "success"]
    assert versions(site) == [1, 1, 1, 1]
    assert stored_files(site) == 4
    wait_until(lambda: list((site.data_dir / "work").iterdir()) == [stray], "work folders are left")


def test_a_killed_worker_is_started_again(start_site: StartSite) -> None:
    site = start_site(LEASE_SECONDS="3")
    (worker,) = workers(site)
    generate(site)
    family.hold_renderer(worker)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: all_made(site), "the documents are not made")
    assert workers(site) != [worker]


def test_a_killed_renderer_is_replaced_and_the_worker_lives_on(start_site: StartSite) -> None:
    site = start_site()
    (worker,) = workers(site)
    generate(site)
    os.kill(family.hold_renderer(worker), signal.SIGKILL)
    wait_until(lambda: all_made(site), "the documents are not made")
    assert outcomes(site) == ["error", "success"]
    assert workers(site) == [worker]


def test_a_renderer_that_dies_three_times_fails_with_a_plain_reason(start_site: StartSite) -> None:
    site = start_site()
    (worker,) = workers(site)
    generate(site, "report")
    for _ in range(3):
        os.kill(family.hold_renderer(worker), signal.SIGKILL)
    wait_until(lambda: site.statuses(OWN)["report"] == "error", "it does not fail")
    (row,) = site.rows("SELECT error FROM assessments_document WHERE kind = 'report' AND status = 'error'")
    assert row["error"].startswith("The process that made this stopped unexpectedly")
    assert outcomes(site) == ["error", "error", "error"]
    generate(site)
    wait_until(lambda: all_made(site), "the documents are not made")


def test_a_worker_that_slept_through_its_lease_writes_nothing(start_site: StartSite) -> None:
    site = start_site(WORKERS="2", LEASE_SECONDS="3")
    first, second = workers(site)
    site.freeze(second)
    generate(site, "report")
    renderer = family.hold_renderer(first)
    os.kill(first, signal.SIGSTOP)
    os.kill(second, signal.SIGCONT)
    wait_until(lambda: site.statuses(OWN)["report"] == "success", "the other worker does not make it")
    os.kill(renderer, signal.SIGCONT)
    os.kill(first, signal.SIGCONT)
    wait_until(lambda: not family.running(renderer), "the late renderer goes on", 10)
    generate(site, "estimate")
    wait_until(lambda: site.statuses(OWN)["estimate"] == "success", "the worker does not go on")
    assert versions(site) == [1, 1]
    assert stored_files(site) == 2
    assert outcomes(site) == ["lost", "success"]


def test_a_hung_generator_ends_at_its_deadline(start_site: StartSite) -> None:
    site = start_site(DOCUMENT_DEADLINE="2", LEASE_SECONDS="30")
    (worker,) = workers(site)
    generate(site)
    renderer = family.hold_renderer(worker)
    wait_until(lambda: site.statuses(OWN)["report"] == "error", "it is not ended", 10)
    assert not family.running(renderer)
    (row,) = site.rows("SELECT error FROM assessments_document WHERE status = 'error'")
    assert row["error"].startswith("This took longer than 2 seconds and was stopped.")
    wait_until(lambda: site.statuses(OWN)["photos-zip"] == "success", "the others are not made")
    assert workers(site) == [worker]


def test_cancelling_ends_the_running_renderer_within_a_second(start_site: StartSite) -> None:
    site = start_site(LEASE_SECONDS="30")
    (worker,) = workers(site)
    generate(site)
    renderer = family.hold_renderer(worker)
    with site.login("assessor") as client:
        client.post(f"/assessments/{OWN}/documents/cancel/")
    wait_until(lambda: set(site.statuses(OWN).values()) == {"idle"}, "it is not cancelled", 1)
    wait_until(lambda: not family.running(renderer), "the renderer goes on", 1)
    assert outcomes(site) == ["cancelled"]
    generate(site)
    wait_until(lambda: all_made(site), "the documents are not made")


ADD_HUGE_PHOTO = f"""
import io
from PIL import Image
from tests import cast
from assessments.models import Assessment
file = io.BytesIO()
Image.new("RGB", (9000, 6000), "teal").save(file, "PNG")
cast.add_photo(Assessment.objects.get(number="{OWN}"), file.getvalue(), "IMG_0099.png")
"""


def test_a_generator_over_its_memory_limit_fails_alone_and_says_so(start_site: StartSite) -> None:
    site = start_site(DOCUMENT_MEMORY_MIB="100")
    (worker,) = workers(site)
    site.python(ADD_HUGE_PHOTO)
    generate(site)
    wait_until(lambda: site.statuses(OWN)["photos-zip"] == "success", "the others are not made")
    assert site.statuses(OWN)["photos-pdf"] == "error"
    (row,) = site.rows("SELECT error FROM assessments_document WHERE kind = 'photos-pdf' AND status = 'error'")
    assert row["error"].startswith("This needs more memory than the 100 MiB allowed for one document.")
    assert workers(site) == [worker]
