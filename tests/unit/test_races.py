"""People who ask, cancel and ask again, workers and the sweep at the same moment: no row contradicts another."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from random import Random

import pytest
from django.contrib.auth.models import User
from django.db import connections

from assessments.documents import queue
from assessments.models import Assessment, Attempt, Document, DocumentVersion
from assessments.models.slots import Superseded

ROUNDS = 40


@pytest.mark.django_db(transaction=True)
def test_simultaneous_requests_cancels_and_attempts_lose_nothing(
    assessment: Assessment, assessor: User, staff: User
) -> None:
    def in_rounds(seed: int, *acts: Callable[[Random], object]) -> None:
        random = Random(seed)
        try:
            for _ in range(ROUNDS):
                with suppress(Superseded):
                    random.choice(acts)(random)
        finally:
            connections.close_all()

    def ask(by: User) -> Callable[[Random], object]:
        return lambda random: queue.request(assessment, random.choice([None, ["report"], ["estimate"]]), by=by)

    def cancel(random: Random) -> object:
        return queue.cancel_many([assessment.pk])

    def work(random: Random) -> None:
        if attempt := queue.claim(assessment.pk):
            with suppress(Superseded):
                attempt.report(random.randrange(100), "Begun")
            ends = (
                [attempt.cancel]
                if attempt.standing() == "cancelled"
                else [
                    lambda: attempt.finish(size=3, sha256="0" * 64, message="1 page", pages=1),
                    lambda: attempt.fail("It broke."),
                    lambda: attempt.crash("It stopped."),
                    attempt.release,
                ]
            )
            random.choice(ends)()

    def lose(random: Random) -> None:
        Document.objects.processing().update(lease_expires_at="2020-01-01T00:00Z")
        queue.recover()

    acts = [(ask(assessor),), (ask(staff), cancel), (work,), (work, lose)]
    with ThreadPoolExecutor(len(acts)) as pool:
        for done in [pool.submit(in_rounds, seed, *some) for seed, some in enumerate(acts)]:
            done.result()
    held = assessment.documents.processing().values("lease_token")
    assert not Attempt.objects.filter(outcome="running").exclude(token__in=held).exists()
    assert not Attempt.objects.exclude(outcome="running").filter(token__in=held).exists()
    assert Attempt.objects.filter(outcome="success").count() == DocumentVersion.objects.count()
    for document in assessment.documents.all():
        assert document.status != "error" or document.error
        newest = document.versions.first()
        assert document.current == newest
        if document.status == "success":
            assert (document.error, document.progress) == ("", 100)
    lose(Random())
    queue.cancel_many([assessment.pk])
    queue.request(assessment, by=staff)
    while attempt := queue.claim(assessment.pk):
        attempt.finish(size=3, sha256="0" * 64, message="1 page", pages=1)
    assert set(assessment.documents.values_list("status", "current__made_by")) == {("success", staff.pk)}
