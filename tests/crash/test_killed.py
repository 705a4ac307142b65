"""Real processes, really killed in the middle of a document: nothing is lost, nothing is made twice."""

import os
import signal
from collections.abc import Callable

from tests import family
from tests.running import Site, wait_until

from .scene import OWN, all_made, ask, document, outcomes, stray_files, versions, workers

StartSite = Callable[..., Site]


def test_a_worker_that_slept_through_its_lease_writes_nothing(site_with: StartSite) -> None:
    site = site_with(WORKERS="2", LEASE_SECONDS="8")
    first, second = workers(site)
    site.freeze(second)
    ask(site, "report")
    renderer = family.hold_renderer(first)
    site.freeze(first)
    os.kill(second, signal.SIGCONT)
    wait_until(lambda: site.statuses(OWN)["report"] == "success", "the other worker does not make it")
    os.kill(renderer, signal.SIGCONT)
    os.kill(first, signal.SIGCONT)
    wait_until(lambda: not family.running(renderer), "the late renderer goes on")
    ask(site, "estimate")
    wait_until(lambda: site.statuses(OWN)["estimate"] == "success", "the worker does not go on")
    assert versions(site) == [1, 1]
    assert not stray_files(site)
    assert outcomes(site) == ["lost", "success"]


def test_another_worker_finishes_the_documents_of_a_killed_worker(site_with: StartSite) -> None:
    site = site_with(WORKERS="2", LEASE_SECONDS="8")
    stray = site.data_dir / "work" / ".stray"
    stray.parent.mkdir(exist_ok=True)
    stray.touch()
    first, second = workers(site)
    site.freeze(second)
    ask(site)
    renderer = family.hold_renderer(first)
    os.kill(first, signal.SIGKILL)
    os.kill(second, signal.SIGCONT)
    wait_until(lambda: not family.running(renderer), "the renderer outlives its worker")
    wait_until(lambda: all_made(site), "the documents are not made")
    assert outcomes(site) == ["lost", "success"]
    assert versions(site) == [1, 1, 1, 1]
    assert not stray_files(site)
    wait_until(lambda: list((site.data_dir / "work").iterdir()) == [stray], "work folders are left")


def test_a_killed_worker_is_started_again(start_site: StartSite) -> None:
    site = start_site(LEASE_SECONDS="5")
    (worker,) = workers(site)
    ask(site)
    family.hold_renderer(worker)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: all_made(site), "the documents are not made")
    assert workers(site) != [worker]


def test_a_killed_renderer_is_replaced_and_the_worker_lives_on(site_with: StartSite) -> None:
    site = site_with(LEASE_SECONDS="30")
    (worker,) = workers(site)
    ask(site)
    os.kill(family.hold_renderer(worker), signal.SIGKILL)
    wait_until(lambda: all_made(site), "the documents are not made")
    assert outcomes(site) == ["error", "success"]
    assert workers(site) == [worker]


def test_a_document_fails_with_a_plain_reason_when_its_renderer_dies_three_times(site_with: StartSite) -> None:
    site = site_with(LEASE_SECONDS="30")
    (worker,) = workers(site)
    ask(site, "report")
    for _ in range(3):
        os.kill(family.hold_renderer(worker), signal.SIGKILL)
    wait_until(lambda: site.statuses(OWN)["report"] == "error", "it does not fail")
    assert document(site, "report")["error"].startswith("The process that made this stopped unexpectedly")
    assert outcomes(site) == ["error", "error", "error"]
    ask(site)
    wait_until(lambda: all_made(site), "the documents are not made")


def test_a_hung_generator_ends_at_its_deadline(start_site: StartSite) -> None:
    # The other documents have to be ready within the deadline, on a busy machine too.
    site = start_site(DOCUMENT_DEADLINE="6", LEASE_SECONDS="30")
    (worker,) = workers(site)
    ask(site)
    renderer = family.hold_renderer(worker)
    wait_until(lambda: site.statuses(OWN)["report"] == "error", "it is not ended")
    assert not family.running(renderer)
    assert document(site, "report")["error"].startswith("This took longer than 6 seconds and was stopped.")
    wait_until(lambda: site.statuses(OWN)["photos-zip"] == "success", "the others are not made")
    assert workers(site) == [worker]


def test_cancelling_ends_the_running_renderer_within_seconds(site_with: StartSite) -> None:
    # The worker looks for a cancel several times a second. Only at its next renewal, it would notice after ten seconds.
    site = site_with(LEASE_SECONDS="30")
    (worker,) = workers(site)
    ask(site)
    renderer = family.hold_renderer(worker)
    with site.login("assessor") as client:
        client.post(f"/assessments/{OWN}/documents/cancel/")
    wait_until(lambda: set(site.statuses(OWN).values()) == {"idle"}, "it is not cancelled", 5)
    wait_until(lambda: not family.running(renderer), "the renderer goes on", 5)
    assert outcomes(site) == ["cancelled"]
    assert document(site, "report")["message"] == "Cancelled"
    ask(site)
    wait_until(lambda: all_made(site), "the documents are not made")
    assert workers(site) == [worker]


def test_a_document_asked_for_again_before_it_has_stopped_is_made(site_with: StartSite) -> None:
    site = site_with(WORKERS="2", LEASE_SECONDS="30")
    first, second = workers(site)
    site.freeze(second)
    ask(site)
    renderer = family.hold_renderer(first)
    site.freeze(first)
    with site.login("assessor") as client, site.login("staff") as colleague:
        client.post(f"/assessments/{OWN}/documents/cancel/")
        assert site.statuses(OWN)["report"] == "processing"
        colleague.post(f"/assessments/{OWN}/documents/generate/")
        # The other worker makes the document while the first one has not even seen the cancel.
        os.kill(second, signal.SIGCONT)
        wait_until(lambda: site.statuses(OWN)["report"] == "success", "the document is not made again")
        os.kill(first, signal.SIGCONT)
        os.kill(renderer, signal.SIGCONT)
        wait_until(lambda: all_made(site), "the documents are not made")
        page = client.get(f"/assessments/{OWN}/").text
    wait_until(lambda: not family.running(renderer), "the late renderer goes on")
    assert page.count(" by staff in ") == 4
    assert outcomes(site) == ["cancelled", "success"]
    assert versions(site) == [1, 1, 1, 1]
    assert not stray_files(site)


ADD_HUGE_PHOTO = f"""
import io
from PIL import Image
from tests import cast
from assessments.models import Assessment, Photo
file = io.BytesIO()
Image.new("RGB", (9000, 6000), "teal").save(file, "PNG")
photo = cast.add_photo(Assessment.objects.get(number="{OWN}"), file.getvalue(), "IMG_0099.png")
# Its print image got lost, so the generator has to make it.
Photo.objects.filter(pk=photo.pk).update(state="ready")
"""


def test_a_generator_over_its_memory_limit_fails_alone_and_says_so(start_site: StartSite) -> None:
    site = start_site(DOCUMENT_MEMORY_MIB="100", LEASE_SECONDS="30")
    (worker,) = workers(site)
    site.python(ADD_HUGE_PHOTO)
    ask(site)
    wait_until(lambda: site.statuses(OWN)["photos-zip"] == "success", "the others are not made")
    assert site.statuses(OWN)["photos-pdf"] == "error"
    assert document(site, "photos-pdf")["error"].startswith(
        "This needs more memory than the 100 MiB allowed for one document."
    )
    assert workers(site) == [worker]
