"""Pruning removes old rows and files by the rules, and keeps all that are current, in use or on record."""

import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from axes.models import AccessLog
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.tasks import TaskResultStatus
from django.utils import timezone
from django_tasks_db.models import DBTaskResult
from pytest_django import Settings

from assessments.documents import tasks
from assessments.models import Assessment, Attempt, AuditEntry, Batch, BulkRequest, Document, DocumentVersion
from tests.running import Site

YEAR = timedelta(days=365)
DAY = timedelta(days=1)


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the temporary files of other sites out of the way."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def make_versions(document: Document, count: int, age: timedelta = 2 * YEAR) -> list[DocumentVersion]:
    """Give a document versions with real files, all of the same age; the last version is current."""
    made = [make_version(document, number, age) for number in range(1, count + 1)]
    Document.objects.filter(pk=document.pk).update(current=made[-1], status=Document.Status.SUCCESS)
    return made


def make_version(document: Document, number: int, age: timedelta) -> DocumentVersion:
    ended_at = timezone.now() - age
    attempt = Attempt.objects.create(document=document, token=uuid.uuid4(), outcome="success", ended_at=ended_at)
    version = DocumentVersion(document=document, number=number, attempt=attempt, size=1, sha256="0" * 64)
    version.file.name = version.file.storage.save(attempt.stored_name, ContentFile(b"x"))
    version.save()
    DocumentVersion.objects.filter(pk=version.pk).update(made_at=ended_at)
    return version


def prune(**options: Any) -> dict[str, int]:
    """Run the command; return the numbers of removed rows and files that it prints, by kind."""
    said = StringIO()
    call_command("prune", stdout=said, **options)
    lines = (line.partition(": ") for line in said.getvalue().splitlines())
    return {kind: int(words.split()[0]) for kind, _, words in lines}


@pytest.fixture
def document(assessment: Assessment) -> Document:
    return assessment.documents.get(kind="report")


def numbers(document: Document) -> list[int]:
    return sorted(document.versions.values_list("number", flat=True))


def stored(settings: Settings) -> set[str]:
    root = Path(settings.MEDIA_ROOT)
    return {str(path.relative_to(root)) for path in (root / "documents").rglob("*") if path.is_file()}


def test_old_versions_are_removed_with_their_files_and_the_newest_stay(document: Document, settings: Settings) -> None:
    made = make_versions(document, 8)
    assert prune()["old versions"] == 3
    assert numbers(document) == [4, 5, 6, 7, 8]
    assert stored(settings) == {version.file.name for version in made[3:]}
    assert prune()["old versions"] == 0


def test_versions_of_this_year_stay_however_many_they_are(document: Document, settings: Settings) -> None:
    make_versions(document, 8, age=YEAR - DAY)
    assert prune()["old versions"] == 0
    settings.KEEP_VERSIONS_DAYS = 300
    assert prune()["old versions"] == 3


def test_settings_change_the_rules(document: Document, settings: Settings) -> None:
    make_versions(document, 8)
    settings.KEEP_VERSIONS = 7
    assert prune()["old versions"] == 1
    settings.KEEP_VERSIONS, settings.KEEP_VERSIONS_DAYS = 2, 5000
    assert prune()["old versions"] == 0


def test_the_current_version_stays_when_older_versions_are_removed(document: Document, settings: Settings) -> None:
    made = make_versions(document, 4)
    # An older version is current, as after a repair by hand.
    Document.objects.filter(pk=document.pk).update(current=made[0])
    settings.KEEP_VERSIONS, settings.KEEP_VERSIONS_DAYS = 1, 0
    prune()
    assert numbers(document) == [1, 4]
    assert Document.objects.get(pk=document.pk).current == made[0]
    assert stored(settings) == {made[0].file.name, made[3].file.name}


def test_a_version_of_a_running_batch_stays(assessment: Assessment, document: Document, settings: Settings) -> None:
    made = make_versions(document, 3)
    batch = Batch.objects.create(assessment=assessment)
    DocumentVersion.objects.filter(pk=made[0].pk).update(batch=batch)
    assessment.documents.filter(kind="estimate").update(status="pending", batch=batch)
    settings.KEEP_VERSIONS = 1
    prune()
    assert numbers(document) == [1, 3]


@pytest.mark.usefixtures("temporary_folder")
def test_a_dry_run_removes_nothing_and_prints_the_same(document: Document, settings: Settings) -> None:
    make_versions(document, 8)
    make_rows()
    before = stored(settings)
    told = prune(dry_run=True)
    assert stored(settings) == before
    assert numbers(document) == list(range(1, 9))
    assert told == prune()
    assert told["old versions"] == 3


def test_a_file_that_a_killed_run_left_is_removed(document: Document, settings: Settings) -> None:
    made = make_versions(document, 3)
    # The earlier run was killed after it removed the row and before it removed the file.
    DocumentVersion.objects.filter(pk=made[0].pk).delete()
    assert prune()["files without a row"] == 1
    assert stored(settings) == {version.file.name for version in made[1:]}


def test_a_file_that_may_still_get_its_version_stays(document: Document, settings: Settings) -> None:
    running = Attempt.objects.create(document=document, token=uuid.uuid4())
    just_ended = Attempt.objects.create(document=document, token=uuid.uuid4(), ended_at=timezone.now())
    storage = DocumentVersion._meta.get_field("file").storage
    # A restored database does not know the attempts that were made after the back-up.
    unknown = running.stored_name.replace(str(running.token), str(uuid.uuid4()))
    names = {storage.save(name, ContentFile(b"x")) for name in (running.stored_name, just_ended.stored_name, unknown)}
    make_versions(document, 1)
    Attempt.objects.create(document=document, token=uuid.uuid4(), ended_at=timezone.now() - YEAR)
    assert prune()["files without a row"] == 0
    assert names < stored(settings)


def test_files_of_photos_and_documents_without_a_row_are_removed_after_a_week(
    assessment: Assessment, document: Document, settings: Settings
) -> None:
    make_versions(document, 1)
    media = Path(settings.MEDIA_ROOT)
    kept = {path for path in media.rglob("*") if path.is_file()}
    orphans = {
        media / "photos" / assessment.number / "gone.jpg",
        media / "photos" / assessment.number / "print" / "gone.jpg",
        media / "photos" / "ASM-2020-001" / "gone.jpg",
        media / "documents" / "ASM-2020-001" / "report" / f"{uuid.uuid4()}.pdf",
        media / "documents" / assessment.number / "report" / "gone.pdf",
    }
    for path in orphans:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    let_age(6, *kept, *orphans)
    assert prune()["files without a row"] == 0
    let_age(8, *kept, *orphans)
    assert prune(dry_run=True)["files without a row"] == prune()["files without a row"] == len(orphans)
    assert {path for path in media.rglob("*") if path.is_file()} == kept
    assert prune()["files without a row"] == 0


def let_age(days: int, *paths: Path) -> None:
    then = time.time() - days * 86_400
    for path in paths:
        os.utime(path, times=(then, then))


def test_a_file_of_a_photo_stays_although_its_folder_has_another_number(assessment: Assessment) -> None:
    photo = assessment.photos.all()[0]
    let_age(30, Path(photo.original.path))
    Assessment.objects.filter(pk=assessment.pk).update(number="ASM-2020-777")
    assert prune()["files without a row"] == 0
    assert Path(photo.original.path).exists()


def test_the_file_of_a_lost_attempt_is_removed_once(document: Document) -> None:
    lost = Attempt.objects.create(document=document, token=uuid.uuid4(), outcome="lost", ended_at=timezone.now())
    storage = DocumentVersion._meta.get_field("file").storage
    storage.save(lost.stored_name, ContentFile(b"x"))
    Attempt.remove_lost_files()
    assert not storage.exists(lost.stored_name)
    # A file of that name would be removed by the next round, if there were a next round for this attempt.
    storage.save(lost.stored_name, ContentFile(b"x"))
    Attempt.remove_lost_files()
    assert storage.exists(lost.stored_name)


def test_the_file_of_a_lost_attempt_that_cannot_be_removed_is_tried_again(
    document: Document, settings: Settings
) -> None:
    lost = Attempt.objects.create(document=document, token=uuid.uuid4(), outcome="lost", ended_at=timezone.now())
    storage = DocumentVersion._meta.get_field("file").storage
    storage.save(lost.stored_name, ContentFile(b"x"))
    with in_the_way(Path(settings.MEDIA_ROOT) / lost.stored_name):
        Attempt.remove_lost_files()
    Attempt.remove_lost_files()
    assert not storage.exists(lost.stored_name)


def test_a_file_that_cannot_be_removed_is_tried_again(document: Document, settings: Settings) -> None:
    made = make_versions(document, 6)
    with in_the_way(Path(settings.MEDIA_ROOT) / made[0].file.name):
        assert prune()["old versions"] == 1
    assert numbers(document) == [2, 3, 4, 5, 6]
    assert prune()["files without a row"] == 1
    assert len(stored(settings)) == 5


@contextmanager
def in_the_way(path: Path) -> Iterator[None]:
    """Put a folder that is not empty in the place of a file: not even root can remove it as a file."""
    path.unlink()
    path.mkdir()
    (path / "full").touch()
    yield
    (path / "full").unlink()
    path.rmdir()
    path.touch()


def make_rows() -> None:
    """Make tasks, sessions and sign-ins, some of each kind old enough to be removed."""
    now = timezone.now()
    for status, started, finished in (
        ("SUCCESSFUL", 15, 15),
        ("FAILED", 15, 15),
        ("RUNNING", 2, None),
        ("SUCCESSFUL", 13, 13),
        ("RUNNING", 0.5, None),
        ("READY", None, None),
    ):
        DBTaskResult.objects.create(
            status=TaskResultStatus[status],
            args_kwargs={"args": [], "kwargs": {}},
            task_path="assessments.documents.tasks.advance",
            backend_name="default",
            run_after=now,
            started_at=started and now - started * DAY,
            finished_at=finished and now - finished * DAY,
        )
    for age in (-1, 1):
        Session.objects.create(session_key=f"session{age}", session_data="", expire_date=now - age * DAY)
    for age in (29, 31):
        entry = AccessLog.objects.create(username="somebody", ip_address="127.0.0.1")
        AccessLog.objects.filter(pk=entry.pk).update(attempt_time=now - age * DAY)


@pytest.mark.usefixtures("temporary_folder")
@pytest.mark.django_db
def test_old_tasks_sessions_and_sign_ins_are_removed() -> None:
    make_rows()
    told = prune()
    assert told == {
        "old versions": 0,
        "files without a row": 0,
        "finished and lost tasks": 3,
        "expired sessions": 1,
        "sign-ins": 1,
        "bulk requests": 0,
        "folders of killed processes": 0,
    }
    assert sorted(DBTaskResult.objects.values_list("status", flat=True)) == ["READY", "RUNNING", "SUCCESSFUL"]
    assert Session.objects.get().session_key == "session-1"
    assert AccessLog.objects.count() == 1


def test_bulk_requests_are_removed_after_90_days_unless_they_still_run(assessment: Assessment, staff: User) -> None:
    others = [Assessment.objects.create(assessor=assessment.assessor) for _ in range(2)]
    old, running, recent = (
        BulkRequest.begin(BulkRequest.Action.GENERATE, [assessment, *others], by=staff) for _ in range(3)
    )
    tasks.request_many(others[:1], by=staff, origin="admin", bulk_request=old)
    tasks.cancel_many(others[:1])
    tasks.request_many(others[1:], by=staff, origin="admin", bulk_request=running)
    BulkRequest.objects.exclude(pk=recent.pk).update(requested_at=timezone.now() - 91 * DAY)
    BulkRequest.objects.filter(pk=recent.pk).update(requested_at=timezone.now() - 89 * DAY)
    assert prune(dry_run=True)["bulk requests"] == prune()["bulk requests"] == 1
    assert set(BulkRequest.objects.all()) == {running, recent}
    assert Batch.objects.get(assessment=others[0]).bulk_request is None
    assert set(recent.assessments.all()) == {assessment, *others}
    assert AuditEntry.objects.filter(assessment=others[0], username="staff").exists()
    tasks.cancel_many(others[1:])
    assert prune()["bulk requests"] == 1


def test_the_audit_log_and_the_attempts_stay_on_record(assessor: User, document: Document) -> None:
    made = make_versions(document, 6)
    AuditEntry.objects.record_download(made[0], assessor)
    prune()
    [entry] = AuditEntry.objects.all()
    assert (entry.action, entry.username, entry.number) == ("downloaded", "assessor", document.assessment.number)
    assert entry.version is None
    assert Attempt.objects.filter(document=document).count() == 6


@pytest.mark.long
def test_two_runs_at_once_remove_each_version_once_and_none_too_many(site: Site) -> None:
    files = site.python(MANY_VERSIONS)
    with ThreadPoolExecutor(2) as both:
        done = list(both.map(lambda _: site.manage("prune"), range(2)))
    removed = [int(line.split()[2]) for each in done for line in each.stdout.splitlines() if "old versions" in line]
    assert sum(removed) == 60
    assert [each.stderr for each in done] == ["", ""]
    rows = site.rows("SELECT number, file FROM assessments_documentversion ORDER BY number")
    assert [row["number"] for row in rows] == list(range(61, 66))
    folder = site.data_dir / "media" / files[0].rpartition("/")[0]
    assert {path.name for path in folder.iterdir()} == {Path(row["file"]).name for row in rows}
    assert site.rows("SELECT 1 AS one FROM assessments_document WHERE current_id IS NOT NULL") == [{"one": 1}]


MANY_VERSIONS = f"""
import json
from assessments.models import Document
from tests.site.{Path(__file__).stem} import make_versions
print(json.dumps([version.file.name for version in make_versions(Document.objects.order_by("pk").first(), 65)]))
"""
