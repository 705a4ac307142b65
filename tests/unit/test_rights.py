"""Staff read and change assessments by their permissions, assessors their own without any, on every door."""

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client as Visitor

from assessments.live.door import Claim, rights
from assessments.models import Assessment
from tests import cast
from tests.office import statuses, visitor_of

BUTTONS = ["documents/generate/", "documents/report/retry/", "documents/cancel/", "photos/"]


@pytest.fixture
def reader(db: None) -> User:
    return cast.make_person("reader", is_staff=True, may=["view_assessment"])


@pytest.fixture
def clerk(db: None) -> User:
    """Return staff without any permission."""
    return cast.make_person("clerk", is_staff=True, may=[])


def press(visitor: Visitor, assessment: Assessment) -> list[int]:
    """Press every button of the assessment's page; return the statuses of the answers."""
    return [visitor.post(f"/assessments/{assessment.number}/{button}").status_code for button in BUTTONS]


def test_staff_who_may_view_assessments_read_and_change_nothing(reader: User, assessment: Assessment) -> None:
    visitor = visitor_of(reader)
    page = visitor.get(f"/assessments/{assessment.number}/").content.decode()
    assert "You may read this assessment, and not change it." in page
    assert "Add photos" not in page
    assert '<main id="main" class="read-only">' in page
    assert press(visitor, assessment) == [403, 403, 403, 403]
    assert statuses(assessment) == ["idle"] * 4
    retry = visitor.get(f"/assessments/{assessment.number}/documents/report/retry/").content.decode()
    assert "You may read this assessment, and not change it." in retry
    assert "Make it" not in retry


def test_staff_without_a_permission_find_no_assessment(clerk: User, assessment: Assessment) -> None:
    visitor = visitor_of(clerk)
    assert visitor.get(f"/assessments/{assessment.number}/").status_code == 404
    assert assessment.number not in visitor.get("/assessments/").content.decode()
    assert press(visitor, assessment) == [404, 404, 404, 404]
    assert statuses(assessment) == ["idle"] * 4


def test_staff_read_and_change_their_own_assessments_as_assessors_do(clerk: User) -> None:
    own = cast.make_assessment(clerk)
    visitor = visitor_of(clerk)
    assert "Add photos" in visitor.get(f"/assessments/{own.number}/").content.decode()
    assert visitor.post(f"/assessments/{own.number}/documents/generate/").status_code == 302
    assert statuses(own) == ["pending"] * 4


def test_the_permission_to_change_may_come_from_a_group(clerk: User, assessment: Assessment) -> None:
    office = Group.objects.create(name="Office")
    office.permissions.set(Permission.objects.filter(codename="change_assessment"))
    clerk.groups.add(office)
    assert visitor_of(clerk).post(f"/assessments/{assessment.number}/documents/generate/").status_code == 302
    assert statuses(assessment) == ["pending"] * 4


def test_the_door_of_the_streams_asks_for_the_same_permission(
    reader: User, clerk: User, staff: User, assessment: Assessment
) -> None:
    admin = User.objects.create_superuser("admin")
    people = [reader, clerk, staff, admin, assessment.assessor]
    claims = [Claim(cast.session_of(person), assessment.number) for person in people]
    assert [right.revision for right in rights(claims)] == [0, None, 0, 0, 0]
