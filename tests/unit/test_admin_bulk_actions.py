"""Bulk actions of the office on hundreds of assessments."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import OperationalError, connection
from django.test import Client as Visitor
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from assessments.documents import queue
from assessments.models import (
    Assessment,
    Batch,
    BulkRequest,
    Document,
)
from tests.office import (
    LIST,
    PROGRESS,
    act,
    change_page,
    fail_all,
    live_page,
    rows_of,
    statuses,
    told,
    visitor_of,
    with_history,
)


def test_generate_requests_all_documents_and_opens_the_live_page(office: Visitor, staff: User, assessor: User) -> None:
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


def test_running_documents_are_joined_and_the_page_says_so(office: Visitor, assessor: User) -> None:
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


def test_retry_requests_failed_documents_alone_and_names_the_skipped(office: Visitor, assessor: User) -> None:
    failed, idle = (Assessment.objects.create(assessor=assessor) for _ in range(2))
    with_history(failed)
    response = act(office, "retry_failed", failed, idle)
    assert statuses(failed) == ["pending", "success", "success", "success"]
    assert statuses(idle) == ["idle"] * 4
    assert told(office.get(response.headers["Location"])) == [  # type: ignore[arg-type]
        f"Failed documents asked for again: 1 assessment ({failed.number}).",
        f"Skipped, because no document failed: 1 assessment ({idle.number}).",
    ]


def test_cancel_takes_back_waiting_documents_and_names_the_skipped(office: Visitor, assessor: User) -> None:
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


@pytest.mark.parametrize("action", ["retry_failed", "cancel_documents", "generate_documents"])
def test_an_action_that_skips_all_leads_back_to_the_list_and_is_no_bulk_request(
    office: Visitor, assessment: Assessment, action: str
) -> None:
    if action == "generate_documents":
        Assessment.objects.update(status=Assessment.Status.CANCELLED)
    response = act(office, action, assessment)
    assert response.headers["Location"] == LIST
    assert told(office.get(LIST))[0].startswith("Skipped, because")  # type: ignore[arg-type]
    assert not BulkRequest.objects.exists()


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
        ("failed", "generate_documents", "error", "pending"),
        ("outdated", "generate_documents", "success", "pending"),
    ],
)
def test_all_assessments_of_a_filtered_list_stay_on_the_page_when_the_action_empties_the_filter(
    office: Visitor, assessor: User, state: str, action: str, before: str, after: str
) -> None:
    made = many(assessor, 3)
    chosen = made[:2]
    Document.objects.update(status="success")
    Document.objects.filter(assessment__in=chosen).update(status=before)
    if state == "outdated":
        version = made[0].documents.first().versions.create(number=1, size=1)  # type: ignore[union-attr]
        Document.objects.filter(assessment__in=chosen).update(current=version, outdated_by="Vehicle")
    form = {"action": action, "_selected_action": [made[0].pk], "select_across": "1"}
    response = office.post(f"{LIST}?documents={state}", form)
    page = office.get(response.headers["Location"])
    assert set(rows_of(page)) == {str(assessment.pk) for assessment in chosen}
    assert "2 assessments" in page.content.decode()
    assert [statuses(assessment)[0] for assessment in made] == [after, after, "success"]
    assert not rows_of(office.get(f"{LIST}?documents={state}"))


@pytest.mark.parametrize(
    ("state", "action", "now"),
    [
        ("failed", "retry_failed", "success"),
        ("running", "cancel_documents", "success"),
        ("missing", "generate_documents", "pending"),
        ("ready", "generate_documents", "error"),
    ],
)
def test_a_ticked_assessment_that_has_left_the_filter_meanwhile_is_not_left_out(
    office: Visitor, assessor: User, state: str, action: str, now: str
) -> None:
    chosen = many(assessor, 2)
    Document.objects.update(status=now)
    form = {"action": action, "_selected_action": [assessment.pk for assessment in chosen], "select_across": "0"}
    response = office.post(f"{LIST}?documents={state}&q={chosen[0].number[:8]}", form)
    page = office.get(response.headers["Location"])
    if action == "generate_documents":
        assert set(rows_of(page)) == {str(assessment.pk) for assessment in chosen}
    else:
        # There was nothing left to do. Both are named beside the reason.
        (said,) = told(page)
        assert said.startswith("Skipped, because no")
        assert all(assessment.number in said for assessment in chosen)


def test_an_interrupted_action_has_a_page_with_all_chosen_assessments(office: Visitor, assessor: User) -> None:
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


# Bulk requests --------------------------------------------------------------------------------------------------------


def test_the_list_of_bulk_requests_leads_back_to_each_live_page(office: Visitor, assessor: User) -> None:
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


def test_a_batch_leads_to_the_live_page_of_its_bulk_request(office: Visitor, assessment: Assessment) -> None:
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


def test_staff_who_may_view_assessments_find_the_bulk_requests_of_all(assessment: Assessment) -> None:
    person = User.objects.create_user("temp", is_staff=True)
    address, changelist = live_page(assessment), reverse("admin:assessments_bulkrequest_changelist")
    assert visitor_of(person).get(changelist).status_code == 403
    person.user_permissions.set(Permission.objects.filter(codename="view_assessment"))
    assert address in visitor_of(person).get(changelist).content.decode()
    assert assessment.number in visitor_of(person).get(address).content.decode()


def test_viewing_an_assessment_makes_no_bulk_request(office: Visitor, assessment: Assessment) -> None:
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


def test_hundreds_of_assessments_are_requested_at_once_and_none_is_left_out(office: Visitor, assessor: User) -> None:
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
