"""Who asks for much does not hold up who asks for little: each person who waits has the same chance to come next."""

from collections import Counter

from django.contrib.auth.models import User

from assessments import tasks
from assessments.models import Assessment, Document

from . import cast


def ask(by: User, count: int) -> list[int]:
    """Have somebody ask for the estimates of some assessments; return these."""
    assessments = [cast.make_assessment(by, photos=0) for _ in range(count)]
    for assessment in assessments:
        Document.objects.request(assessment, ["estimate"], by)
    return [assessment.pk for assessment in assessments]


def test_each_person_who_waits_has_the_same_chance(assessor: User, stranger: User) -> None:
    many, (one,) = ask(assessor, 9), ask(stranger, 1)
    drawn = Counter(Document.objects.in_turn(many[4]) for _ in range(300))
    # The one that the task is for stands for its owner's.
    assert drawn.keys() == {many[4], one}
    assert drawn[one] > 75
    assert drawn[many[4]] > 75


def test_what_waits_longest_stands_for_who_did_not_ask_for_this_one(assessor: User, stranger: User) -> None:
    (one,), many = ask(stranger, 1), ask(assessor, 3)
    assert {Document.objects.in_turn(one) for _ in range(100)} == {one, many[0]}


def test_an_assessment_with_a_document_in_the_making_does_not_come_next(assessor: User) -> None:
    first, second = ask(assessor, 2)
    Document.objects.request(Assessment.objects.get(pk=first), ["report"], assessor)
    assert Document.objects.claim(first)
    assert Document.objects.in_turn(first) == second
    assert Document.objects.claim(second)
    assert Document.objects.in_turn(first) is None


def test_a_task_whose_assessment_is_done_makes_what_still_waits(assessor: User) -> None:
    first, second = ask(assessor, 2)
    for _ in range(2):
        tasks.advance.call(first)
    made = Document.objects.filter(kind="estimate").values_list("assessment", "status")
    assert dict(made) == {first: Document.Status.SUCCESS, second: Document.Status.SUCCESS}
    tasks.advance.call(first)
