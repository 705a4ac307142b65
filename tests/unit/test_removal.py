"""An administrator removes an assessment with everything of it, and nothing of it comes back."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client as Visitor
from django.utils import timezone

from assessments.documents import queue, tasks
from assessments.models import Assessment, Attempt, AuditEntry, BulkRequest, DocumentVersion, Removal
from assessments.models.slots import Superseded
from assessments.operations.removal import remove_files
from assessments.photos.intake import PhotoRefused
from tests import cast
from tests.office import LIST, change_page, fields_of, visitor_of, with_history


@pytest.fixture
def administrator(admin_user: User) -> Visitor:
    return visitor_of(admin_user)


def names_left(folder: Path, number: str) -> list[str]:
    return [str(path) for path in folder.rglob("*") if number in str(path)]


def rows() -> dict[str, int]:
    """Return how many rows each table of the application has."""
    return {model.__name__: model._default_manager.count() for model in apps.get_app_config("assessments").get_models()}


def remove(administrator: Visitor, assessment: Assessment) -> None:
    page = administrator.get(f"{LIST}{assessment.pk}/delete/").content.decode()
    assert f"Photos: {assessment.photos.count()}" in page
    assert administrator.post(f"{LIST}{assessment.pk}/delete/", {"post": "yes"}).status_code == 302


def test_a_removal_takes_all_rows_and_files_and_the_audit_log_says_who(
    administrator: Visitor, assessment: Assessment, stranger: User, folders: Path
) -> None:
    kept = cast.make_assessment(stranger)
    before = rows()
    number = assessment.number
    doomed = cast.make_assessment(assessment.assessor)
    cast.look_at_all()
    with_history(doomed)
    for version in DocumentVersion.objects.filter(document__assessment=doomed):
        version.file.storage.save(version.file.name, ContentFile(b"made"))
    BulkRequest.begin(BulkRequest.Action.RETRY, [doomed], by=stranger)
    form = fields_of(administrator, change_page(doomed))
    administrator.post(change_page(doomed), {**form, "photos-0-caption": "Licence of P. Nkosi"})
    assert LogEntry.objects.filter(change_message__contains="Nkosi").exists()
    assert len(names_left(folders / "media", doomed.number)) > 12
    remove(administrator, doomed)
    remove_files()
    after = rows() | {"BulkRequest": before["BulkRequest"]}
    counts = {name: after[name] for name in ("AuditEntry", "Counter", "Tally")}
    assert after == before | {"Removal": 1, **counts}
    assert not names_left(folders / "media", doomed.number)
    assert not LogEntry.objects.filter(change_message__contains="Nkosi").exists()
    entry = AuditEntry.objects.get(action="removed")
    assert (entry.username, entry.number, entry.assessment, entry.origin) == ("admin", doomed.number, None, "admin")
    for other in (number, kept.number):
        assert names_left(folders / "media", other)


def test_several_are_removed_from_the_list(administrator: Visitor, assessment: Assessment, assessor: User) -> None:
    chosen = [assessment.pk, Assessment.objects.create(assessor=assessor).pk]
    form = {"action": "delete_selected", "_selected_action": chosen}
    assert "Assessments: 2" in administrator.post(LIST, form).content.decode()
    administrator.post(LIST, {**form, "post": "yes"})
    assert not Assessment.objects.exists()
    assert AuditEntry.objects.filter(action="removed").count() == 2


def test_nothing_of_a_running_document_comes_back(assessment: Assessment, admin_user: User, folders: Path) -> None:
    queue.request(assessment)
    attempt = queue.claim(assessment.pk)
    assert attempt
    Removal.begin(assessment, by=admin_user)
    remove_files()
    assert not attempt.renew()
    # The worker stores its file, finds no document, and is killed before it can remove the file.
    DocumentVersion._meta.get_field("file").storage.save(attempt.stored_name, ContentFile(b"late"))
    with pytest.raises(Superseded):
        attempt.finish(size=4, sha256="0" * 64)
    remove_files()
    assert names_left(folders / "media", attempt.stored_name)
    # Every request and every document of that time has ended: the sweep looks a second and last time.
    Removal.objects.update(removed_at=timezone.now() - timedelta(days=1))
    remove_files()
    assert not names_left(folders, assessment.number)
    assert not Removal.objects.exists()
    assert not Attempt.objects.exists()


def test_an_upload_on_its_way_is_refused_and_leaves_no_file(
    assessment: Assessment, admin_user: User, folders: Path
) -> None:
    late = Assessment.objects.get(pk=assessment.pk)
    Removal.begin(assessment, by=admin_user)
    remove_files()
    upload = SimpleUploadedFile("late.jpg", cast.picture(77), "image/jpeg")
    with pytest.raises(PhotoRefused, match="because the assessment was removed"):
        tasks.add_photo(late, upload, "damage", "", None)
    assert not [path for path in (folders / "media").rglob("*") if path.is_file()]


def test_a_removal_whose_files_cannot_be_reached_is_tried_again(
    assessment: Assessment, admin_user: User, folders: Path
) -> None:
    media, elsewhere = folders / "media", folders / "elsewhere"
    Removal.begin(assessment, by=admin_user)
    media.rename(elsewhere)
    media.write_text("no folder")
    assert remove_files() == 0
    media.unlink()
    elsewhere.rename(media)
    assert remove_files() == 1
    assert not names_left(media, assessment.number)
