"""The audit log can be read, entries can be added, and no entry can be changed or deleted."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from assessments.documents import queue, tasks
from assessments.models import Assessment, AuditEntry


@pytest.fixture
def entry(assessment: Assessment, assessor: User) -> AuditEntry:
    tasks.request(assessment, by=assessor, origin="page")
    return AuditEntry.objects.get()


def test_an_entry_is_neither_changed_nor_deleted(entry: AuditEntry) -> None:
    entry.username = "somebody else"
    for attempt in (
        entry.save,
        entry.delete,
        AuditEntry.objects.all().delete,
        lambda: AuditEntry.objects.update(username="somebody else"),
    ):
        with pytest.raises(TypeError, match="audit log"):
            attempt()  # type: ignore[operator]
    assert AuditEntry.objects.get().username == "assessor"


def test_the_admin_shows_entries_to_staff_and_lets_nobody_edit_them(
    entry: AuditEntry, staff: User, admin_user: User, client: Client
) -> None:
    for person in (staff, admin_user):
        client.force_login(person)
        log = client.get(reverse("admin:assessments_auditentry_changelist")).content.decode()
        assert "Asked for all" in log
        assert "Assessment Report, Estimate, Photos PDF, Photos ZIP" in log
        address = reverse("admin:assessments_auditentry_change", args=[entry.pk])
        page = client.get(address).content.decode()
        assert entry.number in page
        assert "Assessment Report, Estimate, Photos PDF, Photos ZIP" in page
        assert 'name="_save"' not in page
        assert client.post(address, {"username": "somebody else"}).status_code == 403
        assert client.get(reverse("admin:assessments_auditentry_add")).status_code == 403
        assert client.post(reverse("admin:assessments_auditentry_delete", args=[entry.pk])).status_code == 403


def test_an_entry_outlives_a_person_and_keeps_the_name(entry: AuditEntry, assessment: Assessment, staff: User) -> None:
    tasks.cancel_many([assessment], by=staff, origin="admin")
    staff.delete()
    cancelled = AuditEntry.objects.get(action=AuditEntry.Action.CANCELLED)
    assert (cancelled.user, cancelled.username, cancelled.number) == (None, "staff", assessment.number)
    assert str(cancelled) == f"staff: cancelled, {assessment.number}"


def test_a_bulk_request_makes_one_entry_for_each_assessment(assessment: Assessment, staff: User) -> None:
    other = Assessment.objects.create(assessor=assessment.assessor)
    tasks.request_many([assessment, other], by=staff, origin="admin")
    entries = AuditEntry.objects.order_by("pk").values_list("number", "username", "documents", "origin")
    documents = "report, estimate, photos-pdf, photos-zip"
    assert list(entries) == [(number, "staff", documents, "admin") for number in (assessment.number, other.number)]


def test_reading_a_file_in_pieces_or_again_and_again_is_one_download(assessment: Assessment, assessor: User) -> None:
    queue.request(assessment)
    attempt = queue.claim(assessment.pk)
    assert attempt is not None
    version = attempt.finish(size=3, sha256="0" * 64)
    for _ in range(3):
        AuditEntry.objects.record_download(version, assessor)
    assert AuditEntry.objects.filter(action=AuditEntry.Action.DOWNLOADED, version=version).count() == 1
