"""The office enters all data of an assessment in one place, and asks for documents by the hundred."""

import html
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, connection
from django.db.models.signals import pre_save
from django.http import HttpResponse
from django.test import Client as Visitor
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from assessments.documents import queue, tasks
from assessments.models import (
    Assessment,
    AuditEntry,
    Batch,
    BulkRequest,
    Client,
    Document,
    DocumentVersion,
    Estimate,
    EstimateLine,
    Heartbeat,
    Office,
    Photo,
    Repairer,
)

from .cast import add_photos, look_at, make_assessment, make_person, picture

LIST = "/admin/assessments/assessment/"
PROGRESS = f"{LIST}progress/"


@pytest.fixture
def office(staff: User) -> Visitor:
    return visitor_of(staff)


@pytest.fixture
def onlooker(db: None) -> Visitor:
    """Staff who may look at everything and change nothing."""
    person = User.objects.create_user("onlooker", is_staff=True)
    person.user_permissions.set(
        Permission.objects.filter(content_type__app_label="assessments", codename__startswith="view_")
    )
    return visitor_of(person)


def visitor_of(person: User) -> Visitor:
    visitor = Visitor()
    visitor.force_login(person)
    return visitor


# Django writes each tag in one form: attributes in double quotes, and no ">" within them.
TAG = re.compile(r"<(input|select|option|textarea)\b([^>]*)>(?:([^<]*)</textarea>)?")
ATTRIBUTE = re.compile(r'([a-z-]+)(?:="([^"]*)")?')


def form_values(page: str) -> dict[str, str]:
    """What a browser would send of the forms of a page, as they are.

    A parser of HTML would take seconds for each page of hundreds of fields.
    """
    values: dict[str, str] = {}
    inside = ""
    for tag, attributes, text in TAG.findall(page):
        facts = {name: html.unescape(value) for name, value in ATTRIBUTE.findall(attributes)}
        name = facts.get("name", "")
        if tag == "input" and name and "disabled" not in facts:
            ticked = facts.get("type") not in {"checkbox", "radio"} or "checked" in facts
            if ticked and facts.get("type") not in {"submit", "file"}:
                values[name] = facts.get("value", "")
        if tag == "textarea":
            values[name] = html.unescape(text.removeprefix("\n"))
        if tag == "select":
            inside = name
            values.setdefault(name, "")
        if tag == "option" and "selected" in facts:
            values[inside] = facts.get("value", "")
    return values


def fields_of(visitor: Visitor, address: str) -> dict[str, str]:
    response = visitor.get(address)
    assert response.status_code == 200
    found = form_values(response.content.decode())
    return {name: value for name, value in found.items() if "__prefix__" not in name}


def change_page(assessment: Assessment) -> str:
    return f"{LIST}{assessment.pk}/change/"


def act(visitor: Visitor, action: str, *assessments: Assessment, **more: str) -> HttpResponse:
    chosen = [assessment.pk for assessment in assessments]
    return visitor.post(LIST, {"action": action, "_selected_action": chosen, **more})  # type: ignore[return-value]


def live_page(*assessments: Assessment) -> str:
    """The address of the live page of what somebody else chose."""
    somebody = User.objects.get_or_create(username="somebody")[0]
    bulk_request = BulkRequest.begin(BulkRequest.Action.GENERATE, assessments, by=somebody)
    return f"{PROGRESS}{bulk_request.pk}/"


def told(response: HttpResponse) -> list[str]:
    return re.findall(r'<li class="(?:success|info|warning|error)">(.*?)</li>', response.content.decode())


def statuses(assessment: Assessment) -> list[str]:
    return list(assessment.documents.order_by("position").values_list("status", flat=True))


def fail_all(assessment: Assessment) -> None:
    queue.request(assessment)
    while attempt := queue.claim(assessment.pk):
        attempt.fail("This assessment has no photos. Add photos, then retry.")


# Entering data --------------------------------------------------------------------------------------------------------


def test_all_data_of_an_assessment_is_entered_on_one_page(office: Visitor, staff: User) -> None:
    client = Client.objects.create(name="Karoo Insurance")
    repairer = Repairer.objects.create(name="Bayside Panelbeaters")
    add = f"{LIST}add/"
    values = fields_of(office, add) | {
        "client": client.pk,
        "claim_number": "KI-1",
        "excess": "3500.00",
        "insured_name": "Thandi Mokoena",
        "incident_on": "2026-02-27",
        "vehicle-0-make": "Toyota",
        "vehicle-0-model": "Corolla",
        "vehicle-0-year": "2021",
        "valuation-0-retail": "278000",
        "estimate-0-repairer": repairer.pk,
        "estimate-0-labour_rate": "480",
        **rows("tyres", position="spare", size="205/55 R16", tread="5.5"),
        **rows("accessories", kind="custom", name="Roof tent", value="9000"),
        **rows("damage", area="structural", kind="hail", severity="minor"),
    }
    response = office.post(add, values)
    assert response.status_code == 302, errors_in(response)
    assessment = Assessment.objects.get()
    assert re.fullmatch(r"ASM-\d{4}-001", assessment.number)
    assert assessment.assessor == staff
    assert (assessment.excess, assessment.vehicle.year) == (Decimal(3500), 2021)
    assert (assessment.valuation.retail, assessment.estimate.labour_rate) == (Decimal(278000), Decimal(480))
    assert [str(tyre) for tyre in assessment.tyres.all()] == ["Spare"]
    assert [str(accessory) for accessory in assessment.accessories.all()] == ["Roof tent"]
    assert [str(damage) for damage in assessment.damage.all()] == ["Minor hail damage"]
    assert statuses(assessment) == ["idle"] * 4


def rows(prefix: str, **values: Any) -> dict[str, Any]:
    """One row more in an inline that had none."""
    return {f"{prefix}-TOTAL_FORMS": 1, **{f"{prefix}-0-{name}": value for name, value in values.items()}}


def errors_in(response: Any) -> str:
    """What the page says is wrong, without its HTML."""
    lists = re.findall(r'<ul class="errorlist.*?</ul>', response.content.decode(), re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", text) for text in lists)


def test_a_complete_assessment_is_saved_as_it_is_without_an_error(office: Visitor, assessment: Assessment) -> None:
    values = fields_of(office, change_page(assessment))
    response = office.post(change_page(assessment), values)
    assert response.status_code == 302, errors_in(response)
    assert (assessment.tyres.count(), assessment.photos.count(), assessment.documents.count()) == (5, 3, 4)


def test_the_lines_are_entered_on_the_page_of_the_estimate_which_shows_its_total(
    office: Visitor, assessment: Assessment
) -> None:
    page = reverse("admin:assessments_estimate_change", args=[assessment.estimate.pk])
    assert page in office.get(change_page(assessment)).content.decode()
    assert change_page(assessment) in office.get(page).content.decode()
    values = fields_of(office, page) | {"lines-0-part_price": "5000.00"}
    assert office.post(page, values).status_code == 302
    assert assessment.estimate.lines.get(position=0).part_price == Decimal("5000.00")
    # 5,000 + 2,750 + 2,000 + 1,000 + 750 + 1,250, markups 1,250 and 312.50, sundries 1 %, VAT 15 %; excess 3,500.
    assert "R 16 623.97; net payable R 13 123.97" in " ".join(office.get(page).content.decode().split())


def test_an_estimate_of_300_lines_is_saved(office: Visitor, assessment: Assessment) -> None:
    EstimateLine.objects.bulk_create(
        EstimateLine(estimate=assessment.estimate, position=10 + n, process_type="A", description=f"Line {n}")
        for n in range(294)
    )
    page = reverse("admin:assessments_estimate_change", args=[assessment.estimate.pk])
    response = office.post(page, fields_of(office, page) | {"lines-299-labour_hours": "2.00"})
    assert response.status_code == 302
    assert assessment.estimate.lines.get(description="Line 293").labour_hours == Decimal(2)


def test_an_assessment_of_250_photos_is_saved(office: Visitor, assessment: Assessment) -> None:
    photo = assessment.photos.all()[0]
    Photo.objects.bulk_create(
        Photo(**{**values_of(photo), "caption": f"Photo {number}", "position": 10 + number}) for number in range(247)
    )
    values = fields_of(office, change_page(assessment)) | {"photos-249-caption": "The last one"}
    assert office.post(change_page(assessment), values).status_code == 302
    assert assessment.photos.filter(caption="The last one").count() == 1


def values_of(photo: Photo) -> dict[str, Any]:
    return {field.attname: getattr(photo, field.attname) for field in Photo._meta.concrete_fields if field.name != "id"}


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"excess": "-1"}, "greater than or equal to 0"),
        ({"client": "4711"}, "Select a valid choice"),
        ({"vehicle-0-year": "1066"}, "greater than or equal to 1900"),
        ({"vehicle-0-odometer": "9" * 30}, "less than or equal to"),
        ({"valuation-0-retail": "-5"}, "greater than or equal to 0"),
        ({"valuation-0-adjustment": "NaN"}, "Enter a number"),
        ({"tyres-1-position": "right_front"}, "already exists"),
        ({"accessories-0-kind": "custom", "accessories-0-name": ""}, "A custom accessory needs a name."),
        ({"damage-0-kind": "rust"}, "Select a valid choice"),
        ({"estimate-0-vat_percent": "101"}, "less than or equal to 100"),
        ({"estimate-0-currency": "Rand"}, "at most 3 characters"),
        ({"photos-0-section": "selfies"}, "Select a valid choice"),
        ({"photos-0-position": "-1"}, "greater than or equal to 0"),
    ],
    ids=lambda case: "-".join(case) if isinstance(case, dict) else None,
)
def test_a_wrong_value_is_an_error_of_the_form(
    office: Visitor, assessment: Assessment, wrong: dict[str, str], reason: str
) -> None:
    response = office.post(change_page(assessment), fields_of(office, change_page(assessment)) | wrong)
    assert response.status_code == 200
    assert reason in errors_in(response)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"lines-0-part_type": ""}, "A new part needs a part type"),
        ({"lines-1-part_type": "OEM"}, "only a new part has one"),
        ({"lines-2-paint_panels": "-1"}, "greater than or equal to 0"),
        ({"lines-3-betterment_paint": "100.5"}, "less than or equal to 100"),
        ({"labour_rate": "-1"}, "greater than or equal to 0"),
    ],
    ids=lambda case: "-".join(case) if isinstance(case, dict) else None,
)
def test_a_wrong_line_is_an_error_of_the_form(
    office: Visitor, assessment: Assessment, wrong: dict[str, str], reason: str
) -> None:
    page = reverse("admin:assessments_estimate_change", args=[assessment.estimate.pk])
    response = office.post(page, fields_of(office, page) | wrong)
    assert response.status_code == 200
    assert reason in errors_in(response)


@pytest.mark.parametrize("where", ["the assessment", "the estimate"])
def test_frozen_rates_are_an_error_of_the_form(office: Visitor, assessment: Assessment, where: str) -> None:
    Assessment.objects.update(status=Assessment.Status.SUBMITTED)
    page, name = (
        (change_page(assessment), "estimate-0-labour_rate")
        if where == "the assessment"
        else (reverse("admin:assessments_estimate_change", args=[assessment.estimate.pk]), "labour_rate")
    )
    response = office.post(page, fields_of(office, page) | {name: "1.00"})
    assert response.status_code == 200
    assert "frozen" in errors_in(response)
    assert Estimate.objects.get().labour_rate == Decimal(500)


def test_a_frozen_estimate_cannot_be_deleted_to_get_round_it(office: Visitor, assessment: Assessment) -> None:
    page = reverse("admin:assessments_estimate_delete", args=[assessment.estimate.pk])
    Assessment.objects.update(status=Assessment.Status.SUBMITTED)
    assert office.post(page, {"post": "yes"}).status_code == 403
    several = {"action": "delete_selected", "_selected_action": [assessment.estimate.pk], "post": "yes"}
    assert office.post(reverse("admin:assessments_estimate_changelist"), several).status_code == 403
    assert Estimate.objects.exists()
    Assessment.objects.update(status=Assessment.Status.IN_PROGRESS)
    assert office.post(page, {"post": "yes"}).status_code == 302
    assert not Estimate.objects.exists()


def test_two_who_save_at_once_are_told_so(office: Visitor) -> None:
    """The other one's row arrives between the check of the form and the save."""

    def rival(sender: Any, **options: Any) -> None:
        pre_save.disconnect(rival, sender=Client)
        Client.objects.create(name="Karoo Insurance")

    pre_save.connect(rival, sender=Client)
    add = reverse("admin:assessments_client_add")
    response = office.post(add, fields_of(office, add) | {"name": "Karoo Insurance"}, follow=True)
    assert response.status_code == 200
    assert "somebody else" in told(response)[0]  # type: ignore[arg-type]


def test_a_name_that_is_taken_is_an_error_of_the_form(office: Visitor, assessment: Assessment) -> None:
    add = reverse("admin:assessments_client_add")
    response = office.post(add, fields_of(office, add) | {"name": "Karoo Insurance"})
    assert "already exists" in errors_in(response)


def test_a_client_of_assessments_cannot_be_deleted_and_the_page_says_why(
    office: Visitor, assessment: Assessment
) -> None:
    page = reverse("admin:assessments_client_delete", args=[assessment.client_id])
    assert assessment.number in office.get(page).content.decode()
    assert office.post(page, {"post": "yes"}).status_code == 200
    assert Client.objects.exists()


# Photos ---------------------------------------------------------------------------------------------------------------


def stored_files() -> set[Path]:
    return {path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()}


def test_photos_are_uploaded_on_the_page_of_the_assessment_and_the_form_takes_none(
    office: Visitor, assessment: Assessment
) -> None:
    page = office.get(change_page(assessment)).content.decode()
    assert f'<a href="/assessments/{assessment.number}/#photos">Upload photos</a>' in page
    assert 'type="file"' not in page
    values = fields_of(office, change_page(assessment)) | {
        "photos-TOTAL_FORMS": 4,
        "photos-3-section": "damage",
        "photos-3-original": SimpleUploadedFile("IMG_1.jpg", picture(1)),
    }
    files = stored_files()
    assert office.post(change_page(assessment), values).status_code == 302
    assert assessment.photos.count() == 3
    assert stored_files() == files


def test_the_form_shows_the_state_of_each_photo_and_why_one_is_unreadable(
    office: Visitor, assessment: Assessment
) -> None:
    new, ready, unreadable = assessment.photos.all()
    look_at(ready)
    unreadable.original.delete(save=False)
    look_at(unreadable)
    page = office.get(change_page(assessment)).content.decode()
    assert page.count("Being looked at") == 1
    assert f'src="/assessments/{assessment.number}/photos/{ready.pk}/thumbnail/"' in page
    assert f"{ready.name}, 320 x 240 px, " in page
    assert "The file is missing. Upload the photo again." in page
    assert f"{new.name}, 320 x 240 px, " in page


@pytest.mark.django_db(transaction=True)
def test_a_photo_that_is_removed_takes_its_files_along() -> None:
    assessment = make_assessment(make_person("assessor"), photos=1)
    office = visitor_of(make_person("staff", is_staff=True))
    look_at(assessment.photos.get())
    assert len(stored_files()) == 3
    values = fields_of(office, change_page(assessment)) | {"photos-0-DELETE": "on"}
    assert office.post(change_page(assessment), values).status_code == 302
    assert not assessment.photos.exists()
    assert stored_files() == set()


def test_a_photo_is_moved_and_gets_a_caption_without_touching_its_file(office: Visitor, assessment: Assessment) -> None:
    before = assessment.photos.values("original", "sha256", "name", "size").first()
    moved = {"photos-0-caption": "The bonnet", "photos-0-position": "7", "photos-0-section": "additionals"}
    values = fields_of(office, change_page(assessment)) | moved
    assert office.post(change_page(assessment), values).status_code == 302
    photo = assessment.photos.get(caption="The bonnet")
    assert (photo.position, photo.section) == (7, "additionals")
    assert {name: str(getattr(photo, name)) for name in before or {}} == {k: str(v) for k, v in (before or {}).items()}


# Lists ----------------------------------------------------------------------------------------------------------------

ALL_LISTS = [
    "assessment",
    "attempt",
    "batch",
    "client",
    "document",
    "documentversion",
    "estimate",
    "heartbeat",
    "repairer",
]


def with_history(assessment: Assessment) -> None:
    """Documents made and failed, each with its attempt."""
    queue.request(assessment, by=assessment.assessor, origin="page")
    while attempt := queue.claim(assessment.pk):
        if attempt.document.kind == "report":
            attempt.fail("The report broke.")
        else:
            attempt.finish(size=3, sha256="0" * 64, message="1 page", pages=1)


@pytest.mark.parametrize("name", ALL_LISTS)
def test_a_list_takes_as_many_queries_for_six_assessments_as_for_two(
    office: Visitor, assessor: User, name: str
) -> None:
    address = reverse(f"admin:assessments_{name}_changelist")
    counts: list[int] = []
    for _ in range(2):
        for _ in range(2 if not counts else 4):
            with_history(make_assessment(assessor, photos=0))
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert office.get(address).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 15


def test_the_page_of_an_assessment_takes_as_many_queries_for_20_photos_as_for_3(
    office: Visitor, assessment: Assessment
) -> None:
    with_history(assessment)
    # The first page of a process asks for it, and Django remembers it.
    ContentType.objects.get_for_model(Assessment)
    counts = []
    for more in (0, 17):
        add_photos(assessment, more)
        with CaptureQueriesContext(connection) as queries:
            assert office.get(change_page(assessment)).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 30


def test_every_page_of_the_app_opens(office: Visitor, assessment: Assessment) -> None:
    with_history(assessment)
    Heartbeat.beat(Heartbeat.Role.WORKER)
    Office(pk=1).save()
    tasks.cancel_many([assessment])
    tasks.request(assessment, origin="page")
    live_page(assessment)
    for model in apps.get_app_config("assessments").get_models():
        if not admin.site.is_registered(model):
            continue
        name = f"admin:assessments_{model._meta.model_name}"
        row = model._default_manager.first()
        assert row is not None
        assert office.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200
        assert office.get(reverse(f"{name}_changelist"), follow=True).status_code == 200


@pytest.mark.parametrize("word", ["ASM-", "KI-88123", "CA 123-456", "Corolla", "Karoo", "Mokoena", "AHTBB3JE"])
def test_an_assessment_is_found_by(office: Visitor, assessment: Assessment, word: str) -> None:
    assert assessment.number in office.get(LIST, {"q": word}).content.decode()
    assert assessment.number not in office.get(LIST, {"q": f"{word}-not"}).content.decode()


def test_the_list_is_filtered_by_the_state_of_the_documents(office: Visitor, assessor: User) -> None:
    idle, running, failed, ready = (Assessment.objects.create(assessor=assessor) for _ in range(4))
    queue.request(running)
    fail_all(failed)
    ready.documents.update(status="success")
    found = {
        state: set(re.findall(r"ASM-\d{4}-\d{3}", office.get(LIST, {"documents": state}).content.decode()))
        for state in ("failed", "running", "ready", "missing")
    }
    assert found == {
        "failed": {failed.number},
        "running": {running.number},
        "ready": {ready.number},
        "missing": {idle.number},
    }


def test_the_list_says_how_the_documents_are_in_words(office: Visitor, assessment: Assessment) -> None:
    with_history(assessment)
    assert "1 failed, 3 ready" in office.get(LIST).content.decode()


def test_user_text_is_escaped(office: Visitor, assessment: Assessment) -> None:
    assessment.vehicle.make = "<b>Toyota</b>"
    assessment.vehicle.save()
    assessment.photos.update(name="<b>photo</b>.jpg", caption="<b>caption</b>")
    assessment.documents.filter(kind="report").update(status="error", error="<b>error</b>")
    for address in (LIST, change_page(assessment), live_page(assessment)):
        assert not re.findall("<b>(Toyota|photo|caption|error)", office.get(address).content.decode())


# What nobody does by hand ---------------------------------------------------------------------------------------------


def test_slots_are_neither_added_nor_deleted_nor_changed_by_hand(office: Visitor, assessment: Assessment) -> None:
    slot = assessment.documents.get(kind="report")
    page = reverse("admin:assessments_document_change", args=[slot.pk])
    assert office.get(reverse("admin:assessments_document_add")).status_code == 403
    assert office.post(page, {"status": "success"}).status_code == 403
    assert office.post(reverse("admin:assessments_document_delete", args=[slot.pk]), {"post": "yes"}).status_code == 403
    values = fields_of(office, change_page(assessment)) | {"documents-0-DELETE": "on", "documents-0-status": "success"}
    office.post(change_page(assessment), values)
    assert statuses(assessment) == ["idle"] * 4


def test_an_assessment_is_cancelled_not_deleted(office: Visitor, assessment: Assessment) -> None:
    assert office.post(f"{LIST}{assessment.pk}/delete/", {"post": "yes"}).status_code == 403
    assert "delete_selected" not in office.get(LIST).content.decode()
    assert Assessment.objects.exists()


def test_there_is_one_office(office: Visitor) -> None:
    changelist, page = (
        reverse("admin:assessments_office_changelist"),
        reverse("admin:assessments_office_change", args=[1]),
    )
    for _ in range(2):
        assert office.get(changelist).headers["Location"] == page
    assert office.post(page, fields_of(office, page) | {"name": "Cape Assessors"}).status_code == 302
    assert (Office.objects.get().pk, Office.current().name) == (1, "Cape Assessors")
    assert office.get(reverse("admin:assessments_office_add")).status_code == 403
    response = office.post(page, fields_of(office, page) | {"accent_colour": "blue"})
    assert "six hexadecimal digits" in errors_in(response)


def test_an_older_version_can_be_downloaded(office: Visitor, assessment: Assessment) -> None:
    with_history(assessment)
    queue.request(assessment, ["estimate"])
    with_history(assessment)
    first, second = DocumentVersion.objects.filter(document__kind="estimate").order_by("number")
    page = office.get(reverse("admin:assessments_documentversion_change", args=[first.pk])).content.decode()
    assert f"/assessments/{assessment.number}/documents/estimate/?version=1&amp;download=1" in page
    page = office.get(reverse("admin:assessments_documentversion_change", args=[second.pk])).content.decode()
    assert "?version=2&amp;download=1" in page


@pytest.mark.parametrize("key", ["abc", "\0", "9" * 30, "9" * 5000, "-1", "\u0661"])
def test_a_selection_that_is_no_primary_key_is_refused_in_words_and_asks_for_nothing(
    office: Visitor, assessment: Assessment, key: str
) -> None:
    page = live_page(assessment)
    asked: list[tuple[str, dict[str, str]]] = [(page, {step: key}) for step in ("generate", "retry", "cancel")]
    for name in ("assessment", "client", "repairer", "estimate"):
        action = "delete_selected" if name == "client" else "generate_documents"
        changelist = reverse(f"admin:assessments_{name}_changelist")
        asked.append((changelist, {"action": action, "_selected_action": key}))
    fail_all(assessment)
    for address, form in asked:
        answer = office.post(address, form)
        assert answer.status_code == 400
        assert "incomplete or malformed, and nothing of it was saved" in answer.content.decode()
    assert statuses(assessment) == ["error"] * 4
    assert (BulkRequest.objects.count(), AuditEntry.objects.count(), Client.objects.count()) == (1, 0, 1)


# Who may --------------------------------------------------------------------------------------------------------------


def test_an_assessor_is_sent_to_the_login(assessment: Assessment) -> None:
    visitor = visitor_of(assessment.assessor)
    for address in (LIST, change_page(assessment), live_page(assessment)):
        assert visitor.get(address).headers["Location"].startswith("/admin/login/")


def test_who_may_only_look_sees_everything_and_starts_nothing(onlooker: Visitor, assessment: Assessment) -> None:
    fail_all(assessment)
    page = live_page(assessment)
    assert onlooker.get(change_page(assessment)).status_code == 200
    assert 'name="retry"' not in onlooker.get(page).content.decode()
    for action in ("generate_documents", "retry_failed", "cancel_documents"):
        act(onlooker, action, assessment)
    for step in ("generate", "retry", "cancel"):
        assert onlooker.post(page, {step: assessment.pk}).status_code == 403
    assert onlooker.post(change_page(assessment), {"notes": "x"}).status_code == 403
    assert statuses(assessment) == ["error"] * 4


def test_staff_without_any_permission_see_nothing(assessment: Assessment) -> None:
    visitor = visitor_of(User.objects.create_user("temp", is_staff=True))
    assert visitor.get(LIST).status_code == 403
    assert visitor.get(live_page(assessment)).status_code == 403


def test_staff_choose_the_assessor_without_a_permission_on_users(office: Visitor, assessor: User) -> None:
    assert f'<option value="{assessor.pk}">assessor</option>' in office.get(f"{LIST}add/").content.decode()


# Asking for documents -------------------------------------------------------------------------------------------------


def test_generate_asks_for_all_and_leads_to_the_live_page(office: Visitor, staff: User, assessor: User) -> None:
    chosen = [Assessment.objects.create(assessor=assessor) for _ in range(3)]
    response = act(office, "generate_documents", *chosen)
    bulk_request = BulkRequest.objects.get()
    assert response.headers["Location"] == f"{PROGRESS}{bulk_request.pk}/"
    assert (bulk_request.requested_by, bulk_request.action) == (staff, "generate")
    assert abs(timezone.now() - bulk_request.requested_at) < timedelta(minutes=1)
    assert set(bulk_request.assessments.all()) == set(chosen)
    assert [statuses(assessment) for assessment in chosen] == [["pending"] * 4] * 3
    batches = {(batch.requested_by, batch.origin, batch.bulk_request) for batch in Batch.objects.all()}
    assert batches == {(staff, "admin", bulk_request)}


def test_what_runs_already_is_joined_and_the_page_says_so(office: Visitor, assessor: User) -> None:
    running, idle = (Assessment.objects.create(assessor=assessor) for _ in range(2))
    queue.request(running)
    response = act(office, "generate_documents", running, idle, follow="yes")
    page = office.get(response.headers["Location"])
    assert told(page) == [  # type: ignore[arg-type]
        "Documents asked for: 1 assessment.",
        f"Some were being made already, which this joined: 1 assessment ({running.number}).",
    ]
    assert Batch.objects.get(assessment=running).bulk_request is None
    assert set(rows_of(page)) == {str(running.pk), str(idle.pk)}


def test_retry_asks_for_what_failed_alone_and_says_what_was_skipped(office: Visitor, assessor: User) -> None:
    failed, idle = (Assessment.objects.create(assessor=assessor) for _ in range(2))
    with_history(failed)
    response = act(office, "retry_failed", failed, idle)
    assert statuses(failed) == ["pending", "success", "success", "success"]
    assert statuses(idle) == ["idle"] * 4
    assert told(office.get(response.headers["Location"])) == [  # type: ignore[arg-type]
        f"Failed documents asked for again: 1 assessment ({failed.number}).",
        f"Skipped, because no document failed: 1 assessment ({idle.number}).",
    ]


def test_cancel_takes_back_what_waits_and_says_what_was_skipped(office: Visitor, assessor: User) -> None:
    waiting, idle = (Assessment.objects.create(assessor=assessor) for _ in range(2))
    queue.request(waiting)
    response = act(office, "cancel_documents", waiting, idle)
    assert statuses(waiting) == ["idle"] * 4
    assert told(office.get(response.headers["Location"])) == [  # type: ignore[arg-type]
        f"Documents cancelled: 1 assessment ({waiting.number}).",
        f"Skipped, because nothing was waiting or being made: 1 assessment ({idle.number}).",
    ]


def test_a_message_names_the_first_few_and_counts_the_rest(office: Visitor, assessor: User) -> None:
    idle = [Assessment.objects.create(assessor=assessor) for _ in range(8)]
    page = office.get(act(office, "retry_failed", *idle).headers["Location"])
    assert "8 assessments (ASM-" in told(page)[0]  # type: ignore[arg-type]
    assert told(page)[0].endswith("and 3 more).")  # type: ignore[arg-type]


def test_an_action_needs_a_post_with_a_token(staff: User, assessment: Assessment) -> None:
    strict = Visitor(enforce_csrf_checks=True)
    strict.force_login(staff)
    assert act(strict, "generate_documents", assessment).status_code == 403
    assert strict.post(live_page(assessment), {"generate": assessment.pk}).status_code == 403
    assert statuses(assessment) == ["idle"] * 4


@pytest.mark.parametrize(
    ("state", "action", "before", "after"),
    [
        ("failed", "retry_failed", "error", "pending"),
        ("running", "cancel_documents", "pending", "idle"),
        ("missing", "generate_documents", "idle", "pending"),
    ],
)
def test_all_of_a_filtered_list_stay_on_the_page_though_the_action_empties_the_filter(
    office: Visitor, assessor: User, state: str, action: str, before: str, after: str
) -> None:
    made = many(assessor, 3)
    chosen = made[:2]
    Document.objects.update(status="success")
    Document.objects.filter(assessment__in=chosen).update(status=before)
    form = {"action": action, "_selected_action": [made[0].pk], "select_across": "1"}
    response = office.post(f"{LIST}?documents={state}", form)
    page = office.get(response.headers["Location"])
    assert set(rows_of(page)) == {str(assessment.pk) for assessment in chosen}
    assert "2 assessments" in page.content.decode()
    assert [statuses(assessment)[0] for assessment in made] == [after, after, "success"]
    assert not rows_of(office.get(f"{LIST}?documents={state}"))


def test_what_is_interrupted_is_on_a_page_that_shows_all_that_was_chosen(office: Visitor, assessor: User) -> None:
    many(assessor, 250)
    begun = []

    def go_away(execute: Callable[..., Any], sql: str, *more: Any) -> Any:
        begun.append(sql.startswith('INSERT INTO "assessments_batch"'))
        if begun[-1] and sum(begun) > 1:
            raise OperationalError("The server closed the connection unexpectedly")
        return execute(sql, *more)

    with connection.execute_wrapper(go_away), pytest.raises(OperationalError):
        act(office, "generate_documents", *Assessment.objects.all())
    page = office.get(f"{PROGRESS}{BulkRequest.objects.get().pk}/").content.decode()
    assert "250 assessments" in page
    assert "0 of 1000 documents ready, 400 waiting or being made" in page


# The live page --------------------------------------------------------------------------------------------------------


def rows_of(page: Any) -> list[str]:
    """The keys of the assessments that a page of theirs has rows of."""
    return re.findall(r'<tr id="assessment-(\d+)"', page.content.decode())


def cells(page: str) -> list[tuple[str, str]]:
    return re.findall(r'data-document="(.*?)" data-status="(.*?)"', page)


def test_the_live_page_shows_each_assessment_with_its_four_documents_in_words(
    office: Visitor, assessment: Assessment
) -> None:
    with_history(assessment)
    page = office.get(live_page(assessment)).content.decode()
    assert cells(page) == [
        ("report", "error"),
        ("estimate", "success"),
        ("photos-pdf", "success"),
        ("photos-zip", "success"),
    ]
    for words in (assessment.number, "Corolla", "CA 123-456", "assessor", "Failed", "Ready", "The report broke."):
        assert words in page
    assert "3 of 4 documents ready, 1 failed" in page
    assert "Retry failed (1)" in page


def test_it_looks_again_while_something_runs_and_then_stops(office: Visitor, assessment: Assessment) -> None:
    address = live_page(assessment)
    act(office, "generate_documents", assessment)
    page = office.get(address).content.decode()
    assert 'hx-trigger="every 1s"' in page
    assert '<noscript><meta http-equiv="refresh"' in page
    fragment = office.get(address, headers={"HX-Request": "true"}).content.decode()
    assert 'id="now"' in fragment
    assert "<html" not in fragment
    act(office, "cancel_documents", assessment)
    for headers in ({}, {"HX-Request": "true"}):
        page = office.get(address, headers=headers).content.decode()
        assert "hx-get" not in page
        assert "refresh" not in page


def test_a_fragment_for_one_who_has_signed_out_sends_the_whole_page_to_the_login(assessment: Assessment) -> None:
    response = Visitor().get(live_page(assessment), headers={"HX-Request": "true"})
    assert response.headers["HX-Refresh"] == "true"
    assert assessment.number not in response.content.decode()


def test_the_bar_moves_with_the_documents_of_the_whole_batch(office: Visitor, assessor: User) -> None:
    one, other = (Assessment.objects.create(assessor=assessor) for _ in range(2))
    address = act(office, "generate_documents", one, other).headers["Location"]

    def percent() -> str:
        return str(re.findall(r'id="whole" max="100" value="(\d+)"', office.get(address).content.decode())[0])

    assert percent() == "0"
    attempt = queue.claim(one.pk)
    assert attempt is not None
    attempt.report(40, "Writing")
    assert percent() == "5"
    attempt.finish(size=3, sha256="0" * 64)
    assert percent() == "12"
    with_history(one)
    with_history(other)
    assert percent() == "100"


def test_the_page_is_filtered_by_what_failed_and_what_runs(office: Visitor, assessor: User) -> None:
    running, failed, idle = (Assessment.objects.create(assessor=assessor) for _ in range(3))
    queue.request(running)
    fail_all(failed)
    address = live_page(running, failed, idle)

    def shown(show: str) -> set[str]:
        return set(rows_of(office.get(address, {"show": show})))

    everything = {str(assessment.pk) for assessment in (running, failed, idle)}
    assert shown("all") == everything
    assert shown("failed") == {str(failed.pk)}
    assert shown("running") == {str(running.pk)}
    assert shown("nonsense") == everything


@pytest.mark.parametrize("which", ["one", "all"])
def test_the_buttons_of_the_page_retry_and_cancel_one_or_all(office: Visitor, assessor: User, which: str) -> None:
    one, other = (Assessment.objects.create(assessor=assessor) for _ in range(2))
    outsider = Assessment.objects.create(assessor=assessor)
    for assessment in (one, other, outsider):
        fail_all(assessment)
    address = live_page(one, other)
    value = str(one.pk) if which == "one" else "all"
    response = office.post(address, {"retry": value})
    assert response.headers["Location"] == address
    begun, left = ["pending"] * 4, ["error"] * 4
    assert [statuses(a) for a in (one, other, outsider)] == [begun, begun if which == "all" else left, left]
    assert Batch.objects.latest("pk").bulk_request == BulkRequest.objects.get()
    office.post(address, {"cancel": value})
    assert statuses(one) == ["idle"] * 4


def test_a_button_does_not_reach_beyond_the_assessments_of_the_page(office: Visitor, assessor: User) -> None:
    mine, outsider = (Assessment.objects.create(assessor=assessor) for _ in range(2))
    office.post(live_page(mine), {"generate": outsider.pk})
    assert statuses(outsider) == ["idle"] * 4


@pytest.mark.parametrize("key", ["x", "1-", "-1", "4711", "9" * 30, "9" * 5000, "1.0", "%D9%A1x", "1,2"])
def test_an_address_that_names_no_bulk_request_is_not_found(office: Visitor, assessment: Assessment, key: str) -> None:
    live_page(assessment)
    address = f"{PROGRESS}{key}/"
    assert office.get(address).status_code == 404
    assert office.post(address, {"generate": "all"}).status_code == 404
    assert statuses(assessment) == ["idle"] * 4


def test_a_filter_that_finds_nothing_says_so(office: Visitor, assessment: Assessment) -> None:
    page = office.get(live_page(assessment), {"show": "failed"})
    assert "No assessment here." in page.content.decode()


# Bulk requests --------------------------------------------------------------------------------------------------------


def test_one_comes_back_to_the_live_page_by_the_list_of_bulk_requests(office: Visitor, assessor: User) -> None:
    made = many(assessor, 3)
    fail_all(made[0])
    first = act(office, "retry_failed", *made[:2]).headers["Location"]
    second = act(office, "generate_documents", *made).headers["Location"]
    page = office.get(reverse("admin:assessments_bulkrequest_changelist")).content.decode()
    assert re.findall(rf'href="({PROGRESS}\d+/)[^>]*>', page) == [second, first]
    rows = [" ".join(re.sub("<.*?>", " ", row).split()) for row in re.findall("<tr><th.*?</tr>", page)]
    assert re.search("staff Generate all 3 0 of 12 documents ready, 12 waiting or being made", rows[0])
    assert re.search("staff Retry the failed 2 0 of 8 documents ready, 8 waiting or being made", rows[1])
    assert "Retry the failed: asked for by staff" in office.get(first).content.decode()
    assert BulkRequest.objects.count() == 2


def test_a_batch_leads_to_the_live_page_that_it_was_begun_on(office: Visitor, assessment: Assessment) -> None:
    address = act(office, "generate_documents", assessment).headers["Location"]
    page = office.get(reverse("admin:assessments_batch_change", args=[Batch.objects.get().pk])).content.decode()
    [link] = re.findall(r'href="(/admin/assessments/bulkrequest/\d+/change/)"', page)
    assert f'href="{address}"' in office.get(link).content.decode()


def test_the_list_of_bulk_requests_takes_as_many_queries_for_many_as_for_one(office: Visitor, assessor: User) -> None:
    counts = []
    for number in (1, 9):
        for _ in range(number):
            live_page(*[Assessment.objects.create(assessor=assessor) for _ in range(number)])
        with CaptureQueriesContext(connection) as queries:
            office.get(reverse("admin:assessments_bulkrequest_changelist"))
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 12


def test_one_who_may_look_at_assessments_finds_the_bulk_requests_of_all(assessment: Assessment) -> None:
    person = User.objects.create_user("temp", is_staff=True)
    address, changelist = live_page(assessment), reverse("admin:assessments_bulkrequest_changelist")
    assert visitor_of(person).get(changelist).status_code == 403
    person.user_permissions.set(Permission.objects.filter(codename="view_assessment"))
    assert address in visitor_of(person).get(changelist).content.decode()
    assert assessment.number in visitor_of(person).get(address).content.decode()


def test_a_look_at_one_assessment_makes_no_bulk_request(office: Visitor, assessment: Assessment) -> None:
    link = f'<a href="/assessments/{assessment.number}/">4 not made yet</a>'
    for address in (LIST, change_page(assessment)):
        assert link in office.get(address).content.decode()
    assert not BulkRequest.objects.exists()


# Hundreds -------------------------------------------------------------------------------------------------------------


def many(assessor: User, count: int) -> list[Assessment]:
    made = Assessment.objects.bulk_create(
        Assessment(assessor=assessor, number=f"ASM-2026-{number:03}") for number in range(1, count + 1)
    )
    for assessment in made:
        assessment.documents.open_slots(assessment)
    return made


def test_hundreds_are_asked_for_at_once_and_none_is_left_out_silently(office: Visitor, assessor: User) -> None:
    many(assessor, 320)
    response = act(office, "generate_documents", *Assessment.objects.all()[:1], select_across="1")
    assert Document.objects.pending().count() == 4 * 320
    seen = set()
    for number in range(1, 8):
        page = office.get(response.headers["Location"], {"page": number})
        assert "320 assessments" in page.content.decode()
        seen |= set(rows_of(page))
    assert len(seen) == 320


def test_the_live_page_takes_as_many_queries_for_60_assessments_as_for_two(office: Visitor, assessor: User) -> None:
    made = many(assessor, 60)
    Document.objects.update(status="pending")
    counts = []
    for chosen in (made[:2], made):
        address = live_page(*chosen)
        with CaptureQueriesContext(connection) as queries:
            office.get(address, headers={"HX-Request": "true"})
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 12


def test_our_own_pages_have_no_inline_script_or_style(office: Visitor, assessment: Assessment) -> None:
    act(office, "generate_documents", assessment)
    for address in (LIST, change_page(assessment), live_page(assessment)):
        page = office.get(address)
        assert "default-src 'self'" in page.headers["Content-Security-Policy"]
        html = page.content.decode()
        assert not re.findall(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=|javascript:", html)
