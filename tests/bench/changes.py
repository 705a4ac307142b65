"""The changes for the streams: assessments whose documents are being made, and processes that report their progress.

Runs within the environment of a site (``manage.py shell``).
"""

import json
import random
import sys
import time
import uuid
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from assessments.documents.kinds import SLUGS
from assessments.models import Assessment, Attempt, Batch, Document
from tests import cast


def fill(count: int) -> str:
    """Make assessments, each with its report being made; return JSON: the session of a person who may watch all."""
    watcher = cast.make_person("watcher", is_staff=True)
    assessments = Assessment.objects.bulk_create(
        Assessment(number=f"ASM-2026-{number:05}", assessor=watcher, revision=1) for number in range(1, count + 1)
    )
    batches = Batch.objects.bulk_create(Batch(assessment=assessment) for assessment in assessments)
    soon = timezone.now() + timedelta(days=1)
    documents = []
    for assessment, batch in zip(assessments, batches, strict=True):
        for position, kind in enumerate(SLUGS):
            made = {"status": Document.Status.PENDING}
            if position == 0:
                token = uuid.uuid4()
                made = {"status": Document.Status.PROCESSING, "lease_token": token, "lease_expires_at": soon}
            documents.append(
                Document(assessment=assessment, kind=kind, position=position, batch=batch, revision=1, **made)
            )
    Document.objects.bulk_create(documents, batch_size=2000)
    Attempt.objects.bulk_create(
        Attempt(document=document, batch=document.batch, token=document.lease_token, worker="bench")
        for document in documents
        if document.lease_token
    )
    return json.dumps(cast.session_of(watcher))


def report(count: int, rate: float, seconds: float, share: int = 0, shares: int = 1) -> None:
    """Report progress, as a worker does, on the first ``count`` assessments, ``rate`` times a second.

    Several processes can do it, each on its own share of the assessments. Print "ready", begin when a line arrives,
    and print [number, revision, moment of the commit] of every change, by the machine's monotonic clock.
    """
    attempts = list(Attempt.objects.select_related("document__assessment").order_by("pk")[:count])[share::shares]
    draw = random.Random(share)
    changes: list[tuple[str, int, float]] = []
    print("ready", flush=True)
    sys.stdin.readline()
    begun = time.monotonic()
    for step in range(round(rate * seconds)):
        time.sleep(max(0.0, begun + step / rate - time.monotonic()))
        attempt = draw.choice(attempts)
        assessment = attempt.document.assessment
        with transaction.atomic():
            # Register this first, so that the moment is taken before the change is announced.
            transaction.on_commit(lambda: moments.append(time.monotonic()))
            attempt.report(min(99, 3 * (assessment.revision + 1)), f"Page {assessment.revision} of 40")
        assessment.revision += 1
        changes.append((assessment.number, assessment.revision, moments.pop()))
    print(json.dumps(changes), flush=True)


moments: list[float] = []
