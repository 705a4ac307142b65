"""The live page of a bulk request."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client as Visitor
from django.utils import timezone

from assessments.documents import queue
from assessments.models import (
    Assessment,
    Batch,
    BulkRequest,
    Heartbeat,
)
from tests.cast import make_assessment
from tests.office import LIST, PROGRESS, act, fail_all, live_page, rows_of, statuses, with_history


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


def test_the_live_page_refreshes_itself_and_sooner_while_documents_are_made(
    office: Visitor, assessment: Assessment
) -> None:
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
        # Data may change, which puts documents out of date.
        assert 'hx-trigger="every 2s"' in page
        assert "refresh" not in page


def test_a_fragment_for_a_signed_out_person_sends_the_whole_page_to_the_login(assessment: Assessment) -> None:
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


def test_the_live_page_is_filtered_by_failed_and_by_running_documents(office: Visitor, assessor: User) -> None:
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
    # They have failed, as before the retry.
    assert statuses(one) == left


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
    assert "None of these assessments is in this state now." in page.content.decode()


@pytest.mark.parametrize(
    "form",
    [
        {"generate": "al"},
        {"generate": ""},
        {"retry": "-1"},
        {"retry": "1 OR 1=1"},
        {"cancel": ["all", "x"]},
        {"generate": "all", "retry": "all"},
    ],
)
def test_a_malformed_button_value_changes_nothing(
    office: Visitor, assessment: Assessment, form: dict[str, object]
) -> None:
    with_history(assessment)
    queue.request(assessment, ["estimate"])
    before = statuses(assessment)
    response = office.post(live_page(assessment), form)
    assert response.status_code == 400
    assert statuses(assessment) == before == ["error", "pending", "success", "success"]


def test_a_malformed_choice_of_documents_asks_for_none(office: Visitor, assessment: Assessment) -> None:
    address = f"/assessments/{assessment.number}/documents/generate/"
    for only in ("?only=", "?only=fialed", "?only=failed&only=report"):
        assert office.post(f"{address}{only}").status_code == 400
    assert statuses(assessment) == ["idle"] * 4


@pytest.mark.parametrize(("show", "button"), [("failed", "retry"), ("running", "cancel")])
def test_a_button_for_all_shows_all_when_it_empties_the_filter(
    office: Visitor, assessor: User, show: str, button: str
) -> None:
    chosen = [Assessment.objects.create(assessor=assessor) for _ in range(2)]
    for assessment in chosen:
        (fail_all if show == "failed" else queue.request)(assessment)
    page = office.post(f"{live_page(*chosen)}?show={show}", {button: "all"}, follow=True)
    assert set(rows_of(page)) == {str(assessment.pk) for assessment in chosen}


def test_the_live_page_counts_and_filters_what_is_out_of_date(office: Visitor, assessor: User) -> None:
    changed, fresh = (make_assessment(assessor, 0) for _ in range(2))
    for assessment in (changed, fresh):
        queue.request(assessment)
        while attempt := queue.claim(assessment.pk):
            attempt.finish(size=3, sha256="0" * 64, message="1 page", pages=1)
    changed.documents.filter(position__lt=2).update(outdated_by="Vehicle", outdated_at=timezone.now())
    address = live_page(changed, fresh)
    page = office.get(address).content.decode()
    assert '<span role="status">8 of 8 documents ready, 2 out of date</span>' in page
    assert "With documents out of date (1)" in page
    assert re.findall(r'id="whole" max="100" value="100" data-outcome="(\w+)"', page) == ["partial"]
    assert rows_of(office.get(address, {"show": "outdated"})) == [str(changed.pk)]
    assert "8 of 8 documents ready, 2 out of date" in office.get("/admin/assessments/bulkrequest/").content.decode()
    ready = office.get(LIST, {"documents": "ready"}).content.decode()
    assert fresh.number in ready
    assert changed.number not in ready


def test_each_button_and_link_says_what_it_acts_on(office: Visitor, assessor: User) -> None:
    made, idle, waiting = (make_assessment(assessor, 0) for _ in range(3))
    with_history(made)
    made.documents.filter(kind="report").update(status="success")
    queue.request(waiting)
    page = re.sub(r"\s+", " ", office.get(live_page(made, idle, waiting)).content.decode())
    for label, assessment in (("Make all four again", made), ("Generate all four", idle), ("Cancel (4)", waiting)):
        assert f'>{label}<span class="visually-hidden"> {assessment}</span></button>' in page, label
    assert re.findall(r">(Open|Download)<span[^>]*> ([^<]*) of", page) == [
        ("Open", "Estimate"),
        ("Open", "Photos PDF"),
        ("Download", "Photos ZIP"),
    ]
    assert ">Documents of 3 assessments</h1>" in page.replace("<h1> ", "<h1>")
    # Documents of other assessments are in line, too.
    Heartbeat.beat(Heartbeat.Role.WORKER)
    page = office.get(live_page(waiting, made)).content.decode()
    assert "Waiting" in page
    assert "Next" not in page
