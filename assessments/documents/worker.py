"""What a worker does with one document: claim it, have a child process make it, store the file, say so.

The worker never renders. Its one loop reads the child's pipe, records progress, renews the lease, and ends the child
at the deadline, on cancel, or when the lease is lost; so a hung or crashing generator costs one document, no worker.
"""

import hashlib
import logging
import os
import re
import shutil
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files import File
from django.db import InterfaceError, InternalError, OperationalError, connection

from assessments import logs, sandbox
from assessments.models import Attempt, Document, DocumentVersion, Heartbeat, Photo
from assessments.models.document import Superseded
from assessments.printing.contract import DocumentError, Made
from assessments.printing.data import PhotoItem, Snapshot
from assessments.storage.folder import NO_ROOM, StorageAway, copy_here

from . import outdated, snapshot
from .kinds import KINDS, PRELOAD

logger = logging.getLogger(__name__)

# Seconds: between two looks at whether the document was cancelled, and between two records of progress.
LOOK = 0.25
# Seconds between two signs of life of this worker.
BEAT = 5.0
# Attempts of the past that the expected time is taken from.
HISTORY = 20
# Photos that are fetched at once.
FETCHES = 4
# A renderer gives way to the worker, which has to keep the lease meanwhile.
NICENESS = 5
# The name of a work folder.
TOKEN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# What a query raises when the database is away, restarts, is locked for too long, or has ended what took too long.
DATABASE_AWAY = (OperationalError, InterfaceError, InternalError)


class Cancelled(Exception):  # noqa: N818
    """The document was cancelled while it was being made."""


class Produced(File):  # type: ignore[type-arg]
    """A file that storage may move into place instead of copying it; else it is read for as long as it is wanted."""

    def __init__(self, file: Any, path: Path, over: threading.Event) -> None:
        super().__init__(file, str(path))
        self.over = over

    def temporary_file_path(self) -> str:
        return str(self.name)

    def read(self, size: int = -1) -> bytes:
        if self.over.is_set():
            raise Cancelled
        content: bytes = super().read(size)
        return content


class Watch:
    """Keeps an attempt's lease and records its progress while something is done for it, up to its deadline."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.deadline = time.monotonic() + settings.DOCUMENT_DEADLINE
        self.last_look = self.last_renewal = time.monotonic()
        self.last_beat = 0.0
        self.said: sandbox.Progressed | None = None

    def look(self) -> None:
        """To be called several times a second. Raises DocumentError, Cancelled or Superseded when it is to end."""
        now = time.monotonic()
        if now > self.deadline:
            raise DocumentError(
                f"This took longer than {settings.DOCUMENT_DEADLINE} seconds and was stopped. "
                "Retry it; if it happens again, give support the reference "
                f"{self.attempt.reference}."
            )
        if now - self.last_look < LOOK:
            return
        self.last_look = now
        try:
            # First: what comes then may wait for a lock.
            if now - self.last_beat > BEAT:
                Heartbeat.beat(Heartbeat.Role.WORKER)
                self.last_beat = now
            if self.said is not None:
                record(self.attempt, self.said.progress, self.said.message)
                self.said, self.last_renewal = None, now
            elif now - self.last_renewal > settings.LEASE.total_seconds() / 3:
                if not self.attempt.renew():
                    raise Superseded
                self.last_renewal = now
            else:
                check_standing(self.attempt)
        except DATABASE_AWAY:
            # The work goes on; if the database stays away past the lease, another worker will have the document.
            logger.warning("%s: the database does not answer", self.attempt, exc_info=True)
            connection.close()

    def during(self, jobs: Sequence[Callable[[threading.Event], None]], message: str = "") -> None:
        """Do slow jobs in threads. Each gets an event that is set when all of them are to be given up.

        ``message`` tells how far they are, by the number begun and the number of all. Raises what a job or a look does.
        A job that hangs is not waited for then.
        """
        over = threading.Event()
        pool = ThreadPoolExecutor(FETCHES, "transfers")
        told = 0
        try:
            waiting = {pool.submit(job, over) for job in jobs}
            while waiting:
                number = len(jobs) - len(waiting) + 1
                if message and number > told:
                    self.said = sandbox.Progressed(0, message.format(number, len(jobs)))
                    told = number
                done, waiting = wait(waiting, LOOK, FIRST_COMPLETED)
                for job in done:
                    job.result()
                self.look()
        finally:
            over.set()
            pool.shutdown(wait=False, cancel_futures=True)


def advance(assessment_id: int) -> Attempt | None:
    """Make the assessment's next pending document, to its end. Return the attempt, or None when there was none to make.

    An error of the document ends in the document; only errors of the surroundings (the database gone for good) are
    raised.
    """
    attempt = Document.objects.claim(assessment_id)
    if attempt is None:
        return None
    with logs.about(assessment=attempt.document.assessment.number, attempt=attempt.reference):
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
        content = snapshot.take(attempt)
        Attempt.objects.filter(pk=attempt.pk).update(units=content.units)
        record(attempt, 0, "Starting", expected_seconds=expected_seconds(attempt, content.units))
        watch = Watch(attempt)
        content = fetch(watch, content, work)
        warm_up()
        with sandbox.Child(work_of(content, work)) as child:
            made = follow(watch, child)
        with sandbox.made_file(made.path, work) as file:
            size, sha256 = store(watch, file)
        version = insist(
            lambda: attempt.finish(
                digests=snapshot.digests(content),
                size=size,
                sha256=sha256,
                pages=made.pages,
                photos=made.photos,
                message=made.message,
                seconds=time.monotonic() - begun,
            )
        )
        Attempt.objects.filter(pk=attempt.pk).update(
            seconds=version.seconds, cpu_seconds=child.cpu_seconds, peak_memory=child.peak_memory
        )
        logger.info("%s: made in %.1f s, %d bytes", attempt, version.seconds, version.size)
        # What changed while it was made was compared with the file before it.
        outdated.compare([attempt.document.assessment_id])
    except DocumentError as error:
        reason = str(error)
        logger.info("%s: %s", attempt, reason)
        insist(lambda: attempt.fail(reason))
    except Cancelled:
        logger.info("%s: cancelled", attempt)
        insist(attempt.cancel)
    except sandbox.Crashed as error:
        logger.error("%s: its process ended: %s", attempt, error)
        reason = (
            f"The process that made this stopped unexpectedly ({error}). Retry it; "
            "if it fails again, look for a photo that may be damaged."
        )
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
        if not connection.in_atomic_block:
            # The signal may have ended a query in the middle. Its connection is of no use then.
            connection.close()
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


def warm_up() -> None:
    """Have the libraries of all generators loaded beforehand: a renderer then starts in milliseconds."""
    sandbox.warm_up((*PRELOAD, "assessments.printing.warm"))


def work_of(content: Snapshot, work: Path) -> sandbox.Work:
    photos = content.photos
    files = [path for photo in photos for path in (photo.original, photo.print_image) if path]
    return sandbox.Work(
        function=KINDS[content.kind].generator,
        arguments=(content, work),
        memory=settings.DOCUMENT_MEMORY,
        # A paper is put together in memory before it is written, and an archive is as large as its photos.
        disk=settings.DOCUMENT_MEMORY + sum(photo.size for photo in photos),
        reads=tuple({path.parent for path in files}),
        folder=work,
        niceness=NICENESS,
        progress=True,
    )


def follow(watch: Watch, child: sandbox.Child) -> Made:
    """Hear what the child says until it has made the file, recording its progress and keeping the lease.

    Raises DocumentError, Cancelled, Superseded, sandbox.Crashed or sandbox.Broken when it ends otherwise.
    """
    try:
        while True:
            said = child.listen(LOOK)
            if isinstance(said, sandbox.Returned):
                return sandbox.shaped(Made, said.result)
            watch.said = said or watch.said
            watch.look()
    except sandbox.Refused as refused:
        raise DocumentError(str(refused)) from None
    except sandbox.OutOfMemory:
        limit = settings.DOCUMENT_MEMORY // 2**20
        raise DocumentError(
            f"This needs more memory than the {limit} MiB allowed for one document. "
            "Remove the largest photos or shorten the texts, then retry."
        ) from None
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise DocumentError(
            "There was no room left on the disk to make this. Ask support to make room, then retry."
        ) from error


def record(attempt: Attempt, progress: int | None, message: str, **values: object) -> None:
    try:
        attempt.report(progress, message, **values)
    except Superseded:
        check_standing(attempt)


def check_standing(attempt: Attempt) -> None:
    match attempt.standing():
        case "cancelled":
            raise Cancelled
        case "lost":
            raise Superseded


def fetch(watch: Watch, content: Snapshot, work: Path) -> Snapshot:
    """Bring the photos that the document is made from to this machine; those of a folder are there."""
    photos = list(content.photos)

    def bring(number: int, over: threading.Event) -> None:
        photos[number] = brought(content.kind, photos[number], work, lambda: not over.is_set())

    away = [number for number, photo in enumerate(photos) if not photo.original.is_absolute()]
    with writing(watch.attempt, "The photos could not be fetched"):
        watch.during([partial(bring, number) for number in away], "Fetching photo {} of {}")
    return replace(content, photos=tuple(photos))


def brought(kind: str, photo: PhotoItem, work: Path, still_wanted: Callable[[], bool]) -> PhotoItem:
    """A photo with a copy of that file of it which will be read.

    A missing one the generator will miss, and say so.
    """
    original, print_image = work / photo.original, work / photo.print_image if photo.print_image else None
    here = photo.changed(original=original, print_image=print_image)
    storage = Photo._meta.get_field("original").storage
    if not KINDS[kind].packs_originals:
        if photo.problem:
            return here
        if print_image:
            with suppress(FileNotFoundError):
                copy_here(storage, str(photo.print_image), print_image, still_wanted)
                return here
    with suppress(FileNotFoundError):
        copy_here(storage, str(photo.original), original, still_wanted)
    return here


def store(watch: Watch, made: BufferedReader) -> tuple[int, str]:
    """Put the file where the attempt said it would be; return its bytes and their digest. Nothing points to it yet."""
    attempt = watch.attempt
    storage = DocumentVersion._meta.get_field("file").storage
    found: list[tuple[int, str]] = []

    def save(over: threading.Event) -> None:
        found.append((os.fstat(made.fileno()).st_size, hashlib.file_digest(made, "sha256").hexdigest()))
        made.seek(0)
        storage.save(attempt.stored_name, Produced(made, Path(made.name), over))
        if over.is_set():
            # Given up while it hung: by now nobody else will remove it.
            storage.delete(attempt.stored_name)

    with writing(attempt):
        try:
            watch.during([save])
        except (Cancelled, DocumentError):
            attempt.remove_stored_file()
            raise
    return found[0]


@contextmanager
def writing(attempt: Attempt, failure: str = "This could not be stored") -> Iterator[None]:
    """Raise DocumentError when what the block writes cannot be written, and leave nothing half-written."""
    try:
        yield
    except OSError as error:
        logger.exception("%s: %s", attempt, failure)
        attempt.remove_stored_file()
        raise DocumentError(
            f"{failure}, because the file storage does not answer. Retry in a few minutes; "
            f"if it fails again, give support the reference {attempt.reference}."
            if isinstance(error, StorageAway)
            else f"{failure}, perhaps because the disk is full. "
            f"Ask support to make room (reference {attempt.reference}), then retry."
        ) from error


def clear_work_folders() -> None:
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
