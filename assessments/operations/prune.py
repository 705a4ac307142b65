"""The removal of old rows and files; never of a current file, and never of an entry of the audit log."""

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import batched
from pathlib import PurePosixPath
from typing import Any

from axes.models import AccessLog
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now
from django.tasks import TaskResultStatus
from django_tasks_db.models import DBTaskResult

from assessments.models import Attempt, BulkRequest, Document, DocumentVersion, Photo
from assessments.models.lease import FromNow, database_now
from assessments.models.photo import numbers_of
from assessments.storage.folder import PART
from assessments.storage.temporary import TOKEN

from . import temporary

logger = logging.getLogger(__name__)

DAY = timedelta(days=1)
# The site does not need the rows of finished tasks; a curious person may.
FINISHED_TASKS = 14 * DAY
# The throttle of signing in takes an address for a usual one for as long as its sign-in is kept.
SIGN_INS = 30 * DAY
# The live page of a bulk request is there for as long as its row.
BULK_REQUESTS = 90 * DAY
# Rows that are removed in one statement, so that no other writer waits long.
CHUNK = 500
FILES = "files without a row"
# A file of which the database knows nothing may be newer than its rows, as after a back-up was put back. Such a file
# stays for a week, in which people may still find a newer back-up.
LEFT = 7 * DAY


def prune(dry_run: bool = False) -> dict[str, int]:
    """Remove old rows and files; return how many of each. In a dry run, only count them."""
    rows: dict[str, QuerySet[Any]] = {
        "old versions": old_versions(),
        "finished and lost tasks": old_tasks(),
        "expired sessions": Session.objects.filter(expire_date__lt=Now()),
        "sign-ins": AccessLog.objects.filter(attempt_time__lt=FromNow(-SIGN_INS)),
        "bulk requests": old_bulk_requests(),
    }
    # Rows go before files: there is never a row without its file. A kill in between leaves files for the next run.
    if dry_run:
        counts = {name: found.count() for name, found in rows.items()}
        counts[FILES] = counts["old versions"] + sum(1 for _ in files_without_row())
    else:
        counts = {name: remove_rows(found) for name, found in rows.items()}
        counts[FILES] = sum(map(remove_file, files_without_row()))
    counts["folders of killed processes"] = temporary.remove_left(dry_run)
    return counts


# Versions and their files ---------------------------------------------------------------------------------------------

# Documents and photos are in one storage.
storage: Any = DocumentVersion._meta.get_field("file").storage


def old_versions() -> QuerySet[DocumentVersion]:
    """Return the versions older than KEEP_VERSIONS_DAYS that are not among the newest KEEP_VERSIONS of their document.

    Leave out current versions, and versions of a running batch: people who wait for that batch see all its files.
    """
    # Only documents with that many versions are looked at, which an index finds.
    many = DocumentVersion.objects.filter(number__gt=settings.KEEP_VERSIONS).order_by().values("document")
    newer = DocumentVersion.objects.filter(document=OuterRef("document"), number__gt=OuterRef("number"))
    count = newer.order_by().values("document").annotate(count=Count("pk")).values("count")
    return DocumentVersion.objects.alias(newer=Subquery(count)).filter(
        ~Exists(Document.objects.filter(current=OuterRef("pk"))),
        ~Exists(Document.objects.active().filter(batch=OuterRef("batch"))),
        document__in=many,
        made_at__lt=FromNow(-settings.KEEP_VERSIONS_DAYS * DAY),
        newer__gte=settings.KEEP_VERSIONS,
    )


def files_without_row() -> Iterator[str]:
    """Yield the stored files that no version and no photo has: of deleted rows, of killed processes."""
    try:
        for folder, left in {"documents": without_version, "photos": without_photo}.items():
            for some in batched(storage.everything(folder), CHUNK):
                yield from left({name: changed for name, changed in some if PART not in name})
    except OSError:
        logger.warning("The stored files could not be listed; it is tried again the next time", exc_info=True)


def without_version(files: dict[str, datetime]) -> set[str]:
    """Return the files of ended attempts without a version, and old files of which the database knows no attempt."""
    of_assessments = DocumentVersion.objects.filter(document__assessment__number__in=numbers_of(files))
    left = files.keys() - set(of_assessments.values_list("file", flat=True))
    left -= set(DocumentVersion.objects.filter(file__in=left).values_list("file", flat=True)) if left else set()
    tokens = {token: name for name in left if TOKEN.fullmatch(token := PurePosixPath(name).stem)}
    known = Attempt.objects.filter(token__in=tokens)
    over = {tokens[str(token)] for token in known.filter(ended_at__lt=FromNow(-DAY)).values_list("token", flat=True)}
    return over | old(left - {tokens[str(token)] for token in known.values_list("token", flat=True)}, files)


def without_photo(files: dict[str, datetime]) -> set[str]:
    return old(Photo.objects.unnamed(files), files)


def old(names: Iterable[str], files: dict[str, datetime]) -> set[str]:
    """Return the names of files that were stored so long ago that no back-up of the rows that is put back has them."""
    last = database_now() - LEFT
    return {name for name in names if files[name] < last}


def remove_file(name: str) -> bool:
    """Remove a stored file. A file that cannot be removed is logged, and found again at the next run."""
    try:
        storage.delete(name)
    except OSError:
        logger.warning("%s could not be removed", name, exc_info=True)
        return False
    return True


# Rows -----------------------------------------------------------------------------------------------------------------


def old_tasks() -> QuerySet[DBTaskResult[Any, Any]]:
    """Return the tasks that ended two weeks ago, and running tasks so old that their worker must have been killed."""
    finished = Q(finished_at__lt=FromNow(-FINISHED_TASKS))
    longest = DAY + timedelta(seconds=settings.DOCUMENT_DEADLINE)
    return DBTaskResult.objects.filter(
        finished | Q(status=TaskResultStatus.RUNNING, started_at__lt=FromNow(-longest))
    ).order_by()


def old_bulk_requests() -> QuerySet[BulkRequest]:
    """Return old bulk requests without waiting or running documents. The audit log keeps who asked for what."""
    running = Document.objects.active().filter(batch__bulk_request=OuterRef("pk"))
    return BulkRequest.objects.filter(~Exists(running), requested_at__lt=FromNow(-BULK_REQUESTS)).order_by()


def remove_rows(rows: QuerySet[Any]) -> int:
    removed = 0
    while keys := list(rows.values_list("pk", flat=True)[:CHUNK]):
        # Rows that are deleted by cascade are not counted.
        removed += rows.model._default_manager.filter(pk__in=keys).delete()[1].get(rows.model._meta.label, 0)
    return removed
