"""Removes what has had its time; never a current file, and never an entry of the audit log."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from axes.models import AccessLog
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now
from django.tasks import TaskResultStatus
from django_tasks_db.models import DBTaskResult

from assessments.models import Attempt, BulkRequest, Document, DocumentVersion
from assessments.models.lease import from_now

logger = logging.getLogger(__name__)

DAY = timedelta(days=1)
# How long rows are kept that nothing but a person's curiosity needs.
FINISHED_TASKS = 14 * DAY
# The throttle of signing in takes an address for a usual one for as long.
SIGN_INS = 30 * DAY
# As long their live pages are there to come back to.
BULK_REQUESTS = 90 * DAY
# Rows that are removed in one statement, so that no other writer waits long.
CHUNK = 500
FILES = "files without a version"


def prune(dry_run: bool = False) -> dict[str, int]:
    """Remove what has had its time; return how many of each. In a dry run nothing is removed, only counted."""
    rows: dict[str, QuerySet[Any]] = {
        "old versions": old_versions(),
        "finished and lost tasks": old_tasks(),
        "expired sessions": Session.objects.filter(expire_date__lt=Now()),
        "sign-ins": AccessLog.objects.filter(attempt_time__lt=from_now(-SIGN_INS)),
        "bulk requests": old_bulk_requests(),
    }
    # The rows go first: there is never a row without its file. What is killed in between leaves files for the next.
    if dry_run:
        counts = {name: found.count() for name, found in rows.items()}
        counts[FILES] = counts["old versions"] + sum(1 for _ in files_without_version())
    else:
        counts = {name: remove_rows(found) for name, found in rows.items()}
        counts[FILES] = sum(map(remove_file, files_without_version()))
    return counts


# Versions and their files ---------------------------------------------------------------------------------------------

storage = DocumentVersion._meta.get_field("file").storage


def old_versions() -> QuerySet[DocumentVersion]:
    """The versions that are older than KEEP_VERSIONS_DAYS and not among the newest KEEP_VERSIONS of their document.

    Never one that is current, and none of a batch that still runs: who waits for that sees all it has made.
    """
    newer = DocumentVersion.objects.filter(document=OuterRef("document"), number__gt=OuterRef("number"))
    count = newer.order_by().values("document").annotate(count=Count("pk")).values("count")
    return DocumentVersion.objects.alias(newer=Subquery(count)).filter(
        ~Exists(Document.objects.filter(current=OuterRef("pk"))),
        ~Exists(Document.objects.active().filter(batch=OuterRef("batch"))),
        made_at__lt=from_now(-settings.KEEP_VERSIONS_DAYS * DAY),
        newer__gte=settings.KEEP_VERSIONS,
    )


def files_without_version() -> Iterator[str]:
    """The stored files of attempts that ended over a day ago and have no version, or none any more.

    Only of attempts that the database knows: in one that was restored, files may be newer than all of its rows.
    """
    ended = Attempt.objects.filter(version=None, ended_at__lt=from_now(-DAY)).select_related("document__assessment")
    for document in Document.objects.filter(Exists(ended.filter(document=OuterRef("pk")))):
        left = {attempt.stored_name for attempt in ended.filter(document=document)}
        left -= set(document.versions.values_list("file", flat=True))
        folder = min(left).rpartition("/")[0]
        try:
            stored = storage.listdir(folder)[1]
        except FileNotFoundError:
            continue
        except OSError:
            logger.warning("The stored files could not be listed; it is tried again the next time", exc_info=True)
            return
        yield from left & {f"{folder}/{name}" for name in stored}


def remove_file(name: str) -> bool:
    """Remove a stored file. One that resists is logged, and found again the next time."""
    try:
        storage.delete(name)
    except OSError:
        logger.warning("%s could not be removed", name, exc_info=True)
        return False
    return True


# Rows -----------------------------------------------------------------------------------------------------------------


def old_tasks() -> QuerySet[DBTaskResult[Any, Any]]:
    """Tasks that ended two weeks ago, and those that nobody can be at any more, as their worker was killed."""
    finished = Q(finished_at__lt=from_now(-FINISHED_TASKS))
    longest = DAY + timedelta(seconds=settings.DOCUMENT_DEADLINE)
    return DBTaskResult.objects.filter(
        finished | Q(status=TaskResultStatus.RUNNING, started_at__lt=from_now(-longest))
    ).order_by()


def old_bulk_requests() -> QuerySet[BulkRequest]:
    """The bulk requests of which nothing waits or runs any more. The audit log still says who asked for what."""
    running = Document.objects.active().filter(batch__bulk_request=OuterRef("pk"))
    return BulkRequest.objects.filter(~Exists(running), requested_at__lt=from_now(-BULK_REQUESTS)).order_by()


def remove_rows(rows: QuerySet[Any]) -> int:
    removed = 0
    while keys := list(rows.values_list("pk", flat=True)[:CHUNK]):
        # Without what goes along with them.
        removed += rows.model._default_manager.filter(pk__in=keys).delete()[1].get(rows.model._meta.label, 0)
    return removed
