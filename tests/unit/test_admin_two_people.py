"""Two people edit the same row in the admin: neither takes back what the other saved, and no typed text is lost."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client as Visitor
from django.urls import reverse

from assessments.models import Assessment, Client, EstimateLine, Office, Tyre, Vehicle
from tests.office import change_page, errors_in, fields_of, form_values, visitor_of

SAVED = 302


def lines_page(assessment: Assessment) -> str:
    return reverse("admin:assessments_estimate_change", args=[assessment.estimate.pk])


def test_an_older_form_leaves_the_fields_alone_that_its_person_did_not_change(
    office: Visitor, assessment: Assessment
) -> None:
    page = change_page(assessment)
    mine, theirs = fields_of(office, page), fields_of(office, page)
    assert office.post(page, theirs | {"excess": "9000.00", "vehicle-0-colour": "Red"}).status_code == SAVED
    answer = office.post(page, mine | {"notes": "Called.", "vehicle-0-vin": "AHT123"})
    assert answer.status_code == SAVED, errors_in(answer)
    assessment.refresh_from_db()
    vehicle = Vehicle.objects.get(assessment=assessment)
    assert (assessment.excess, assessment.notes) == (Decimal(9000), "Called.")
    assert (vehicle.colour, vehicle.vin) == ("Red", "AHT123")


def test_a_field_that_both_changed_is_refused_with_both_values_and_saved_at_the_next_save(
    office: Visitor, assessment: Assessment
) -> None:
    page = change_page(assessment)
    mine, theirs = fields_of(office, page), fields_of(office, page)
    office.post(page, theirs | {"excess": "9000.00", "claim_number": "KI-2"})
    answer = office.post(page, mine | {"excess": "4500.00", "notes": "Called."})
    assert answer.status_code == 200
    assert (
        "This was changed to “9000.00” after you had opened the page; you wrote “4500.00”. "
        "Save again to keep yours." in errors_in(answer)
    )
    assessment.refresh_from_db()
    assert (assessment.excess, assessment.claim_number) == (Decimal(9000), "KI-2")
    assert assessment.notes != "Called."
    shown = form_values(answer.content.decode())
    assert (shown["excess"], shown["notes"], shown["claim_number"]) == ("4500.00", "Called.", "KI-2")
    assert office.post(page, shown).status_code == SAVED
    assessment.refresh_from_db()
    assert (assessment.excess, assessment.notes, assessment.claim_number) == (Decimal(4500), "Called.", "KI-2")


@pytest.mark.parametrize(
    ("field", "first", "second", "words"),
    [
        ("status", "submitted", "archived", "to “Submitted” after you had opened the page; you wrote “Archived”"),
        ("client", "", "other", "to nothing after you had opened the page; you wrote “Cape Insurance”"),
        ("incident_on", "2026-02-01", "2026-02-02", "to “1 February 2026” after you had"),
        ("damage-0-description", "One.\r\nTwo.", "One.\r\nThree.", "Two."),
        ("tyres-0-tread", "1.00", "2.00", "to “1.00” after you had opened the page; you wrote “2.00”"),
        ("valuation-0-retail", "1.00", "2.00", "to “1.00” after you had opened the page; you wrote “2.00”"),
        ("estimate-0-labour_rate", "1.00", "2.00", "to “1.00” after you had opened the page; you wrote “2.00”"),
        ("photos-0-caption", "One", "Two", "to “One” after you had opened the page; you wrote “Two”"),
    ],
)
def test_every_part_of_the_page_is_compared(
    office: Visitor, assessment: Assessment, field: str, first: str, second: str, words: str
) -> None:
    other = Client.objects.create(name="Cape Insurance")
    page = change_page(assessment)
    mine = fields_of(office, page)
    second = str(other.pk) if second == "other" else second
    answer = office.post(page, mine | {field: first})
    assert answer.status_code == SAVED, errors_in(answer)
    answer = office.post(page, mine | {field: second})
    assert answer.status_code == 200
    assert " ".join(words.split()) in " ".join(errors_in(answer).replace("\xa0", " ").split())


def test_both_may_write_the_same(office: Visitor, assessment: Assessment) -> None:
    page = change_page(assessment)
    mine = fields_of(office, page) | {"excess": "4500.00"}
    assert [office.post(page, mine).status_code for _ in range(2)] == [SAVED, SAVED]


def test_lines_of_an_estimate_are_compared_with_the_rates_on_the_page_of_the_assessment_too(
    office: Visitor, assessment: Assessment
) -> None:
    page = lines_page(assessment)
    mine = fields_of(office, page)
    whole = change_page(assessment)
    office.post(whole, fields_of(office, whole) | {"estimate-0-labour_rate": "480.00"})
    office.post(page, fields_of(office, page) | {"lines-0-part_price": "1.00", "lines-1-labour_hours": "1.00"})
    answer = office.post(page, mine | {"lines-0-part_price": "2.00", "lines-2-paint_panels": "9.00"})
    assert "“1.00” after you had opened the page; you wrote “2.00”" in errors_in(answer)
    answer = office.post(page, form_values(answer.content.decode()))
    assert answer.status_code == SAVED, errors_in(answer)
    assessment.estimate.refresh_from_db()
    lines = list(assessment.estimate.lines.order_by("position"))
    assert assessment.estimate.labour_rate == Decimal(480)
    assert (lines[0].part_price, lines[1].labour_hours, lines[2].paint_panels) == (2, 1, 9)


@pytest.mark.parametrize("typed", [{}, {"lines-0-part_price": "2.00"}])
def test_a_row_that_somebody_changed_is_not_removed_without_a_word(
    office: Visitor, assessment: Assessment, typed: dict[str, str]
) -> None:
    page = lines_page(assessment)
    mine = fields_of(office, page) | {"lines-0-DELETE": "on"} | typed
    office.post(page, fields_of(office, page) | {"lines-0-part_price": "1.00"})
    answer = office.post(page, mine)
    assert "This was changed after you had opened the page, so it was not removed" in errors_in(answer)
    count = EstimateLine.objects.count()
    again = form_values(answer.content.decode())
    assert office.post(page, again | {"lines-0-DELETE": "on"}).status_code == SAVED
    assert EstimateLine.objects.count() == count - 1


def test_a_row_that_somebody_removed_is_said_and_what_was_typed_stays(office: Visitor, assessment: Assessment) -> None:
    page = change_page(assessment)
    mine = fields_of(office, page) | {"tyres-0-notes": "Worn on one side"}
    Tyre.objects.filter(pk=mine["tyres-0-id"]).delete()
    answer = office.post(page, mine)
    assert "This row was removed after you had opened the page." in errors_in(answer)
    again = form_values(answer.content.decode())
    assert again["tyres-0-notes"] == "Worn on one side"
    answer = office.post(page, again | {"tyres-0-DELETE": "on"})
    assert answer.status_code == SAVED, errors_in(answer)


def test_a_part_that_both_added_is_refused_and_what_was_typed_stays(office: Visitor, assessor: User) -> None:
    page = change_page(Assessment.objects.create(assessor=assessor))
    mine = fields_of(office, page) | {"vehicle-0-make": "Toyota", "vehicle-0-model": "Corolla"}
    office.post(page, fields_of(office, page) | {"vehicle-0-make": "Ford", "vehicle-0-model": "Ranger"})
    answer = office.post(page, mine)
    assert answer.status_code == 200
    assert "This was entered after you had opened the page: Ford Ranger." in errors_in(answer)
    assert form_values(answer.content.decode())["vehicle-0-make"] == "Toyota"
    assert Vehicle.objects.get().make == "Ford"


def test_clients_and_the_office_are_compared_too(office: Visitor, assessment: Assessment) -> None:
    Office.objects.get_or_create(pk=1)
    for name, key, field in (("client", assessment.client_id, "contact"), ("office", 1, "phone")):
        page = reverse(f"admin:assessments_{name}_change", args=[key])
        mine = fields_of(office, page)
        office.post(page, mine | {field: "Theirs"})
        assert "“Theirs”" in errors_in(office.post(page, mine | {field: "Mine"})), name


def test_text_with_any_line_ends_is_no_change(office: Visitor, assessment: Assessment) -> None:
    Assessment.objects.update(notes="One\nTwo \r\nThree ")
    page = change_page(assessment)
    answer = office.post(page, fields_of(office, page) | {"excess": "1.00"})
    assert answer.status_code == SAVED, errors_in(answer)
    assert Assessment.objects.get().notes == "One\nTwo \r\nThree "


@pytest.mark.django_db(transaction=True)
def test_of_two_who_save_at_the_same_moment_one_is_told(assessment: Assessment, staff: User) -> None:
    page = change_page(assessment)
    visitors = [visitor_of(staff) for _ in range(4)]
    forms = [fields_of(visitor, page) | {"excess": f"{number}.00"} for number, visitor in enumerate(visitors, start=1)]

    def save(visitor: Visitor, form: dict[str, str]) -> int:
        try:
            return visitor.post(page, form).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(visitors)) as pool:
        assert sorted(pool.map(save, visitors, forms)) == [200, 200, 200, SAVED]


def test_the_page_says_who_saved_last_and_a_second_tab_of_ones_own_is_you(
    office: Visitor, staff: User, assessment: Assessment
) -> None:
    colleague = User.objects.create_superuser("thabo", first_name="Thabo", last_name="Dube")
    page = change_page(assessment)
    mine = fields_of(office, page)
    for visitor, who in ((visitor_of(colleague), "Thabo Dube"), (office, "you")):
        values = fields_of(visitor, page)
        assert visitor.post(page, values | {"excess": f"{len(who)}.00"}).status_code == SAVED
        answer = office.post(page, mine | {"excess": "4500.00"}).content.decode()
        assert f"Last saved in the office by {who} on " in answer
        assert "Somebody else" not in answer
    lines = lines_page(assessment)
    answer = office.post(lines, fields_of(office, lines) | {"lines-0-part_price": "x"}).content.decode()
    assert "Last saved in the office by you on " in answer
    assert "Last saved" not in office.get(page).content.decode()
