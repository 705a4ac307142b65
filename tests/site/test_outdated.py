"""A document is out of date exactly when it would print something else if it were made now."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from copy import copy
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import models
from django.test import Client as Visitor
from django.utils import timezone
from pytest_django import Settings

from assessments.documents import outdated, panel, queue, snapshot, tasks
from assessments.documents.kinds import KINDS
from assessments.models import (
    Accessory,
    Assessment,
    Attempt,
    Client,
    DocumentVersion,
    EstimateLine,
    Office,
    Photo,
    Repairer,
)
from assessments.models.lease import MAX_ATTEMPTS
from assessments.printing import estimate, pdf, photos_pdf, photos_zip, report
from assessments.printing import sections as photo_sections
from tests import cast

REPORT, ESTIMATE, PHOTOS_PDF, PHOTOS_ZIP = cast.KINDS
ALL = set(cast.KINDS)

# The models of rows that the application writes itself: these rows hold no data of an assessment.
MACHINERY = {"Attempt", "AuditEntry", "Batch", "BulkRequest", "Counter", "Document", "DocumentVersion", "Heartbeat"}
# Two more: the site, and the table of a many-to-many relation.
MACHINERY |= {"Removal", "ResetMail", "Site", "Tally", "BulkRequest_assessments", "Joining"}
# The fields that name a row's assessment or estimate: the place of the row, and not its content.
PARENTS = {"assessment", "estimate"}
# The fields of a photo that name its files.
FILES = {"original", "print_image", "thumbnail"}

Committing = Callable[..., AbstractContextManager[Any]]


@pytest.fixture
def committing(
    settings: Settings, django_capture_on_commit_callbacks: Committing
) -> Callable[[], AbstractContextManager[Any]]:
    """Give a block whose changes are committed at its end; the workers' tasks about these changes run at once."""
    settings.TASKS = {"default": {"BACKEND": "django.tasks.backends.immediate.ImmediateBackend"}}
    return lambda: django_capture_on_commit_callbacks(execute=True)


def make(assessment: Assessment, *kinds: str) -> None:
    """Make documents of the present data, without printing them."""
    queue.request(assessment, kinds or None)
    while attempt := queue.claim(assessment.pk):
        finish(attempt)


def finish(attempt: Attempt) -> DocumentVersion:
    return attempt.finish(size=1, sha256="0" * 64, digests=snapshot.digests(snapshot.take(attempt)))


def marked(assessment: Assessment) -> set[str]:
    """Return the kinds of the documents that the page shows as out of date."""
    return {row.document.kind for row in panel.load([assessment.pk])[assessment.pk].rows if row.document.outdated}


def words(assessment: Assessment, kind: str) -> str:
    return next(row.message for row in panel.load([assessment.pk])[assessment.pk].rows if row.document.kind == kind)


# Each field of each row -----------------------------------------------------------------------------------------------


def papers(assessment: Assessment, folder: Path) -> dict[str, str]:
    """Return the text that each document of an assessment prints; the digest of a photo stands for its picture."""
    read = snapshot.with_data(*KINDS.values()).get(pk=assessment.pk)
    of = {kind: snapshot.of(read, KINDS[kind], Office.current()) for kind in cast.KINDS}
    shown = [
        photo_sections.Picture(photo.sha256, photo.name, photo.caption, photo.section_label, "1")
        for photo in of[REPORT].photos
    ]
    album = of[PHOTOS_PDF]
    sections = photo_sections.sections_of(album)
    problems = {
        photos_pdf.file_name(section, number): photo.problem
        for section in sections
        for number, photo in section.photos
        if photo.problem
    }
    pictures = " ".join(photo.sha256 for photo in album.photos if not photo.problem)
    return {
        REPORT: pdf.html("documents/report.html", report.contents(of[REPORT], shown)),
        ESTIMATE: pdf.html("documents/estimate.html", estimate.contents(of[ESTIMATE])),
        PHOTOS_PDF: pdf.html("documents/photos.html", photos_pdf.contents(album, sections, problems)) + pictures,
        PHOTOS_ZIP: photos_zip.manifest(photos_zip.entries_of(of[PHOTOS_ZIP])).decode(),
    }


def rows_of(assessment: Assessment) -> Iterator[models.Model]:
    """Yield every row that an assessment's documents may show, and the office's people and companies."""
    for model in [*apps.get_app_config("assessments").get_models(), User]:
        if model.__name__ not in MACHINERY:
            assert model._default_manager.exists(), f"there is no {model.__name__} to be changed"
            yield from model._default_manager.all()


def fields_of(row: models.Model) -> list[models.Field[Any, Any]]:
    kept = getattr(row, "KEPT", set())
    return [
        field
        for field in row._meta.concrete_fields
        if not field.primary_key and field.name not in PARENTS | FILES | kept and not getattr(field, "auto_now_add", 0)
    ]


def another(field: models.Field[Any, Any], row: models.Model) -> Any:
    """Return a valid value for a field, other than its present value."""
    value = getattr(row, field.name)
    match field:
        case models.ForeignKey():
            return field.related_model._default_manager.exclude(pk=value.pk if value else None).first()
        case models.UUIDField():
            return uuid4()
        case models.BooleanField():
            return not value
        case models.DateTimeField():
            return (value or timezone.now()) + timedelta(days=40)
        case models.DateField():
            return (value or date(2026, 1, 1)) + timedelta(days=40)
        case models.DecimalField(max_digits=5):
            return Decimal(40) if value == 50 else Decimal(50)
        case models.DecimalField():
            return (value or 0) + (3 if field.max_digits == 7 else 12_345)
        case models.IntegerField():
            return (value or 0) + 7
    if field.choices:
        return next(choice for choice, _ in field.flatchoices if choice not in {value, ""} and fits(row, field, choice))
    match field.name:
        case "currency":
            return "USD"
        case "accent_colour":
            return "#123456"
        case "extension":
            return "png"
        case "sha256":
            return "f" * 64
    return f"{value} 2"[-(field.max_length or 1000) :]


def new_values(field: models.Field[Any, Any], row: models.Model) -> dict[str, Any]:
    if isinstance(row, EstimateLine) and field.name in {"process_type", "part_type"}:
        # Only a new part has a part type, so both change together.
        return {"process_type": "N", "part_type": "ALT"}
    return {field.name: another(field, row)}


def fits(row: models.Model, field: models.Field[Any, Any], value: Any) -> bool:
    changed = copy(row)
    setattr(changed, field.name, value)
    try:
        changed.validate_constraints()
    except ValidationError:
        return False
    return True


@pytest.mark.long
def test_a_changed_field_marks_exactly_the_documents_whose_text_changes(
    assessment: Assessment, stranger: User, committing: Committing, tmp_path: Path
) -> None:
    Office.objects.create(pk=1)
    assessment.tyres.get(position="spare").delete()
    Client.objects.create(name="Another insurer")
    Repairer.objects.create(name="Another repairer")
    Accessory.objects.create(assessment=assessment, kind="custom", name="Dash camera", condition="good")
    cast.add_photo(assessment, cast.picture(8), "IMG_8.jpg", "damage", 1)
    cast.add_photo(assessment, cast.picture(9), "IMG_9.jpg", "damage", 2)
    assessment.valuation.retail, assessment.valuation.trade = Decimal(90_000), Decimal(80_000)
    assessment.valuation.save()
    make(assessment)
    assert marked(assessment) == set()
    before = papers(assessment, tmp_path)
    wrong, walked, printed = [], 0, 0
    for row in rows_of(assessment):
        for field in fields_of(row):
            save = new_values(field, row)
            was = {name: getattr(row, name) for name in save}
            with committing():
                for name, new in save.items():
                    setattr(row, name, new)
                row.save()
            now = papers(assessment, tmp_path)
            different = {kind for kind in cast.KINDS if now[kind] != before[kind]}
            if marked(assessment) != different:
                wrong.append(f"{row!r}.{field.name}: {was} -> {save} changes {different}, {marked(assessment)}")
            with committing():
                for name, old in was.items():
                    setattr(row, name, old)
                row.save()
            if marked(assessment):
                wrong.append(f"{row!r}.{field.name}: put back, and still {marked(assessment)}")
            walked, printed = walked + 1, printed + bool(different)
    assert not wrong, "\n".join(wrong)
    assert walked > 200
    assert printed > 150


# The moment of the comparison -----------------------------------------------------------------------------------------


def test_a_new_or_deleted_row_marks_the_documents_that_print_it(assessment: Assessment, committing: Committing) -> None:
    make(assessment)
    with committing():
        line = EstimateLine.objects.create(
            estimate=assessment.estimate, process_type="O", description="Tow", outwork=Decimal(900)
        )
    assert marked(assessment) == {REPORT, ESTIMATE}
    with committing():
        line.delete()
    assert marked(assessment) == set()
    with committing():
        assessment.photos.filter(section="interior_mechanical").first().delete()  # type: ignore[union-attr]
    assert marked(assessment) == {PHOTOS_PDF, PHOTOS_ZIP}


def test_many_changes_of_one_transaction_are_compared_once(
    assessment: Assessment, committing: Committing, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(assessment)
    compared: list[list[int]] = []
    compare = outdated.compare
    monkeypatch.setattr(outdated, "compare", lambda ids: (compared.append(list(ids)), compare(ids)))
    with committing():
        for line in assessment.estimate.lines.all():
            line.description += " 2"
            line.save()
        assessment.vehicle.colour = "Red"
        assessment.vehicle.save()
    assert compared == [[assessment.pk]]
    assert words(assessment, ESTIMATE).startswith("Vehicle and estimate changed ")


def test_a_transaction_of_a_thousand_changes_is_compared(assessment: Assessment, committing: Committing) -> None:
    make(assessment)
    with committing():
        for number in range(1_001):
            assessment.vehicle.colour = f"Red {number}"
            assessment.vehicle.save(update_fields=["colour"])
    assert marked(assessment) == {REPORT, ESTIMATE}


def test_an_unannounced_change_is_found_when_the_page_is_opened(
    assessment: Assessment, assessor: User, client: Visitor
) -> None:
    make(assessment)
    EstimateLine.objects.filter(process_type="R").update(description="Right quarter panel")
    assert marked(assessment) == set()
    client.force_login(assessor)
    html = client.get(f"/assessments/{assessment.number}/").content.decode()
    assert "Estimate changed 1 second after this was made" in html
    assert html.count("data-stale") == 1
    assert marked(assessment) == {ESTIMATE}


def test_an_outdated_document_gets_a_revision_for_open_pages(assessment: Assessment, committing: Committing) -> None:
    make(assessment)
    before = Assessment.objects.get(pk=assessment.pk).revision
    with committing():
        assessment.notes = "The boot floor is bent."
        assessment.save()
    changed = assessment.documents.filter(revision__gt=before)
    assert list(changed.values_list("kind", flat=True)) == [REPORT]


def test_a_change_while_a_document_is_made_puts_it_out_of_date(assessment: Assessment, committing: Committing) -> None:
    queue.request(assessment, [ESTIMATE])
    attempt = queue.claim(assessment.pk)
    assert attempt is not None
    read = snapshot.digests(snapshot.take(attempt))
    with committing():
        assessment.estimate.notes = "One more thing."
        assessment.estimate.save()
    attempt.finish(size=1, sha256="0" * 64, digests=read)
    outdated.compare_made(attempt)
    assert marked(assessment) == {ESTIMATE}
    make(assessment, ESTIMATE)
    assert marked(assessment) == set()


def test_a_document_is_compared_after_it_was_made_only_when_data_changed_meanwhile(
    assessment: Assessment, committing: Committing, django_assert_num_queries: Callable[[int], Any]
) -> None:
    """Reading all data again after each document would take a fifth of a worker's time."""
    with committing():
        assessment.estimate.notes = "A change before the document is begun."
        assessment.estimate.save()
    queue.request(assessment, [ESTIMATE])
    attempt = queue.claim(assessment.pk)
    assert attempt is not None
    finish(attempt)
    with django_assert_num_queries(1):
        outdated.compare_made(attempt)


def test_a_shared_row_that_changes_while_a_document_is_made_puts_it_out_of_date(
    assessment: Assessment, committing: Committing
) -> None:
    queue.request(assessment, [REPORT])
    attempt = queue.claim(assessment.pk)
    assert attempt is not None
    read = snapshot.digests(snapshot.take(attempt))
    office = Office.current()
    with committing():
        office.name = "Another office"
        office.save()
    attempt.finish(size=1, sha256="0" * 64, digests=read)
    outdated.compare_made(attempt)
    assert marked(assessment) == {REPORT}


@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_wrong_clock_of_a_worker_moves_no_mark(assessment: Assessment, committing: Committing, minutes: int) -> None:
    """A clock that is behind must not mark a new document, and a clock that is ahead must not hide a change."""
    make(assessment)
    DocumentVersion.objects.update(made_at=timezone.now() + timedelta(minutes=minutes))
    outdated.compare([assessment.pk])
    assert marked(assessment) == set()
    with committing():
        assessment.claim_number = "KI-88124"
        assessment.save()
    assert marked(assessment) == {REPORT, ESTIMATE, PHOTOS_PDF}


def test_a_cancelled_document_is_marked_by_changes_since_its_older_file(
    assessment: Assessment, committing: Committing
) -> None:
    make(assessment, PHOTOS_ZIP)
    queue.request(assessment, [PHOTOS_ZIP])
    with committing():
        cast.add_photos(assessment, 1)
    queue.cancel_many([assessment.pk])
    assert marked(assessment) == {PHOTOS_ZIP}


def test_a_version_without_digests_keeps_its_mark(assessment: Assessment, committing: Committing) -> None:
    make(assessment)
    DocumentVersion.objects.update(digests={})
    assessment.documents.filter(kind=REPORT).update(outdated_by="Assessment", outdated_at=timezone.now())
    outdated.compare([assessment.pk])
    assert marked(assessment) == {REPORT}


def test_a_photo_that_a_worker_has_looked_at_marks_a_document_only_when_it_is_unreadable(
    assessment: Assessment,
) -> None:
    make(assessment)
    tasks.look_at_photos_of_a_turn()
    assert {photo.state for photo in assessment.photos.all()} == {"ready"}
    assert marked(assessment) == set()
    cast.add_photo(assessment, cast.picture(4)[:900], "half.jpg", "tyres_and_rims")
    make(assessment)
    tasks.look_at_photos_of_a_turn()
    assert marked(assessment) == {PHOTOS_PDF}


def test_a_photo_over_which_workers_died_marks_the_documents_that_show_it(assessment: Assessment) -> None:
    make(assessment)
    lost = {"attempts": MAX_ATTEMPTS, "lease_expires_at": timezone.now() - timedelta(seconds=1)}
    photo = assessment.photos.filter(section="interior_mechanical").first()
    assert photo
    Photo.objects.filter(pk=photo.pk).update(**lost)
    tasks.recover()
    assert marked(assessment) == {PHOTOS_PDF}


# Rows that many assessments share ---------------------------------------------------------------------------------


def test_a_new_address_of_the_office_marks_the_documents_of_all_assessments(
    assessor: User, committing: Committing, monkeypatch: pytest.MonkeyPatch
) -> None:
    Office.objects.create(pk=1)
    made = [cast.make_assessment(assessor) for _ in range(5)]
    for assessment in made:
        make(assessment)
    # One task compares fewer assessments at a time than there are.
    monkeypatch.setattr(outdated, "AT_ONCE", 2)
    with committing():
        office = Office.current()
        office.address = "1 Long Street\nCape Town"
        office.save()
    for assessment in made:
        assert marked(assessment) == {REPORT, ESTIMATE, PHOTOS_PDF}
        assert words(assessment, REPORT).startswith("Office changed ")


def test_the_newest_assessments_of_a_shared_row_are_marked_though_all_workers_are_busy(
    assessor: User, django_capture_on_commit_callbacks: Committing
) -> None:
    made = [cast.make_assessment(assessor, photos=1) for _ in range(outdated.NEWEST + 1)]
    for assessment in made:
        make(assessment)
    client = Client.objects.get()
    client.name = "Another insurer"
    # The tasks stay in the queue.
    with django_capture_on_commit_callbacks(execute=True):
        client.save()
    assert [marked(assessment) for assessment in made] == [set(), *[{REPORT, ESTIMATE, PHOTOS_PDF}] * outdated.NEWEST]


def test_signing_in_compares_nothing(assessment: Assessment, committing: Committing, client: Visitor) -> None:
    make(assessment)
    with committing() as callbacks:
        assert client.login(username="assessor", password=cast.PASSWORD)
    assert callbacks == []


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ([], ""),
        (["valuation"], "Values"),
        (["report_number", "estimate"], "Report number and estimate"),
        (["client", "claim", "vehicle"], "Client, claim and 1 other part"),
        (["client", "claim", "vehicle", "notes"], "Client, claim and 2 other parts"),
    ],
)
def test_the_message_names_the_changed_parts(parts: list[str], sentence: str) -> None:
    assert outdated.in_words(parts) == sentence
