"""The seam to the task engine. A task only wakes a worker: the result of a task is never read."""

import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import batched
from typing import Unpack

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.tasks import task

from assessments.models import Assessment, Attempt, AuditEntry, Batch, Document, Photo
from assessments.models.batch import Asker
from assessments.models.slots import DocumentQuerySet
from assessments.models.states import Step
from assessments.photos import intake as photos

from . import outdated, queue, worker

# Assessments of one transaction that requests or cancels. The number is small, so that no other writer waits long.
CHUNK = 100
# Seconds for which a worker waits for locked rows of assessments, and seconds between two tries.
HELD_PATIENCE, HELD_LOOK = 2.0, 0.2


@task
def advance(assessment_id: int) -> None:
    """Decode photos for a turn; then make one document, of this assessment or of another one that is now next.

    A task makes only one document, so that all assessments share the workers. Each waiting assessment has a task.
    """
    look_at_photos_of_a_turn()
    attempt = make_next(assessment_id)
    if attempt is None:
        return
    made_for = attempt.document.assessment_id
    if Document.objects.filter(assessment_id=made_for).pending().exists():
        advance.enqueue(made_for)


@task
def look_at_photos() -> None:
    """Decode photos for a turn. While photos wait, one such task waits, too, or runs and enqueues the next one.

    The task then makes one document, so that many photos do not hold up the documents.
    """
    look_at_photos_of_a_turn(look_at_photos.enqueue)
    make_next()


def look_at_photos_of_a_turn(help_me: Callable[[], object] = lambda: None) -> None:
    """Decode new photos for the length of a turn; call ``help_me`` for a free worker when another photo waits."""
    for number, photo in enumerate(photos.look_at_new()):
        if photo.state == Photo.State.UNREADABLE:
            outdated.changed_in([photo.assessment_id])
        if number == 0 and Photo.objects.waiting().exists():
            help_me()


def make_next(assessment_id: int | None = None) -> Attempt | None:
    """Make the next document; return the attempt, or None when no document waits.

    None, too, when the rows of all waiting assessments stay locked: the sweep wakes a worker for them later.
    """
    last = time.monotonic() + HELD_PATIENCE
    passed: set[int] = set()
    while True:
        chosen = queue.in_turn(assessment_id, passed)
        if chosen is None:
            if not passed or time.monotonic() > last:
                return None
            time.sleep(HELD_LOOK)
            passed.clear()
        elif attempt := worker.advance(chosen):
            return attempt
        else:
            # Another worker was quicker, or the row is locked: then another assessment is next.
            passed.add(chosen)


def add_photo(
    assessment: Assessment, upload: "UploadedFile[bytes]", section: str, caption: str, by: AbstractBaseUser | None
) -> Photo:
    """Take in a photo, and wake a worker for it. Raises PhotoRefused, AlreadyThere and NotAllowed."""
    assessment.require(Step.PHOTOS)
    try:
        photo = photos.take_in(assessment, upload, section, caption, by)
    except photos.AlreadyThere as there:
        # A newer version of the site may read the photo, or a larger limit allow it.
        unreadable = Photo.objects.filter(pk=there.photo.pk, state=Photo.State.UNREADABLE)
        if unreadable.update(**Photo.anew()):
            look_at_photos.enqueue()
        raise
    # When an older photo waits for its first attempt, a worker has been woken already, and decodes this photo, too.
    if not Photo.objects.new().filter(pk__lt=photo.pk, lease_expires_at=None).exists():
        look_at_photos.enqueue()
    return photo


def look_again(photo: Photo) -> None:
    """Have the lost small pictures of a photo made again, if its original is still there."""
    ready = Photo.objects.filter(pk=photo.pk, state=Photo.State.READY, print_image=photo.print_image.name)
    if photo.original.storage.exists(str(photo.original.name)) and ready.update(**Photo.anew()):
        look_at_photos.enqueue()


def ask(
    assessment: Assessment, kinds: Iterable[str] | None = None, **asker: Unpack[Asker]
) -> tuple[Batch | None, list[str]]:
    """Request an assessment's documents (all, or those of some kinds), and record the request in the audit log.

    Return the batch that runs now, which may have run before, and the requested kinds. Raises NotAllowed and
    TooManyRequests.
    """
    assessment.require(Step.DOCUMENTS)
    with transaction.atomic():
        AuditEntry.objects.admit(**asker)
        batch, asked = queue.request(assessment, kinds, **asker)
        action = AuditEntry.Action.REQUESTED if kinds is None else AuditEntry.Action.RETRIED
        AuditEntry.objects.record(action, {assessment: asked}, **asker)
    return batch, asked


def request(
    assessment: Assessment, kinds: Iterable[str] | None = None, **asker: Unpack[Asker]
) -> tuple[Batch | None, list[str]]:
    """Request documents as ``ask`` does, and wake a worker for them."""
    batch, asked = ask(assessment, kinds, **asker)
    if asked:
        transaction.on_commit(partial(advance.enqueue, assessment.pk))
    return batch, asked


# The same for many assessments. Each function returns the assessments in which a document was requested or cancelled.


def request_many(assessments: Iterable[Assessment], **asker: Unpack[Asker]) -> list[Assessment]:
    # A request that only joins a running batch is recorded, too.
    ask_for_all = partial(ask_many, Document.objects.outstanding(), asker=asker)
    return in_chunks(ask_for_all, AuditEntry.Action.REQUESTED, assessments, asker)


def retry_many(assessments: Iterable[Assessment], **asker: Unpack[Asker]) -> list[Assessment]:
    def ask_again(ids: list[int]) -> dict[int, list[str]]:
        asked = ask_many(Document.objects.failed(), ids, asker)
        return {pk: kinds for pk, kinds in asked.items() if kinds}

    return in_chunks(ask_again, AuditEntry.Action.RETRIED, assessments, asker)


def cancel_many(assessments: Iterable[Assessment], **asker: Unpack[Asker]) -> list[Assessment]:
    return in_chunks(queue.cancel_many, AuditEntry.Action.CANCELLED, assessments, asker)


def ask_many(documents: DocumentQuerySet, assessment_ids: list[int], asker: Asker) -> dict[int, list[str]]:
    """Request those of the documents that belong to some assessments, and wake workers for them."""
    asked = queue.request_many(documents, assessment_ids, **asker)
    if changed := sorted(pk for pk, kinds in asked.items() if kinds):
        transaction.on_commit(partial(wake.enqueue, changed))
    return asked


def in_chunks(
    step: Callable[[list[int]], dict[int, list[str]]],
    action: AuditEntry.Action,
    assessments: Iterable[Assessment],
    asker: Asker,
) -> list[Assessment]:
    """Call ``step`` with many assessments in chunks, and record in the audit log the kinds of each that it changed."""
    concerned: list[Assessment] = []
    for chunk in batched(assessments, CHUNK):
        with transaction.atomic():
            found = step([assessment.pk for assessment in chunk])
            kinds = {assessment: found[assessment.pk] for assessment in chunk if assessment.pk in found}
            AuditEntry.objects.record(action, kinds, **asker)
        concerned += [assessment for assessment in kinds if kinds[assessment]]
    return concerned


# This task runs before all documents, in a worker: a request for hundreds of assessments must not wait for their tasks.
@task(priority=10)
def wake(assessment_ids: list[int]) -> None:
    # All tasks need one commit only, when the queue is in the database.
    with transaction.atomic():
        for assessment_id in assessment_ids:
            advance.enqueue(assessment_id)


def recover() -> int:
    """Wake workers for documents of dead workers and for documents that no worker took; return how many assessments."""
    due = dict.fromkeys([*queue.recover(), *queue.forgotten()])
    for assessment_id in due:
        advance.enqueue(assessment_id)
    if given_up := Photo.objects.give_up(photos.STOPPED):
        outdated.changed_in(given_up)
    if Photo.objects.forgotten():
        look_at_photos.enqueue()
    return len(due)
