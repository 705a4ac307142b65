"""A document in the middle of its life, as the tests of its life need it."""

from assessments.documents import queue
from assessments.models import Assessment, Attempt, Document, DocumentVersion


def slot(assessment: Assessment, kind: str = "report") -> Document:
    return assessment.documents.get(kind=kind)


def claimed(assessment: Assessment) -> Attempt:
    attempt = queue.claim(assessment.pk)
    assert attempt is not None
    return attempt


def finish(attempt: Attempt) -> DocumentVersion:
    return attempt.finish(size=3, sha256="0" * 64, message="1 page", pages=1)
