"""The seam to the task engine. A task is only a wake-up: what becomes of it is never asked."""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import batched

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.tasks import TaskResultStatus, task

from . import mails, photos, worker
from .models import Assessment, Attempt, AuditEntry, Batch, BulkRequest, Document, Photo
from .models.document import DocumentQuerySet

# Assessments that are asked for or cancelled in one transaction, so that no other writer waits long.
CHUNK = 100


@task
def advance(assessment_id: int) -> None:
    """Make the next document, of this assessment or of another one: whose turn it is shows only now.

    One for each task, so that all assessments share the workers. There are as many tasks as assessments that wait.
    """
    attempt = make_next(assessment_id)
    if attempt is None:
        return
    made_for = attempt.document.assessment_id
    if Document.objects.filter(assessment_id=made_for).pending().exists():
        advance.enqueue(made_for)
    if attempt.batch_id:
        mails.report_failures(attempt.batch_id)


def make_next(assessment_id: int) -> Attempt | None:
    """Make the document whose turn it is; return the attempt, or None when none waits."""
    while (chosen := Document.objects.in_turn(assessment_id)) is not None:
        # None when another worker was quicker: then somebody else comes next.
        if attempt := worker.advance(chosen):
            return attempt
    return None


# Behind all documents: a document that is asked for makes the print images it misses itself.
@task(priority=-10)
def prepare_photo(photo_id: int) -> None:
    photos.prepare(photo_id)


def ask(
    assessment: Assessment, kinds: Iterable[str] | None = None, by: AbstractBaseUser | None = None, origin: str = ""
) -> tuple[Batch | None, list[str]]:
    """Ask for an assessment's documents (all, or those of some kinds), and note in the audit log who did.

    Return the batch that runs now and the kinds that were asked for; what ran already is joined. Raises
    TooManyRequests.
    """
    with transaction.atomic():
        if by is not None and origin in AuditEntry.COUNTED:
            AuditEntry.objects.admit(by)
        batch, asked = Document.objects.request(assessment, kinds, by, origin)
        action = AuditEntry.Action.REQUESTED if kinds is None else AuditEntry.Action.RETRIED
        AuditEntry.objects.record(action, {assessment: asked}, by, origin)
    return batch, asked


def request(
    assessment: Assessment, kinds: Iterable[str] | None = None, by: AbstractBaseUser | None = None, origin: str = ""
) -> tuple[Batch | None, list[str]]:
    """Ask for documents, as ``ask`` does, and wake a worker for them."""
    with transaction.atomic():
        batch, asked = ask(assessment, kinds, by, origin)
        if asked:
            transaction.on_commit(partial(advance.enqueue, assessment.pk))
    return batch, asked


def cancel(assessment: Assessment, by: AbstractBaseUser | None = None, origin: str = "") -> None:
    """Cancel what waits or runs, and note in the audit log who did."""
    cancel_many([assessment], by, origin)


# The same for many assessments. Each returns those in which there was anything to ask for, or to cancel.


def request_many(
    assessments: Iterable[Assessment],
    by: AbstractBaseUser | None = None,
    origin: str = "",
    bulk_request: BulkRequest | None = None,
) -> list[Assessment]:
    def ask_for_all(ids: list[int]) -> dict[int, list[str]]:
        # Who only joined what is being made has asked, too.
        return {pk: [] for pk in ids} | ask_many(Document.objects.outstanding(), ids, by, origin, bulk_request)

    return in_chunks(ask_for_all, AuditEntry.Action.REQUESTED, assessments, by, origin)


def retry_many(
    assessments: Iterable[Assessment],
    by: AbstractBaseUser | None = None,
    origin: str = "",
    bulk_request: BulkRequest | None = None,
) -> list[Assessment]:
    ask_again = partial(ask_many, Document.objects.failed(), by=by, origin=origin, bulk_request=bulk_request)
    return in_chunks(ask_again, AuditEntry.Action.RETRIED, assessments, by, origin)


def cancel_many(
    assessments: Iterable[Assessment], by: AbstractBaseUser | None = None, origin: str = ""
) -> list[Assessment]:
    return in_chunks(Document.objects.cancel_many, AuditEntry.Action.CANCELLED, assessments, by, origin)


def ask_many(
    documents: DocumentQuerySet,
    assessment_ids: list[int],
    by: AbstractBaseUser | None,
    origin: str,
    bulk_request: BulkRequest | None,
) -> dict[int, list[str]]:
    """Ask for those documents of some assessments, and wake workers for them."""
    asked = documents.request_many(assessment_ids, by, origin, bulk_request)
    if asked:
        transaction.on_commit(partial(wake.enqueue, sorted(asked)))
    return asked


def in_chunks(
    step: Callable[[list[int]], dict[int, list[str]]],
    action: AuditEntry.Action,
    assessments: Iterable[Assessment],
    by: AbstractBaseUser | None,
    origin: str,
) -> list[Assessment]:
    """Take a step with many assessments, and note in the audit log which kinds of each it concerned."""
    concerned: list[Assessment] = []
    for chunk in batched(assessments, CHUNK):
        with transaction.atomic():
            found = step([assessment.pk for assessment in chunk])
            kinds = {assessment: found[assessment.pk] for assessment in chunk if assessment.pk in found}
            AuditEntry.objects.record(action, kinds, by, origin)
        concerned += [assessment for assessment in kinds if kinds[assessment]]
    return concerned


# Before all documents, and in a worker: who asks for hundreds of assessments must not wait until each has its task.
@task(priority=10)
def wake(assessment_ids: list[int]) -> None:
    """Wake workers for many assessments."""
    # One commit for all of them, where the queue is in the database.
    with transaction.atomic():
        for assessment_id in assessment_ids:
            advance.enqueue(assessment_id)


def recover() -> int:
    """Wake workers for what dead ones left and for what none has picked up; return how many assessments."""
    due = dict.fromkeys([*Document.objects.recover(), *Document.objects.forgotten()])
    results = {assessment_id: advance.enqueue(assessment_id) for assessment_id in due}
    # The queue has not taken these. Nothing grows in it, so there is no need to wait longer each time.
    failed = [pk for pk, result in results.items() if result.status == TaskResultStatus.FAILED]
    Assessment.objects.filter(pk__in=failed).update(wakes=0)
    worker.clear_work_folders()
    return len(due)


def prepare_forgotten_photos() -> int:
    """Wake workers for photos whose preparation was lost with its worker; return how many."""
    photo_ids = list(Photo.objects.forgotten().values_list("pk", flat=True))
    for photo_id in photo_ids:
        prepare_photo.enqueue(photo_id)
    return len(photo_ids)
