"""The visitors of the admin."""

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client as Visitor

from tests.office import visitor_of


@pytest.fixture
def office(staff: User) -> Visitor:
    return visitor_of(staff)


@pytest.fixture
def onlooker(db: None) -> Visitor:
    """Return a browser of staff who may view everything and change nothing."""
    person = User.objects.create_user("onlooker", is_staff=True)
    person.user_permissions.set(
        Permission.objects.filter(content_type__app_label="assessments", codename__startswith="view_")
    )
    return visitor_of(person)
