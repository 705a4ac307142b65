"""Dates are typed in the office's order, said in words beside the field, and questioned when they are hardly right."""

import importlib
from datetime import date, timedelta

import pytest
from django.test import Client as Visitor
from django.utils import formats, timezone
from pytest_django import Settings

from assessments.models import Assessment, Vehicle
from config.formats.en import formats as office_formats
from tests.office import change_page, errors_in, fields_of, form_values

SAVED = 302


def save(office: Visitor, assessment: Assessment, **dates: str) -> str:
    """Save dates on the assessment's page; return the errors of the answer."""
    page = change_page(assessment)
    empty = dict.fromkeys(("incident_on", "instructed_on", "inspected_on"), "")
    answer = office.post(page, fields_of(office, page) | empty | dates)
    return errors_in(answer).replace("\xa0", " ") if answer.status_code != SAVED else ""


@pytest.mark.parametrize(
    "typed",
    [
        "03/04/2026",
        "3/4/2026",
        "3-4-2026",
        "3.4.2026",
        "3 4 2026",
        "3/4/26",
        "3 April 2026",
        "3 Apr 2026",
        "2026-04-03",
    ],
)
def test_the_day_comes_first(office: Visitor, assessment: Assessment, typed: str) -> None:
    assert not save(office, assessment, incident_on=typed)
    assert Assessment.objects.get(pk=assessment.pk).incident_on == date(2026, 4, 3)
    page = office.get(change_page(assessment)).content.decode()
    assert form_values(page)["incident_on"] == "03/04/2026"
    assert ">3\xa0April\xa02026</output>" in page


@pytest.mark.parametrize(
    ("order", "typed", "shown"), [("month", "04/03/2026", "04/03/2026"), ("year", "2026/04/03", "2026/04/03")]
)
def test_the_office_may_type_dates_in_another_order(
    office: Visitor, assessment: Assessment, settings: Settings, order: str, typed: str, shown: str
) -> None:
    settings.DATE_ORDER = order
    try:
        importlib.reload(office_formats)
        formats.reset_format_cache()
        assert not save(office, assessment, incident_on=typed)
        page = office.get(change_page(assessment)).content.decode()
    finally:
        settings.DATE_ORDER = "day"
        importlib.reload(office_formats)
        formats.reset_format_cache()
    assert Assessment.objects.get(pk=assessment.pk).incident_on == date(2026, 4, 3)
    assert form_values(page)["incident_on"] == shown
    assert ">3\xa0April\xa02026</output>" in page


@pytest.mark.parametrize(
    ("dates", "question"),
    [
        (
            ("", "03/09/2026", "03/03/2026"),
            "The inspection date, 3 March 2026, is before the instruction date, 3 September 2026.",
        ),
        (
            ("03/04/2026", "03/03/2026", ""),
            "The instruction date, 3 March 2026, is before the incident date, 3 April 2026.",
        ),
        (
            ("03/04/2026", "", "03/03/2026"),
            "The inspection date, 3 March 2026, is before the incident date, 3 April 2026.",
        ),
    ],
)
def test_an_unlikely_order_is_questioned_and_can_be_confirmed(
    office: Visitor, assessment: Assessment, dates: tuple[str, ...], question: str
) -> None:
    typed = dict(zip(("incident_on", "instructed_on", "inspected_on"), dates, strict=True))
    page = change_page(assessment)
    answer = office.post(page, fields_of(office, page) | typed)
    assert question in errors_in(answer).replace("\xa0", " ")
    body = answer.content.decode()
    # The dates are said in words on the page of the question, too.
    assert body.count("\xa0March\xa02026</output>") == 1
    assert "dates-are-right" not in form_values(body)
    confirmed = body.partition('name="dates-are-right" value="')[2].partition('"')[0]
    again = form_values(body) | {"dates-are-right": confirmed}
    # Only these dates are confirmed.
    other = office.post(page, again | {"inspected_on": "01/01/2020", "incident_on": "02/01/2020"})
    assert "is before" in errors_in(other)
    assert office.post(page, again).status_code == SAVED
    # Nobody is asked about dates again that nobody has changed.
    assert office.post(page, fields_of(office, page) | {"excess": "1.00"}).status_code == SAVED


def test_a_date_in_the_future_is_questioned_on_every_part_of_the_page(office: Visitor, assessment: Assessment) -> None:
    later = f"{timezone.localdate() + timedelta(days=3):%d/%m/%Y}"
    for field, name in {
        "incident_on": "incident date",
        "inspected_on": "inspection date",
        "vehicle-0-last_service_on": "last service date",
        "valuation-0-valued_on": "valuation date",
    }.items():
        found = save(office, assessment, **{field: later})
        assert f"The {name}, " in found
        assert "is in the future. Correct the dates, or confirm" in " ".join(found.split())
    assert not save(office, assessment, **{"vehicle-0-licence_expires_on": later})
    assert Vehicle.objects.get().licence_expires_on == timezone.localdate() + timedelta(days=3)


def test_the_usual_order_is_not_questioned(office: Visitor, assessment: Assessment) -> None:
    assert not save(office, assessment, incident_on="01/03/2026", instructed_on="01/03/2026", inspected_on="04/03/2026")


def test_what_is_no_date_is_told_how_dates_are_written(office: Visitor, assessment: Assessment) -> None:
    found = save(office, assessment, incident_on="soon", **{"vehicle-0-last_service_on": "32/01/2026"})
    assert found.count("Enter a date such as 31/12/2026 or 31 December 2026.") == 2
