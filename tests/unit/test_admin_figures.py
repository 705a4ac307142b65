"""Figures are saved as they were meant, or refused: never as another figure."""

from decimal import Decimal

import pytest
from django.test import Client as Visitor
from django.urls import reverse

from assessments.models import Assessment
from tests.office import change_page, errors_in, fields_of, form_values


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("8000.5", "8000.50"),
        ("8000,50", "8000.50"),
        ("8 000,50", "8000.50"),
        ("8\u00a0000,50", "8000.50"),
        ("8'000.50", "8000.50"),
        ("8,000.50", "8000.50"),
        ("8.000,50", "8000.50"),
        ("1,234,567", "1234567.00"),
        ("1.234.567,8", "1234567.80"),
    ],
)
def test_an_amount_is_taken_as_it_was_meant(office: Visitor, assessment: Assessment, typed: str, meant: str) -> None:
    page = change_page(assessment)
    answer = office.post(page, fields_of(office, page) | {"excess": typed, "valuation-0-retail": typed})
    assert answer.status_code == 302, errors_in(answer)
    shown = fields_of(office, page)
    assert (shown["excess"], shown["valuation-0-retail"]) == (meant, meant)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("8,000", "“8,000” can mean 8000 or 8.000. Enter one of these two."),
        ("1e5", "“1e5” is no number. Enter a number like 8000.50 or 8 000,50."),
        ("8,00,0", "“8,00,0” is no number. Enter a number like 8000.50 or 8 000,50."),
        ("R 800", "“R 800” is no number. Enter a number like 8000.50 or 8 000,50."),
        ("8.000", "Ensure that there are no more than 2 decimal places."),
    ],
)
def test_an_amount_that_can_mean_two_things_or_none_is_refused(
    office: Visitor, assessment: Assessment, typed: str, said: str
) -> None:
    page = change_page(assessment)
    answer = office.post(page, fields_of(office, page) | {"excess": typed})
    assert said in errors_in(answer)
    # What was typed stays in its field.
    assert form_values(answer.content.decode())["excess"] == typed
    assessment.refresh_from_db()
    assert assessment.excess == Decimal(3500)


def test_every_figure_of_the_office_takes_a_comma(office: Visitor, assessment: Assessment) -> None:
    page = reverse("admin:assessments_estimate_change", args=[assessment.estimate.pk])
    values = {
        "lines-0-part_price": "6842,35",
        "lines-0-labour_hours": "1,5",
        "labour_rate": "450,5",
        "vat_percent": "7,5",
    }
    answer = office.post(page, fields_of(office, page) | values)
    assert answer.status_code == 302, errors_in(answer)
    assessment.estimate.refresh_from_db()
    line = assessment.estimate.lines.get(position=0)
    figures = (line.part_price, line.labour_hours, assessment.estimate.labour_rate, assessment.estimate.vat_percent)
    assert list(map(str, figures)) == ["6842.35", "1.50", "450.50", "7.50"]
