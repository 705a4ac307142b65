"""Removes what has had its time; never a current file, and never an entry of the audit log."""

import logging
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from axes.models import AccessLog
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.management.base import BaseCommand
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now
from django.tasks import TaskResultStatus
from django_tasks_db.models import DBTaskResult

from assessments.models import Attempt, BulkRequest, Document, DocumentVersion
from assessments.models.document import from_now

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


class Command(BaseCommand):
    help = "Removes old versions of documents with their files, and old tasks, sessions, sign-ins and bulk requests."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be removed.")
        parser.add_argument(
            "--keep-versions",
            type=at_least(1),
            default=settings.KEEP_VERSIONS,
            metavar="N",
            help="Keep the newest N versions of each document, however old (default: %(default)s).",
        )
        parser.add_argument(
            "--keep-days",
            type=at_least(0),
            default=settings.KEEP_VERSIONS_DAYS,
            metavar="DAYS",
            help="Keep versions that are not older (default: %(default)s).",
        )

    def handle(self, *, dry_run: bool, keep_versions: int, keep_days: int, **options: Any) -> None:
        versions = old_versions(keep_versions, keep_days * DAY)
        files = files_without_version()
        rows: dict[str, QuerySet[Any]] = {
            "finished and lost tasks": old_tasks(),
            "expired sessions": Session.objects.filter(expire_date__lt=Now()),
            "sign-ins": AccessLog.objects.filter(attempt_time__lt=from_now(-SIGN_INS)),
            "bulk requests": old_bulk_requests(),
        }
        if dry_run:
            counts = {"old versions": versions.count(), "files without a version": sum(1 for _ in files)}
            counts |= {name: found.count() for name, found in rows.items()}
        else:
            counts = {"old versions": remove_versions(versions)}
            counts["files without a version"] = sum(remove_file(name) for name in files)
            counts |= {name: remove_rows(found) for name, found in rows.items()}
        for name, count in counts.items():
            self.stdout.write(f"{name}: {count} {'would be removed' if dry_run else 'removed'}")


def at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise ArgumentTypeError(f"{text!r} is not a whole number from {least} on")
        return int(text)

    return number


# Versions and their files ---------------------------------------------------------------------------------------------

storage = DocumentVersion._meta.get_field("file").storage


def old_versions(keep: int, age: timedelta) -> QuerySet[DocumentVersion]:
    """The versions that are older than ``age`` and not among the newest ``keep`` of their document.

    Never one that is current, and none of a batch that still runs: who waits for that sees all it has made.
    """
    newer = DocumentVersion.objects.filter(document=OuterRef("document"), number__gt=OuterRef("number"))
    count = newer.order_by().values("document").annotate(count=Count("pk")).values("count")
    return DocumentVersion.objects.alias(newer=Subquery(count)).filter(
        ~Exists(Document.objects.filter(current=OuterRef("pk"))),
        ~Exists(Document.objects.active().filter(batch=OuterRef("batch"))),
        made_at__lt=from_now(-age),
        newer__gte=keep,
    )


def remove_versions(versions: QuerySet[DocumentVersion]) -> int:
    """Remove versions one by one, the row before its file: there is never a row without one.

    What is killed in between leaves a file, which files_without_version() finds.
    """
    removed = 0
    for pk, name in list(versions.values_list("pk", "file")):
        # Another one may be at it, too.
        if versions.filter(pk=pk).delete()[0]:
            removed += 1
            remove_file(name)
    return removed


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
