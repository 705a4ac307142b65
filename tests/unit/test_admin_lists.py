"""The lists of the admin, the changes that nobody makes by hand, and the permissions."""

import html
import re
from datetime import UTC, datetime

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client as Visitor
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from assessments.documents import queue, tasks
from assessments.models import (
    Assessment,
    Attempt,
    AuditEntry,
    BulkRequest,
    Client,
    DocumentVersion,
    Heartbeat,
    Office,
)
from tests.cast import add_photos, make_assessment
from tests.office import (
    LIST,
    act,
    change_page,
    errors_in,
    fail_all,
    fields_of,
    live_page,
    statuses,
    visitor_of,
    with_history,
)

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


def test_a_list_takes_as_many_queries_for_six_assessments_as_for_two(office: Visitor, assessor: User) -> None:
    counts: dict[str, list[int]] = {name: [] for name in ALL_LISTS}
    for more in (2, 4):
        for _ in range(more):
            with_history(make_assessment(assessor, photos=0))
        for name, queried in counts.items():
            with CaptureQueriesContext(connection) as queries:
                assert office.get(reverse(f"admin:assessments_{name}_changelist")).status_code == 200
            queried.append(len(queries))
    for name, (for_two, for_six) in counts.items():
        assert for_two == for_six <= 15, name


def test_the_page_of_an_assessment_takes_as_many_queries_for_20_photos_as_for_3(
    office: Visitor, assessment: Assessment
) -> None:
    with_history(assessment)
    # The first page of a process queries the content type, and Django caches it.
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


@pytest.mark.parametrize(
    "word", ["ASM-", "KI-88123", "CA 123-456", "CA123456", "POL5521", "Corolla", "Karoo", "Mokoena", "AHTBB3JE"]
)
def test_the_search_finds_an_assessment_by_its_facts(office: Visitor, assessment: Assessment, word: str) -> None:
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


def test_the_list_shows_the_states_of_the_documents_in_words(office: Visitor, assessment: Assessment) -> None:
    with_history(assessment)
    assert "1 failed, 3 ready" in office.get(LIST).content.decode()
    DocumentVersion.objects.filter(document__kind="photos-pdf").update(missing=3)
    assert "1 failed, 3 ready, 3 photos missing" in office.get(LIST).content.decode()
    for address in ("/admin/assessments/document/", change_page(assessment)):
        assert "Ready, 3 photos missing" in office.get(address).content.decode()


def test_the_index_keeps_the_machinery_apart_from_the_things_of_the_office(office: Visitor) -> None:
    User.objects.update(is_superuser=True)
    for address in ("/admin/", "/admin/assessments/"):
        page = office.get(address).content.decode()
        start = page.index('id="content-main"')
        found: dict[str, list[str]] = {}
        for tag, words in re.findall(r'(class="section"|<th scope="row"[^>]*>\s*<a [^>]*)>([^<]+)<', page[start:]):
            if "section" in tag:
                found[words] = []
            else:
                found[list(found)[-1]].append(words)
        assert found["Assessments"] == [
            "Assessments",
            "Audit entries",
            "Bulk requests",
            "Clients",
            "Document versions",
            "Documents",
            "Estimates",
            "Office",
            "Repairers",
        ]
        machinery = ["Attempts", "Batches", "Heartbeats"]
        assert found["Machinery"] == (machinery if "assessments" in address else [*machinery, "Task Results"])


def test_staff_without_a_permission_on_the_machinery_see_no_group_of_it(db: None) -> None:
    clerk = User.objects.create_user("clerk", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename="view_assessment"))
    page = visitor_of(clerk).get("/admin/").content.decode()
    assert "Machinery" not in page
    assert ">Assessments<" in page


def test_lists_write_days_sizes_and_times_as_the_documents_do(office: Visitor, assessment: Assessment) -> None:
    with_history(assessment)
    moment = datetime(2026, 4, 3, 16, 5, tzinfo=UTC)
    DocumentVersion.objects.update(made_at=moment, size=1_234_567, seconds=3.14159)
    Attempt.objects.update(started_at=moment, seconds=61.4, cpu_seconds=2.25, peak_memory=200 * 2**20)
    for model in ("documentversion", "attempt"):
        changelist = reverse(f"admin:assessments_{model}_changelist")
        row = DocumentVersion.objects.latest("pk") if model == "documentversion" else Attempt.objects.latest("pk")
        page, form = (words_of(office, address) for address in (changelist, f"{changelist}{row.pk}/change/"))
        for text in (page, form):
            # 18:05 in Johannesburg.
            assert "3 April 2026, 18:05" in text
            assert not re.search("[ap]\\.m\\.", text)
        if model == "documentversion":
            assert "1.2 MB" in page
            assert "1.2 MB" in form
            assert "3.1 s" in form
        else:
            assert "1 min 1 s" in page
            for words in ("1 min 1 s", "2.2 s", "200.0 MB"):
                assert words in form


def test_pages_of_the_machinery_show_words_and_no_inner_values(office: Visitor, assessment: Assessment) -> None:
    with_history(assessment)
    tasks.retry_many([assessment], by=None, origin="admin")
    assessment.documents.update(expected_seconds=5.237604032998206)
    document = assessment.documents.get(kind="report")
    text = words_of(office, reverse("admin:assessments_document_change", args=[document.pk]))
    for inner in ("5.2376", "token", "Revision", "Attempts", "Lease", "Cancel requested"):
        assert inner not in text, inner
    attempt = Attempt.objects.latest("pk")
    text = words_of(office, reverse("admin:assessments_attempt_change", args=[attempt.pk]))
    assert attempt.reference in text
    assert str(attempt.token) not in text
    entry = AuditEntry.objects.get()
    for address in ("changelist", "change"):
        arguments = [entry.pk] if address == "change" else []
        text = words_of(office, reverse(f"admin:assessments_auditentry_{address}", args=arguments))
        assert "Assessment Report" in text
        assert "By at" not in text
        assert "by at" not in text
    Assessment.objects.create(assessor=assessment.assessor)
    page = office.get(LIST).content.decode()
    assert re.search(r">\s*No client\s*</a>", page)


def test_a_share_is_written_with_one_sign(office: Visitor, assessment: Assessment) -> None:
    page = words_of(office, reverse("admin:assessments_client_changelist"))
    for words in ("Borderline write-off", "65 %", "Total write-off", "70 %", "Salvage", "28 %"):
        assert words in page
    assert "%" not in re.sub(r"\d %", "", page)


def words_of(visitor: Visitor, address: str) -> str:
    """Return the words of a page as people read them, with every kind of space as one plain space."""
    response = visitor.get(address)
    assert response.status_code == 200
    main = response.content.decode().partition('<div id="content"')[2]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", main)).split())


def test_the_filters_offer_the_people_and_clients_that_have_assessments(
    office: Visitor, assessor: User, stranger: User
) -> None:
    with_client, without = Client.objects.create(name="Has one"), Client.objects.create(name="Has none")
    Assessment.objects.create(assessor=assessor, client=with_client)
    page = office.get(LIST).content.decode()
    assert f"client__id__exact={with_client.pk}" in page
    assert f"client__id__exact={without.pk}" not in page
    # One assessor alone is no choice.
    Assessment.objects.create(assessor=stranger)
    page = office.get(LIST).content.decode()
    assert f"assessor__id__exact={assessor.pk}" in page
    assert f"assessor__id__exact={stranger.pk}" in page


def test_the_office_sees_and_filters_what_is_out_of_date(office: Visitor, assessor: User) -> None:
    changed, fresh, failed = (make_assessment(assessor, 0) for _ in range(3))
    for assessment in (changed, fresh, failed):
        with_history(assessment)
    changed.documents.filter(kind="estimate").update(outdated_by="Vehicle", outdated_at=timezone.now())
    # A failed document says why it failed, and not that its older file is out of date.
    failed.documents.filter(kind="report").update(outdated_by="Vehicle", outdated_at=timezone.now())
    page = office.get(LIST, {"documents": "outdated"}).content.decode()
    assert set(re.findall(r"ASM-\d{4}-\d{3}", page)) == {changed.number}
    assert "1 failed, 3 ready, 1 out of date" in page
    page = office.get("/admin/assessments/document/", {"outdated": "yes"}).content.decode()
    assert re.findall(r'class="field-changed">(.*?)<', page) == ["Vehicle changed"]
    assert "Vehicle changed" in office.get(change_page(changed)).content.decode()
    assert "Ready, out of date" in office.get(live_page(changed)).content.decode()


def test_user_text_is_escaped(office: Visitor, assessment: Assessment) -> None:
    assessment.vehicle.make = "<b>Toyota</b>"
    assessment.vehicle.save()
    assessment.photos.update(name="<b>photo</b>.jpg", caption="<b>caption</b>")
    assessment.documents.filter(kind="report").update(status="error", error="<b>error</b>")
    for address in (LIST, change_page(assessment), live_page(assessment)):
        assert not re.findall("<b>(Toyota|photo|caption|error)", office.get(address).content.decode())


# Changes that nobody makes by hand ------------------------------------------------------------------------------------


def test_slots_are_neither_added_nor_deleted_nor_changed_by_hand(office: Visitor, assessment: Assessment) -> None:
    slot = assessment.documents.get(kind="report")
    page = reverse("admin:assessments_document_change", args=[slot.pk])
    assert office.get(reverse("admin:assessments_document_add")).status_code == 403
    assert office.post(page, {"status": "success"}).status_code == 403
    assert office.post(reverse("admin:assessments_document_delete", args=[slot.pk]), {"post": "yes"}).status_code == 403
    values = fields_of(office, change_page(assessment)) | {"documents-0-DELETE": "on", "documents-0-status": "success"}
    office.post(change_page(assessment), values)
    assert statuses(assessment) == ["idle"] * 4


def test_staff_cancel_an_assessment_and_do_not_delete_it(office: Visitor, assessment: Assessment) -> None:
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
def test_a_selection_that_is_not_a_primary_key_is_refused_with_a_message_and_changes_nothing(
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


def test_a_malformed_choice_of_all_rows_is_refused_and_changes_nothing(office: Visitor, assessment: Assessment) -> None:
    queue.request(assessment)
    for word in ("abc", "2", "-1"):
        assert act(office, "cancel_documents", assessment, select_across=word).status_code == 400
    assert statuses(assessment) == ["pending"] * 4
    assert act(office, "cancel_documents", assessment, select_across="0").status_code == 302


# Permissions ----------------------------------------------------------------------------------------------------------


def test_an_assessor_who_opens_the_admin_finds_the_way_back(assessment: Assessment) -> None:
    page = visitor_of(assessment.assessor).get("/admin/", follow=True).content.decode()
    assert '<a href="/">Back to the assessments</a>' in page
    # The admin and the pages have one name.
    assert "Vehicle assessments" in page
    assert "Vehicle damage assessments" not in page


def test_an_assessor_is_sent_to_the_login(assessment: Assessment) -> None:
    visitor = visitor_of(assessment.assessor)
    for address in (LIST, change_page(assessment), live_page(assessment)):
        assert visitor.get(address).headers["Location"].startswith("/admin/login/")


def test_staff_who_may_only_view_see_everything_and_start_nothing(onlooker: Visitor, assessment: Assessment) -> None:
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
