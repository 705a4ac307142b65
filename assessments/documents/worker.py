"""The work on one document: claim it, have a child process make it, store the file, record the result.

The worker never renders. Its one loop reads the child's pipe, records progress, renews the lease, and ends the child
at the deadline, on cancel, or when the lease is lost. So a generator that hangs or crashes costs one document only.
"""

import logging
import statistics
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from django.conf import settings
from django.db import connection

from assessments import logs, sandbox
from assessments.connections import DATABASE_AWAY, insist
from assessments.models import Attempt
from assessments.models.slots import Superseded
from assessments.printing.contract import DocumentError, Made
from assessments.printing.data import Snapshot
from assessments.storage.folder import NO_ROOM
from assessments.storage.temporary import Held

from . import outdated, queue, snapshot
from .kinds import KINDS, PRELOAD
from .transfer import fetch, store, writing
from .watch import LOOK, Cancelled, Watch

logger = logging.getLogger(__name__)

# Past attempts from which the expected time is calculated.
HISTORY = 20
# The newest attempts at any document, among which those past attempts are.
LATELY = 2000
# The child gets less processor time than the worker, which has to renew the lease meanwhile.
NICENESS = 5


def advance(assessment_id: int) -> Attempt | None:
    """Make the assessment's next pending document. Return the attempt, or None when no document could be claimed.

    An error of the document is recorded on the document. Only errors of the surroundings (the database is away for
    good) are raised.
    """
    attempt = queue.claim(assessment_id)
    if attempt is None:
        return None
    with logs.about(assessment=attempt.document.assessment.number, attempt=attempt.reference):
        logger.info("%s: begun", attempt)
        try:
            make(attempt)
        except Superseded:
            attempt.remove_stored_file()
            logger.warning("%s: the lease was lost; the document is made again", attempt)
    return attempt


def make(attempt: Attempt) -> None:
    """Make and store the attempt's document, or record how it failed. Raises Superseded when the lease is lost."""
    work = Path(settings.WORK_ROOT) / str(attempt.token)
    begun = time.monotonic()
    over = ExitStack()
    try:
        with writing(attempt):
            over.callback(Held(work).remove)
        content = snapshot.take(attempt)
        watch = Watch(attempt, expected_seconds(attempt, content.units))
        content = fetch(watch, content, work)
        warm_up()
        with sandbox.Child(work_of(content, work)) as child:
            made = follow(watch, child)
        with sandbox.made_file(made.path, work) as file:
            size, sha256 = store(watch, file)
        seconds = time.monotonic() - begun
        insist(
            lambda: attempt.finish(
                digests=snapshot.digests(content),
                size=size,
                sha256=sha256,
                pages=made.pages,
                photos=made.photos,
                missing=made.missing,
                message=made.message,
                seconds=seconds,
                cost={
                    "units": content.units,
                    "seconds": seconds,
                    "cpu_seconds": child.cpu_seconds,
                    "peak_memory": child.peak_memory,
                },
            )
        )
        logger.info("%s: made in %.1f s, %d bytes", attempt, seconds, size)
        outdated.compare_made(attempt)
    except DocumentError as error:
        reason = str(error)
        logger.info("%s: %s", attempt, reason)
        end = attempt.fail if "support" in reason else attempt.refuse
        insist(lambda: end(reason))
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
            # The signal may have interrupted a query. Then the connection cannot be used again.
            connection.close()
        # Without a lease there is nothing to give back, and the end must not become an answer of advance().
        with suppress(Superseded):
            attempt.release()
        attempt.remove_stored_file()
        raise
    finally:
        over.close()


def expected_seconds(attempt: Attempt, units: int) -> float | None:
    """Return the expected seconds, by this site's history of documents of the same kind; None without a history."""
    # Without a limit, a kind that was never made would have the database read all attempts.
    lately = Attempt.objects.order_by("-pk").values("pk")[:LATELY]
    past = Attempt.objects.filter(pk__in=lately, document__kind=attempt.document.kind, outcome=Attempt.Outcome.SUCCESS)
    paces = [seconds / max(done, 1) for seconds, done in past.values_list("seconds", "units")[:HISTORY] if seconds]
    return statistics.median(paces) * max(units, 1) if paces else None


def warm_up() -> None:
    """Load the libraries of all generators into the fork server, so that a child starts in milliseconds."""
    sandbox.warm_up((*PRELOAD, "assessments.printing.warm"))


def work_of(content: Snapshot, work: Path) -> sandbox.Work:
    photos = content.photos
    files = [path for photo in photos for path in (photo.original, photo.print_image) if path]
    return sandbox.Work(
        function=KINDS[content.kind].generator,
        arguments=(content, work),
        memory=settings.DOCUMENT_MEMORY,
        # A PDF is composed in memory before it is written, and an archive is as large as its photos.
        disk=settings.DOCUMENT_MEMORY + sum(photo.size for photo in photos),
        reads=tuple({path.parent for path in files}),
        folder=work,
        niceness=NICENESS,
        progress=True,
    )


def follow(watch: Watch, child: sandbox.Child) -> Made:
    """Read the child's messages until it has made the file; record its progress and renew the lease.

    Raises DocumentError, Cancelled, Superseded, OSError, sandbox.Crashed or sandbox.Broken when there is no file.
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
            "The office can remove the largest photos or shorten the texts; then retry."
        ) from None
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise DocumentError(
            "There was no room left on the disk to make this. Ask support to make room, then retry."
        ) from error
