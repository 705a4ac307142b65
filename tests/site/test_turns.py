"""A large request does not hold up a small one: each person who waits has the same chance to come next.

New photos and documents take turns.
"""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from assessments.documents import queue, tasks
from assessments.models import Assessment, Document, Photo
from assessments.photos import intake as photos
from tests import cast, family
from tests.cast import YEAR
from tests.running import Site, wait_until

OWN, STRANGERS = (f"ASM-{YEAR}-{number:03}" for number in (1, 2))


def ask(by: User, count: int) -> list[int]:
    """Request the estimates of some new assessments for a person; return the primary keys of the assessments."""
    assessments = [cast.make_assessment(by, photos=0) for _ in range(count)]
    for assessment in assessments:
        queue.request(assessment, ["estimate"], by=by)
    return [assessment.pk for assessment in assessments]


def test_each_person_who_waits_has_the_same_chance(assessor: User, stranger: User) -> None:
    many, (one,) = ask(assessor, 9), ask(stranger, 1)
    drawn = Counter(queue.in_turn(many[4]) for _ in range(300))
    # When the owner of the task's assessment is drawn, that assessment comes next.
    assert drawn.keys() == {many[4], one}
    assert drawn[one] > 75
    assert drawn[many[4]] > 75


def test_the_longest_waiting_document_of_another_drawn_person_comes_next(assessor: User, stranger: User) -> None:
    (one,), many = ask(stranger, 1), ask(assessor, 3)
    assert {queue.in_turn(one) for _ in range(100)} == {one, many[0]}


def test_an_assessment_with_a_document_in_the_making_does_not_come_next(assessor: User) -> None:
    first, second = ask(assessor, 2)
    queue.request(Assessment.objects.get(pk=first), ["report"], by=assessor)
    assert queue.claim(first)
    assert queue.in_turn(first) == second
    assert queue.claim(second)
    assert queue.in_turn(first) is None


def test_a_task_whose_assessment_is_done_makes_another_waiting_document(assessor: User) -> None:
    first, second = ask(assessor, 2)
    for _ in range(2):
        tasks.advance.call(first)
    made = Document.objects.filter(kind="estimate").values_list("assessment", "status")
    assert dict(made) == {first: Document.Status.SUCCESS, second: Document.Status.SUCCESS}
    tasks.advance.call(first)


def test_a_person_is_drawn_by_lot_and_that_persons_oldest_photo_comes_next(assessor: User, stranger: User) -> None:
    many, one = cast.make_assessment(assessor, photos=9), cast.make_assessment(stranger, photos=1)
    oldest = {many.photos.earliest("pk"), one.photos.get()}
    drawn = Counter()
    for _ in range(100):
        photo = Photo.objects.claim()
        assert photo
        drawn[photo] += 1
        Photo.objects.update(lease_expires_at=None, lease_token=None, attempts=0)
    assert drawn.keys() == oldest
    assert min(drawn.values()) > 20


def test_every_turn_looks_at_photos_for_a_while_and_then_makes_one_document(
    assessor: User, stranger: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "TURN", 0.001)
    cast.make_assessment(stranger, photos=4)
    first, _ = ask(assessor, 2)
    made = Document.objects.filter(status=Document.Status.SUCCESS)
    for turn, task in enumerate((tasks.advance, tasks.look_at_photos), start=1):
        task.call(*([first] if task is tasks.advance else []))
        assert (made.count(), Photo.objects.filter(state="ready").count()) == (turn, turn)


# With a worker --------------------------------------------------------------------------------------------------------


def new_photos(site: Site, number: str) -> int:
    query = (
        "SELECT count(*) AS count FROM assessments_photo p JOIN assessments_assessment a ON a.id = p.assessment_id "
        "WHERE a.number = ? AND p.state = 'new'"
    )
    return int(site.rows(query, number)[0]["count"])


def waiting_tasks(site: Site) -> int:
    query = "SELECT count(*) AS count FROM django_tasks_database_dbtaskresult WHERE status = 'READY'"
    return int(site.rows(query)[0]["count"])


@pytest.mark.timeout(180)
def test_ten_photos_do_not_wait_behind_three_hundred_assessments(start_site: Callable[..., Site]) -> None:
    site = start_site()
    site.python(
        "from django.contrib.auth.models import User\nfrom django.db import transaction\n"
        "from assessments.documents import queue, tasks\n"
        "from assessments.models import Document\nfrom tests import cast\n"
        "with transaction.atomic():\n"
        "    stranger = User.objects.get(username='stranger')\n"
        "    asked = [cast.make_assessment(stranger, photos=0).pk for _ in range(300)]\n"
        "    queue.request_many(Document.objects.filter(kind='estimate'), asked, by=stranger)\n"
        "    for pk in asked: tasks.advance.enqueue(pk)"
    )
    before = waiting_tasks(site)
    # Painting the pictures takes the processor from the worker, and is not part of the measured wait.
    pictures = [cast.picture(number, (3000, 2250)) for number in range(10)]
    with site.login("assessor") as client:
        begun = time.monotonic()
        for number, content in enumerate(pictures):
            files = {"photos": (f"{number}.jpg", content, "image/jpeg")}
            client.post(f"/assessments/{OWN}/photos/", data={"section": "additionals"}, files=files)
        wait_until(lambda: not new_photos(site, OWN), "the photos are new", patience=10 - (time.monotonic() - begun))
    assert waiting_tasks(site) > 200 < before


@pytest.mark.long
@pytest.mark.timeout(180)
def test_four_documents_do_not_wait_behind_six_hundred_photos(start_site: Callable[..., Site]) -> None:
    site = start_site()
    assert site.process
    serve = site.process.pid
    (worker,) = wait_until(lambda: family.named(serve, "worker"), "no worker runs")
    # On a busy machine, a worker that goes on would look at most photos before the last photo is there.
    site.freeze(worker)
    site.python(
        "from django.db import transaction\nfrom assessments.documents import tasks\n"
        "from assessments.models import Assessment\nfrom tests import cast\n"
        f"assessment = Assessment.objects.get(number='{STRANGERS}')\n"
        "content = cast.picture(1, (4000, 3000))\n"
        "with transaction.atomic():\n"
        "    for number in range(600): cast.add_photo(assessment, content, f'{number}.jpg')\n"
        "tasks.look_at_photos.enqueue()"
    )
    with site.login("assessor") as client:
        client.post(f"/assessments/{OWN}/documents/generate/")
        os.kill(worker, signal.SIGCONT)
        wait_until(lambda: set(site.statuses(OWN).values()) == {"success"}, "they are not made", patience=25)
    assert new_photos(site, STRANGERS) > 100
    # Useless wake-ups do not pile up: one waits for the photos, and a few for documents that are made already.
    assert waiting_tasks(site) <= 5
