"""People in the admin: by their names, with an address of their own, and with a group in place of permissions."""

import re

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client as Visitor
from django.urls import reverse

from assessments.models import Assessment, BulkRequest
from assessments.operations.groups import make_groups
from tests.cast import PASSWORD
from tests.office import LIST, act, change_page, errors_in, fields_of, live_page, visitor_of, with_history

ADD, USERS = "/admin/auth/user/add/", "/admin/auth/user/"


@pytest.fixture
def naledi(assessor: User) -> User:
    assessor.first_name, assessor.last_name = "Naledi", "Nkosi"
    assessor.save()
    return assessor


@pytest.fixture
def chief(db: None) -> Visitor:
    return visitor_of(User.objects.create_superuser("chief"))


def person_form(chief: Visitor, page: str) -> dict[str, str]:
    """Return the values of a person's page; a browser sends nothing for lists without a choice."""
    several = {"groups", "user_permissions"}
    return {name: value for name, value in fields_of(chief, page).items() if name not in several}


def test_lists_and_filters_show_people_by_name(
    office: Visitor, staff: User, naledi: User, assessment: Assessment
) -> None:
    staff.first_name, staff.last_name = "Fatima", "Adams"
    staff.save()
    act(office, "generate_documents", assessment)
    with_history(assessment)
    for name, column, person in (
        ("assessment", "assessor", "Naledi Nkosi"),
        ("bulkrequest", "requested_by", "Fatima Adams"),
        ("document", "requested_by", "Fatima Adams"),
        ("documentversion", "made_by", "Fatima Adams"),
        ("batch", "requested_by", "Fatima Adams"),
        ("auditentry", "person", "Fatima Adams"),
    ):
        page = office.get(reverse(f"admin:assessments_{name}_changelist")).content.decode()
        assert person in re.findall(rf'class="field-{column}[^"]*">([^<]*)<', page), name
    Assessment.objects.create(assessor=staff)
    assert re.search(r">\s*Naledi Nkosi\s*</a>", office.get(LIST).content.decode())
    found = office.get(reverse("admin:assessments_bulkrequest_changelist"), {"q": "Fatima"}).content.decode()
    assert f"progress/{BulkRequest.objects.get().pk}/" in found


def test_a_new_assessor_is_one_who_works_here_and_the_present_one_stays(
    office: Visitor, naledi: User, assessment: Assessment
) -> None:
    gone = User.objects.create_user("gone", is_active=False)
    other = Assessment.objects.create(assessor=gone)
    offered = {page: office.get(page).content.decode() for page in (f"{LIST}add/", change_page(assessment))}
    for page, text in offered.items():
        assert f'value="{naledi.pk}"' in text, page
        assert "Naledi Nkosi (assessor)</option>" in text
        assert ">gone</option>" not in text, page
    values = fields_of(office, change_page(other))
    assert values["assessor"] == str(gone.pk)
    assert office.post(change_page(other), values | {"notes": "Handed over."}).status_code == 302
    refused = office.post(change_page(assessment), fields_of(office, change_page(assessment)) | {"assessor": gone.pk})
    assert "Select a valid choice" in errors_in(refused)


def test_a_new_person_has_a_name_and_an_address_that_nobody_else_has(chief: Visitor, naledi: User) -> None:
    new = {
        "username": "thabo",
        "first_name": "Thabo",
        "last_name": "Dube",
        "email": naledi.email.upper(),
        "usable_password": "true",
        "password1": PASSWORD,
        "password2": PASSWORD,
    }
    answer = chief.post(ADD, new)
    assert "Naledi Nkosi (assessor) has this address." in errors_in(answer)
    answer = chief.post(ADD, new | {"email": "thabo@example.org"})
    assert answer.status_code == 302, errors_in(answer)
    thabo = User.objects.get(username="thabo")
    assert (thabo.get_full_name(), thabo.email) == ("Thabo Dube", "thabo@example.org")
    page = f"{USERS}{thabo.pk}/change/"
    assert "has this address" in errors_in(chief.post(page, person_form(chief, page) | {"email": naledi.email}))
    assert chief.post(page, person_form(chief, page) | {"email": ""}).status_code == 302
    assert "Active" in re.findall(r'\?o=[^"]*">([^<]*)</a>', chief.get(USERS).content.decode())


def test_a_person_of_the_office_needs_one_group(chief: Visitor, assessment: Assessment) -> None:
    make_groups()
    clerk, reader = (User.objects.create_user(name, is_staff=True) for name in ("clerk", "reader"))
    for person, group in ((clerk, "Office"), (reader, "Readers")):
        page = f"{USERS}{person.pk}/change/"
        assert f">{group}</option>" in chief.get(page).content.decode()
        values = person_form(chief, page) | {"groups": [Group.objects.get(name=group).pk]}
        assert chief.post(page, values).status_code == 302
    page = change_page(assessment)
    assert visitor_of(clerk).post(page, fields_of(visitor_of(clerk), page) | {"notes": "x"}).status_code == 302
    assert visitor_of(reader).get(page).status_code == 200
    assert visitor_of(reader).post(page, {"notes": "y"}).status_code == 403
    assert visitor_of(reader).get(live_page(assessment)).status_code == 200
    # The office changes a group as it likes.
    Group.objects.get(name="Readers").permissions.clear()
    assert make_groups() == []
    assert not Group.objects.get(name="Readers").permissions.exists()
