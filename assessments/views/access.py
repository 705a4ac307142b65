"""Access to assessments: an assessment that a user may not see does not exist for that user."""

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404

from assessments.models import Assessment
from assessments.models.assessment import NUMBER


def visible_assessment(user: AbstractBaseUser | AnonymousUser, number: str) -> Assessment:
    """Return the assessment of that number. Raises Http404 without one that the user may see."""
    if not NUMBER.fullmatch(number):
        raise Http404("This is no number of an assessment.")
    found = Assessment.objects.visible_to(user).select_related("vehicle", "assessor", "client").filter(number=number)
    assessment = found.first()
    if assessment is None:
        raise no_assessment(number)
    return assessment


def changeable_assessment(user: AbstractBaseUser | AnonymousUser, number: str) -> Assessment:
    """Return the assessment of that number. Raises Http404 like ``visible_assessment``, and PermissionDenied."""
    assessment = visible_assessment(user, number)
    if not assessment.may_be_changed_by(user):
        raise PermissionDenied("Your account may read this assessment, and not change it. Ask your office.")
    return assessment


def no_assessment(number: str) -> Http404:
    return Http404(f"There is no assessment {number} among yours.")
