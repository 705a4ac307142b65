"""What a worker does with one document: claim it, have a child process make it, store the file, say so.

The worker never renders. Its one loop reads the child's pipe, records progress, renews the lease, and ends the child
at the deadline, on cancel, or when the lease is lost; so a hung or crashing generator costs one document, no worker.
"""

import logging
import re
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import connection as pipes
from multiprocessing.context import ForkServerProcess
from multiprocessing.process import BaseProcess
from pathlib import Path

from django.conf import settings
from django.core.files import File
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from . import child, processes, snapshot
from .generators.contract import DocumentError
from .generators.snapshot import Snapshot
from .models import Attempt, Document, DocumentVersion, Heartbeat
from .models.document import Superseded

logger = logging.getLogger(__name__)

# Seconds: between two looks at whether the document was cancelled, and between two records of progress.
LOOK = 0.25
# Seconds between two signs of life of this worker.
BEAT = 5.0
# Attempts of the past that the expected time is taken from.
HISTORY = 20

# The name of a work folder.
TOKEN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# What a query raises when the database is away, restarts, or is locked for too long.
DATABASE_AWAY = (OperationalError, InterfaceError)


class Cancelled(Exception):  # noqa: N818
    """The document was cancelled while it was being made."""


class Crashed(Exception):  # noqa: N818
    """The child process died before it said how it ended."""


class Produced(File):  # type: ignore[type-arg]
    """A file that storage may move into place instead of copying it."""

    def temporary_file_path(self) -> str:
        return str(self.name)


def advance(assessment_id: int) -> Attempt | None:
    """Make the assessment's next pending document, to its end. Return the attempt, or None when there was none to make.

    An error of the document ends in the document; only errors of the surroundings (the database gone for good) are
    raised.
    """
    attempt = Document.objects.claim(assessment_id)
    if attempt is None:
        return None
    logger.info("%s: begun", attempt)
    try:
        make(attempt)
    except Superseded:
        attempt.remove_stored_file()
        logger.warning("%s: the lease was lost; another worker has the document", attempt)
    return attempt


def make(attempt: Attempt) -> None:
    """Make and store the attempt's document, or record how it failed. Raises Superseded when the lease is lost."""
    work = Path(settings.WORK_ROOT) / str(attempt.token)
    begun = time.monotonic()
    try:
        with writing(attempt):
            work.mkdir(parents=True)
        as_of = timezone.now()
        content = snapshot.take(attempt)
        Attempt.objects.filter(pk=attempt.pk).update(units=content.units)
        record(attempt, 0, "Starting", expected_seconds=expected_seconds(attempt, content.units))
        with running_child(attempt, content, work) as (process, pipe):
            finished = follow(attempt, process, pipe)
        store(attempt, finished)
        version = insist(
            lambda: attempt.finish(
                as_of=as_of,
                size=finished.size,
                sha256=finished.sha256,
                pages=finished.made.pages,
                photos=finished.made.photos,
                message=finished.made.message,
                seconds=time.monotonic() - begun,
            )
        )
        Attempt.objects.filter(pk=attempt.pk).update(
            seconds=version.seconds, cpu_seconds=finished.cpu_seconds, peak_memory=finished.peak_memory
        )
        logger.info("%s: made in %.1f s, %d bytes", attempt, version.seconds, version.size)
    except DocumentError as error:
        reason = str(error)
        logger.info("%s: %s", attempt, reason)
        insist(lambda: attempt.fail(reason))
    except Cancelled:
        logger.info("%s: cancelled", attempt)
        insist(attempt.cancel)
    except Crashed as error:
        reason = str(error)
        logger.error("%s: %s", attempt, reason)
        insist(lambda: attempt.crash(reason))
    except Superseded:
        raise
    except DATABASE_AWAY:
        logger.warning("%s: the database does not answer", attempt, exc_info=True)
        connection.close()
        insist(lambda: attempt.crash("The database did not answer while this was being made. Retry it."))
        attempt.remove_stored_file()
    except Exception:
        logger.exception("%s: failed unexpectedly", attempt)
        attempt.remove_stored_file()
        insist(
            lambda: attempt.fail(
                "Something went wrong while this was being made. Retry it; "
                f"if it fails again, give support the reference {attempt.reference}."
            )
        )
    except BaseException:
        # This worker was told to stop at once.
        logger.warning("%s: given back, the worker stops", attempt)
        attempt.release()
        attempt.remove_stored_file()
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def expected_seconds(attempt: Attempt, units: int) -> float | None:
    """How long this should take by this site's own history of documents of its kind; None without a history."""
    past = Attempt.objects.filter(document__kind=attempt.document.kind, outcome=Attempt.Outcome.SUCCESS)
    paces = [seconds / max(done, 1) for seconds, done in past.values_list("seconds", "units")[:HISTORY] if seconds]
    return statistics.median(paces) * max(units, 1) if paces else None


@contextmanager
def running_child(
    attempt: Attempt, content: Snapshot, work: Path
) -> Iterator[tuple[ForkServerProcess, pipes.Connection]]:
    """A child process that makes the document; it has ended when the block ends, whatever happens in it."""
    process, pipe = processes.start(child.main, attempt.document.kind, content, work, settings.DOCUMENT_MEMORY)
    try:
        yield process, pipe
    finally:
        processes.end(process, pipe)


def follow(attempt: Attempt, process: BaseProcess, pipe: pipes.Connection) -> child.Finished:
    """Read what the child says until it has finished, recording its progress and keeping the lease.

    Raises DocumentError, Crashed, Cancelled or Superseded when it ends otherwise.
    """
    deadline = time.monotonic() + settings.DOCUMENT_DEADLINE
    renewal = settings.LEASE.total_seconds() / 3
    last_look = last_renewal = time.monotonic()
    last_beat = 0.0
    said: child.Progressed | None = None
    while True:
        if pipe.poll(LOOK):
            message = heard(pipe, process)
            if not isinstance(message, child.Progressed):
                return finished(message)
            said = message
        now = time.monotonic()
        if now > deadline:
            raise DocumentError(
                f"This took longer than {settings.DOCUMENT_DEADLINE} seconds and was stopped. "
                "Retry it; if it happens again, give support the reference "
                f"{attempt.reference}."
            )
        if now - last_look < LOOK:
            continue
        last_look = now
        try:
            if said is not None:
                record(attempt, said.progress, said.message)
                said, last_renewal = None, now
            elif now - last_renewal > renewal:
                record_renewal(attempt)
                last_renewal = now
            else:
                check_standing(attempt)
            if now - last_beat > BEAT:
                Heartbeat.beat(Heartbeat.Role.WORKER)
                last_beat = now
        except DATABASE_AWAY:
            # The child goes on; if the database stays away past the lease, another worker will have the document.
            logger.warning("%s: the database does not answer", attempt, exc_info=True)
            connection.close()


def heard(pipe: pipes.Connection, process: BaseProcess) -> child.Message:
    try:
        message: child.Message = pipe.recv()
    except (EOFError, OSError):
        process.join()
        raise Crashed(crash_reason(process.exitcode)) from None
    return message


def crash_reason(exit_code: int | None) -> str:
    return (
        f"The process that made this stopped unexpectedly ({processes.ending(exit_code)}). Retry it; "
        "if it fails again, look for a photo that may be damaged."
    )


def finished(message: child.Message) -> child.Finished:
    match message:
        case child.Finished():
            return message
        case child.Refused(reason):
            raise DocumentError(reason)
        case child.OutOfMemory():
            limit = settings.DOCUMENT_MEMORY // 2**20
            raise DocumentError(
                f"This needs more memory than the {limit} MiB allowed for one document. "
                "Remove the largest photos or shorten the texts, then retry."
            )
        case child.Broken(trace):
            raise RuntimeError(f"the generator failed:\n{trace}")
    raise AssertionError(message)


def record(attempt: Attempt, progress: int | None, message: str, **values: object) -> None:
    try:
        attempt.report(progress, message, **values)
    except Superseded:
        check_standing(attempt)


def record_renewal(attempt: Attempt) -> None:
    if not attempt.renew():
        raise Superseded


def check_standing(attempt: Attempt) -> None:
    match attempt.standing():
        case "cancelled":
            raise Cancelled
        case "lost":
            raise Superseded


def store(attempt: Attempt, made: child.Finished) -> None:
    """Put the file where the attempt said it would be. Nothing points to it yet."""
    storage = DocumentVersion._meta.get_field("file").storage
    with writing(attempt), made.made.path.open("rb") as file:
        storage.save(attempt.stored_name, Produced(file, name=str(made.made.path)))


@contextmanager
def writing(attempt: Attempt) -> Iterator[None]:
    """Raise DocumentError when what the block writes cannot be written, and leave nothing half-written."""
    try:
        yield
    except OSError as error:
        logger.exception("%s: storing failed", attempt)
        attempt.remove_stored_file()
        raise DocumentError(
            "This could not be stored, perhaps because the disk is full. "
            f"Ask support to make room (reference {attempt.reference}), then retry."
        ) from error


def clear_work_folders() -> None:
    """Remove the work folders that killed workers left behind on this machine."""
    root = Path(settings.WORK_ROOT)
    found = root.iterdir() if root.is_dir() else ()
    folders = {folder.name: folder for folder in found if TOKEN.fullmatch(folder.name)}
    leased = Document.objects.processing().filter(lease_token__in=folders).values_list("lease_token", flat=True)
    for name in folders.keys() - {str(token) for token in leased}:
        shutil.rmtree(folders[name], ignore_errors=True)


def insist[T](step: Callable[[], T]) -> T:
    """Take a step that ends an attempt; while the database does not answer, try again for as long as the lease."""
    give_up = time.monotonic() + settings.LEASE.total_seconds()
    while True:
        try:
            return step()
        except DATABASE_AWAY:
            if time.monotonic() > give_up:
                raise
            connection.close()
            time.sleep(0.5)
