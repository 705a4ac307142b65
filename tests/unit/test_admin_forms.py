"""The office enters all data of an assessment in one place."""

import re
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.signals import pre_save
from django.test import Client as Visitor
from django.urls import reverse

from assessments.models import (
    Assessment,
    Client,
    Estimate,
    EstimateLine,
    Photo,
    Repairer,
)
from tests.office import LIST, change_page, errors_in, fields_of, form_values, statuses, told


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
    """Return the form values of one new row in an inline without rows."""
    return {f"{prefix}-TOTAL_FORMS": 1, **{f"{prefix}-0-{name}": value for name, value in values.items()}}


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


def test_the_page_of_the_estimate_says_that_the_outcome_contradicts_it(office: Visitor, assessment: Assessment) -> None:
    assessment.valuation.__class__.objects.update(retail=Decimal("20000.00"))
    page = office.get(reverse("admin:assessments_estimate_change", args=[assessment.estimate.pk])).content.decode()
    assert "Red: over the borderline write-off. This contradicts the outcome, a repair." in page


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


@pytest.mark.parametrize("currency", ["ZAR", "USD"])
@pytest.mark.parametrize("may_change", [True, False])
def test_each_amount_names_its_currency(
    office: Visitor, onlooker: Visitor, assessment: Assessment, currency: str, may_change: bool
) -> None:
    Estimate.objects.update(currency=currency)
    visitor = office if may_change else onlooker
    page = visitor.get(change_page(assessment)).content.decode()
    for label in ("Excess", "Value", "Base retail value", "Fixed adjustment", "Extras", "Labour rate per hour"):
        assert re.search(rf">\s*{label} \({currency}\)\s*:?\s*<", page), label
    page = visitor.get(reverse("admin:assessments_estimate_change", args=[assessment.estimate.pk])).content.decode()
    for label in ("Paint rate per panel", "Nett part price", "Nett outwork"):
        assert re.search(rf">\s*{label} \({currency}\)\s*:?\s*<", page), label
    assert f"Labour hours ({currency})" not in page


def test_the_office_and_the_page_call_the_outcome_by_one_name(office: Visitor, assessment: Assessment) -> None:
    form = office.get(change_page(assessment)).content.decode()
    page = office.get(f"/assessments/{assessment.number}/").content.decode()
    assert re.search(r'for="id_estimate-0-result"[^>]*>\s*Outcome:', form)
    assert "<dt>Outcome</dt><dd><div>Repair (economic)</div></dd>" in page


def test_days_are_written_as_on_paper_for_people_who_may_only_view(onlooker: Visitor, assessment: Assessment) -> None:
    assert "27 February 2026" in onlooker.get(change_page(assessment)).content.decode()


def test_each_field_of_a_row_names_its_column_and_its_row(office: Visitor, assessment: Assessment) -> None:
    page = office.get(change_page(assessment)).content.decode()
    for label in (
        "Position, tyre 5",
        "Kind, accessory 1",
        "Caption, photo 3",
        "Delete, photo 3",
        "Kind, new accessory",
    ):
        assert f'aria-label="{label}"' in page, label
    page = office.get(reverse("admin:assessments_estimate_change", args=[assessment.estimate.pk])).content.decode()
    for label in ("Description, estimate line 6", "Process type, new estimate line"):
        assert f'aria-label="{label}"' in page, label


# Wrong values, each with a part of its error message.
WRONG_VALUES: list[tuple[dict[str, str], str]] = [
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
    ({"estimate-0-currency": "ABC"}, "ISO 4217 has no currency ABC."),
    ({"estimate-0-currency": "XXX"}, "ISO 4217 has no currency XXX."),
    ({"estimate-0-currency": "JPY", "estimate-0-labour_rate": "500.50"}, "Amounts in JPY have no decimals."),
    ({"photos-0-section": "selfies"}, "Select a valid choice"),
    ({"photos-0-position": "-1"}, "greater than or equal to 0"),
]
WRONG_LINES: list[tuple[dict[str, str], str]] = [
    ({"lines-0-part_type": ""}, "A new part needs a part type"),
    ({"lines-1-part_type": "OEM"}, "only a new part has one"),
    ({"lines-2-paint_panels": "-1"}, "greater than or equal to 0"),
    ({"lines-3-betterment_paint": "100.5"}, "less than or equal to 100"),
    ({"labour_rate": "-1"}, "greater than or equal to 0"),
    ({"currency": "JPY", "lines-0-part_price": "10.50"}, "Amounts in JPY have no decimals."),
    ({"currency": "zar"}, "three-letter currency code"),
]


def test_a_wrong_value_is_an_error_of_the_form(office: Visitor, assessment: Assessment) -> None:
    assert not unnoticed(office, change_page(assessment), WRONG_VALUES)


def test_a_wrong_line_is_an_error_of_the_form(office: Visitor, assessment: Assessment) -> None:
    page = reverse("admin:assessments_estimate_change", args=[assessment.estimate.pk])
    assert not unnoticed(office, page, WRONG_LINES)


def unnoticed(office: Visitor, page: str, cases: list[tuple[dict[str, str], str]]) -> list[tuple[dict[str, str], str]]:
    """Send the form of a page with each wrong value; return the cases that get another answer than their error."""
    values, found = fields_of(office, page), []
    for wrong, reason in cases:
        response = office.post(page, values | wrong)
        if response.status_code != 200 or reason not in errors_in(response):
            found.append((wrong, reason))
    return found


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


def test_a_frozen_estimate_cannot_be_deleted_to_get_round_the_freeze(office: Visitor, assessment: Assessment) -> None:
    page = reverse("admin:assessments_estimate_delete", args=[assessment.estimate.pk])
    Assessment.objects.update(status=Assessment.Status.SUBMITTED)
    assert office.post(page, {"post": "yes"}).status_code == 403
    several = {"action": "delete_selected", "_selected_action": [assessment.estimate.pk], "post": "yes"}
    assert office.post(reverse("admin:assessments_estimate_changelist"), several).status_code == 403
    assert Estimate.objects.exists()
    Assessment.objects.update(status=Assessment.Status.IN_PROGRESS)
    assert office.post(page, {"post": "yes"}).status_code == 302
    assert not Estimate.objects.exists()


def test_a_person_who_saves_at_the_same_time_as_another_is_told_so(office: Visitor) -> None:
    """The other person's row arrives between the check of the form and the save."""

    def rival(sender: Any, **options: Any) -> None:
        pre_save.disconnect(rival, sender=Client)
        Client.objects.create(name="Karoo Insurance")

    pre_save.connect(rival, sender=Client)
    add = reverse("admin:assessments_client_add")
    response = office.post(add, fields_of(office, add) | {"name": "Karoo Insurance"}, follow=True)
    assert response.status_code == 200
    assert "somebody else" in told(response)[0]  # type: ignore[arg-type]


def test_a_taken_name_is_an_error_of_the_form(office: Visitor, assessment: Assessment) -> None:
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


# An amount of each row that has amounts, by its place on the page of the assessment.
AMOUNTS = [
    "excess",
    "accessories-0-value",
    "valuation-0-retail",
    "valuation-0-condition_amount",
    "estimate-0-paint_rate",
]


def test_every_amount_has_the_decimals_of_its_currency(office: Visitor, assessment: Assessment) -> None:
    assessment.estimate.lines.update(part_price=0, outwork=0)
    page = change_page(assessment)
    assert office.post(page, fields_of(office, page) | {"estimate-0-currency": "JPY"}).status_code == 302
    wrong: list[tuple[dict[str, str], str]] = [
        ({name: "10.50"}, "Amounts in JPY have no decimals.") for name in AMOUNTS
    ]
    assert not unnoticed(office, page, wrong)
    assert office.post(page, fields_of(office, page) | dict.fromkeys(AMOUNTS, "11")).status_code == 302


def test_a_currency_that_other_amounts_do_not_fit_is_refused_with_their_names(
    office: Visitor, assessment: Assessment
) -> None:
    assessment.accessories.update(value="2800.50")
    page = change_page(assessment)
    answer = office.post(page, fields_of(office, page) | {"estimate-0-currency": "JPY"})
    assert (
        "Amounts in JPY have no decimals. Correct these first: accessory Tow bar, estimate line N Rear bumper."
        in errors_in(answer)
    )


def test_the_currency_of_a_submitted_assessment_is_frozen(office: Visitor, assessment: Assessment) -> None:
    page = change_page(assessment)
    Assessment.objects.update(status="submitted")
    answer = office.post(page, fields_of(office, page) | {"estimate-0-currency": "USD"})
    assert "frozen" in errors_in(answer)
    assessment.estimate.refresh_from_db()
    assert assessment.estimate.currency == "ZAR"


def test_an_estimate_without_its_assessment_is_an_error_of_the_form(office: Visitor, assessment: Assessment) -> None:
    page = reverse("admin:assessments_estimate_add")
    answer = office.post(page, fields_of(office, page) | {"assessment": ""})
    assert "This field is required." in errors_in(answer)


def test_each_error_has_a_link_to_its_field(office: Visitor, assessment: Assessment) -> None:
    page = change_page(assessment)
    wrong = {
        "excess": "-1",
        "tyres-1-position": "right_front",
        "photos-0-position": "-1",
        "accessories-0-kind": "custom",
    }
    answer = office.post(page, fields_of(office, page) | wrong).content.decode()
    faults = answer.partition('<nav class="faults"')[2].partition("</nav>")[0]
    links = re.findall(r'href="#([^"]+)"[^>]*>([^<]+)<', faults)
    assert links == [
        ("id_excess", "Excess (ZAR)"),
        ("tyres-1", "Tyre, tyre 2"),
        ("accessories-0", "Accessory, accessory 1"),
        ("id_photos-0-position", "Position, photo 1"),
    ]
    for anchor, _ in links:
        assert f' id="{anchor}"' in answer, anchor
    # The part with an error is open, and the first link has the focus.
    assert "autofocus" in faults
    assert not re.search(r'id="photos-group".*?<details>', answer.partition('id="documents-group"')[0], re.DOTALL)
    assert 'class="faults"' not in office.get(page).content.decode()


def test_a_long_form_has_links_to_its_parts_and_folds_the_photos(office: Visitor, assessment: Assessment) -> None:
    page = office.get(change_page(assessment)).content.decode()
    parts = page.partition('<nav class="parts"')[2].partition("</nav>")[0]
    links = dict(re.findall(r'href="#([^"]+)">([^<]+)<', parts))
    assert list(links.values()) == [
        *("Claim", "Insured", "Incident", "Inspection", "Vehicle", "Tyres", "Accessories", "Damage"),
        *("Warranty and values", "Estimate", "Photos", "Documents"),
    ]
    for anchor in links:
        assert f' id="{anchor}"' in page, anchor
    assert re.search(r"<details><summary>\s*<h2[^>]*>Photos \(3\)</h2>", page)


def test_a_new_line_comes_last_unless_it_has_a_position(office: Visitor, assessment: Assessment) -> None:
    page = reverse("admin:assessments_estimate_change", args=[assessment.estimate.pk])
    values = form_values(office.get(page).content.decode()) | {"lines-TOTAL_FORMS": "9"}
    empty = {name: value for name, value in values.items() if "__prefix__" in name}
    assert empty["lines-__prefix__-position"] == ""
    for number, words, position in (("6", "Wheel", ""), ("7", "Hubcap", ""), ("8", "Glue", "2")):
        typed = {"process_type": "A", "description": words} | ({"position": position} if position else {})
        new = empty | {f"lines-__prefix__-{name}": value for name, value in typed.items()}
        values |= {name.replace("__prefix__", number): value for name, value in new.items()}
    answer = office.post(page, values)
    assert answer.status_code == 302, errors_in(answer)
    lines = list(assessment.estimate.lines.values_list("description", flat=True))
    assert lines[-2:] == ["Wheel", "Hubcap"]
    assert lines.index("Glue") == 3
