"""The removal of what killed processes left here: temporary files, unfinished work, stored files without a row."""

import atexit
import logging
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from threading import Thread

from django.db import Error, connections, transaction
from django.utils.crypto import get_random_string

from assessments.models import Assessment, Photo
from assessments.models.photo import numbers_of
from assessments.storage.temporary import PREFIX, Held, folders, left, noted

logger = logging.getLogger(__name__)


def use_own_folder(role: str) -> None:
    """Have this process make its temporary files in a folder of its own; remove what killed processes left."""
    # The start does not wait for a storage or a database that is slow.
    Thread(target=remove_beside, args=[folders()], name="left", daemon=True).start()
    # When the folder cannot be made, temporary files go into the system's own folder.
    with suppress(OSError):
        held = Held(Path(tempfile.gettempdir(), f"{PREFIX}{role}-{get_random_string(8)}"))
        atexit.register(shutil.rmtree, held.folder, ignore_errors=True)
        os.environ["TMPDIR"] = str(held.folder)
        tempfile.tempdir = None


def remove_beside(found: list[Path]) -> None:
    try:
        clear(found)
    finally:
        connections.close_all()


def remove_left(dry_run: bool = False) -> int:
    """Remove what killed processes of this machine left; return how many folders. In a dry run, only count them."""
    return clear(folders(), dry_run)


def remove_at_end() -> None:
    """Remove the folders of killed processes without a wait: stored files are left to the next start."""
    clear([folder for folder in folders() if not noted(folder)])


def clear(found: list[Path], dry_run: bool = False) -> int:
    """Remove those of the folders that have no process. A folder whose stored files cannot be removed now stays."""
    removed = 0
    for folder in found:
        try:
            with left(folder) as is_left:
                removed += is_left
                if is_left and not dry_run:
                    remove_unsaved(noted(folder))
                    shutil.rmtree(folder, ignore_errors=True)
        except (Error, OSError) as error:
            removed -= 1
            logger.warning("The stored files of %s could not be removed (%s); this is tried again", folder, error)
            if isinstance(error, Error):
                break
    return removed


def remove_unsaved(names: list[str]) -> None:
    if not names:
        return
    concerned = Assessment.objects.filter(number__in=numbers_of(names))
    # The killed process may have sent its COMMIT: its rows are there before the locks of its transaction are free.
    with transaction.atomic():
        if len(concerned.lock_free()) < concerned.count():
            raise BlockingIOError("another transaction has locked the assessment")
        unnamed = Photo.objects.unnamed(names)
    for name in unnamed:
        Photo._meta.get_field("original").storage.delete(name)
