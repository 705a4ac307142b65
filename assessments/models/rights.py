"""The rights to assessments: assessors read and change their own, staff read and change all by their permissions."""

from collections.abc import Collection, Iterable

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, User

# As in the admin, the permission to change includes the permission to view.
CHANGE = "assessments.change_assessment"
VIEW = ("assessments.view_assessment", CHANGE)


def reads_all(user: AbstractBaseUser | AnonymousUser) -> bool:
    return _is_staff_with(user, *VIEW)


def changes_all(user: AbstractBaseUser | AnonymousUser) -> bool:
    return _is_staff_with(user, CHANGE)


def _is_staff_with(user: AbstractBaseUser | AnonymousUser, *permissions: str) -> bool:
    person: User = user  # type: ignore[assignment]
    return person.is_staff and any(map(person.has_perm, permissions))


def reads(person: int, assessor: int | None, of_all: Collection[int]) -> bool:
    """Return whether a person may read an assessor's assessment; ``of_all`` is what ``readers_of_all`` has found."""
    return person == assessor or person in of_all


def readers_of_all(people: Iterable[AbstractBaseUser]) -> set[int]:
    """Return the keys of those people who may read all assessments, with one query, or without staff with none."""
    staff = [person.pk for person in people if getattr(person, "is_staff", False)]
    if not staff:
        return set()
    view, change = (User.objects.with_perm(permission) for permission in VIEW)
    return set((view | change).filter(pk__in=staff).values_list("pk", flat=True))
