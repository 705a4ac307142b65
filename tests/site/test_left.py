"""The next start of a process of a machine, and pruning, remove what killed processes of the machine left."""

import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pytest_django import Settings

from assessments.models import Assessment, Photo
from assessments.operations import temporary
from assessments.operations.prune import prune
from assessments.storage.temporary import Held, note
from tests import family
from tests.cast import YEAR
from tests.running import ROOT, Site, wait_until

OWN = f"ASM-{YEAR}-001"
COUNT = 30
# A web in the middle of a save: the photos are stored, and their rows are not committed.
SAVE = f"""
import sys
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from assessments.models import Assessment
from assessments.operations.temporary import use_own_folder
from assessments.photos import intake
from tests.cast import picture

use_own_folder("web")
found = Assessment.objects.get(number="{OWN}")
with transaction.atomic():
    for number in range({COUNT}):
        intake.take_in(found, SimpleUploadedFile(f"{{number}}.jpg", picture(500 + number)), "damage", "", None)
    print("stored", flush=True)
    sys.stdin.readline()
print("saved", flush=True)
"""


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextmanager
def saving(site: Site, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Give a process on the site's machine, or on another one, that has stored photos and waits before its commit."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "shell", "--verbosity", "0", "--command", SAVE],
        cwd=ROOT,
        env=site.environment | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout
        assert process.stdout.readline() == b"stored\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def kill_a_save(site: Site) -> None:
    before = unnamed(site)
    with saving(site):
        assert len(unnamed(site)) == len(before) + COUNT


def unnamed(site: Site) -> set[str]:
    """Return the stored files of photos that no row names."""
    media = Path(site.environment.get("MEDIA_DIR", site.data_dir / "media"))
    stored = {str(path.relative_to(media)) for path in (media / "photos").rglob("*") if path.is_file()}
    rows = site.rows("SELECT original, print_image, thumbnail FROM assessments_photo")
    return stored.difference(*(row.values() for row in rows))


def photos(site: Site) -> int:
    return len(site.rows("SELECT 1 FROM assessments_photo"))


def test_photos_of_a_save_that_was_killed_are_removed_at_the_next_start(start_site: Callable[..., Site]) -> None:
    site = start_site()
    kept = photos(site)
    site.stop()
    kill_a_save(site)
    assert len(unnamed(site)) == COUNT
    site.start()
    wait_until(lambda: not unnamed(site), "files without a row are left")
    assert photos(site) == kept


def test_photos_of_a_save_that_was_killed_are_removed_by_pruning(site: Site) -> None:
    kill_a_save(site)
    site.manage("prune")
    assert not unnamed(site)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_save_that_runs_on_another_machine_loses_nothing(start_site: Callable[..., Site], tmp_path: Path) -> None:
    site = start_site()
    elsewhere = {"DATA_DIR": str(tmp_path / "elsewhere"), "MEDIA_DIR": str(site.data_dir / "media")}
    kill_a_save(site)
    kept = photos(site)
    with saving(site, **elsewhere) as running:
        site.stop()
        site.start()
        site.manage("prune")
        # The save of the other machine has locked the row of the assessment: its photos are there, and may stay.
        assert len(unnamed(site)) in {COUNT, 2 * COUNT}
        assert running.stdin
        assert running.stdout
        running.stdin.write(b"\n")
        running.stdin.flush()
        assert running.stdout.readline() == b"saved\n"
    site.manage("prune")
    assert photos(site) == kept + COUNT
    assert not unnamed(site)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_work_of_a_killed_worker_is_removed_at_the_next_start_although_its_lease_runs_on(
    start_site: Callable[..., Site],
) -> None:
    site = start_site(LEASE_SECONDS="600")
    assert site.process
    (worker,) = wait_until(lambda: family.named(site.process.pid, "worker"), "no worker runs")
    with site.login("assessor") as client:
        client.post(f"/assessments/{OWN}/documents/generate/")
    family.hold_renderer(worker)
    [folder] = (site.data_dir / "work").iterdir()
    os.kill(worker, 9)
    wait_until(lambda: not folder.exists(), "the work folder is left")
    assert site.statuses(OWN)["report"] == "processing"


# Within this process --------------------------------------------------------------------------------------------------


@pytest.fixture
def machine(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the work folder of a machine of its own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return Path(settings.WORK_ROOT)


@pytest.mark.django_db
def test_a_folder_goes_with_its_process_and_on_a_machine_without_workers_with_pruning(machine: Path) -> None:
    living, killed, other = (machine / name for name in (str(uuid.uuid4()), str(uuid.uuid4()), "not-of-a-worker"))
    held = Held(living)
    for folder in (killed, other):
        folder.mkdir()
    assert prune(dry_run=True)["folders of killed processes"] == prune()["folders of killed processes"] == 1
    assert [folder.exists() for folder in (living, killed, other)] == [True, False, True]
    held.leave()
    assert temporary.remove_left() == 1
    assert not living.exists()


@pytest.mark.usefixtures("machine")
def test_a_noted_file_that_a_row_names_stays(assessment: Assessment) -> None:
    photo = assessment.photos.earliest("pk")
    storage = Photo._meta.get_field("original").storage
    note(str(photo.original.name), "photos/ASM-2020-001/never-stored.jpg").leave()
    # The number of an assessment may have changed since.
    Assessment.objects.filter(pk=assessment.pk).update(number="ASM-2020-777")
    assert temporary.remove_left() == 1
    assert storage.exists(str(photo.original.name))


@pytest.mark.usefixtures("machine")
def test_a_note_stays_while_its_file_cannot_be_removed(assessment: Assessment, settings: Settings) -> None:
    name = f"photos/{assessment.number}/lost.jpg"
    in_the_way = Path(settings.MEDIA_ROOT, name)
    (in_the_way / "full").mkdir(parents=True)
    note(name).leave()
    assert temporary.remove_left() == 0
    (in_the_way / "full").rmdir()
    in_the_way.rmdir()
    in_the_way.touch()
    assert temporary.remove_left() == 1
    assert not in_the_way.exists()


@pytest.mark.usefixtures("machine")
@pytest.mark.django_db
def test_the_temporary_files_of_a_killed_process_are_removed_and_those_of_a_living_one_stay(tmp_path: Path) -> None:
    code = "import django, time; django.setup(); from assessments.operations.temporary import use_own_folder\n"
    code += "use_own_folder('web'); import tempfile; file = tempfile.NamedTemporaryFile()\n"
    code += "print('ready', flush=True); time.sleep(600)"
    environment = os.environ | {"TMPDIR": str(tmp_path), "DATA_DIR": str(tmp_path / "data")}
    killed, living = (
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.PIPE)
        for _ in range(2)
    )
    try:
        assert all(process.stdout and process.stdout.readline() == b"ready\n" for process in (killed, living))
        assert len(list(tmp_path.glob("assessments-files-*/*"))) == 2
        killed.kill()
        killed.wait()
        assert prune(dry_run=True)["folders of killed processes"] == prune()["folders of killed processes"] == 1
        assert len(list(tmp_path.glob("assessments-files-*/*"))) == 1
        assert prune()["folders of killed processes"] == 0
    finally:
        for process in (killed, living):
            process.kill()
            process.communicate()
