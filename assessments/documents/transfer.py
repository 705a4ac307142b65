"""Files to and from the worker: the photos that a document is made from, and the file that it becomes."""

import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import Any

from django.core.files import File

from assessments.models import Attempt, DocumentVersion, Photo
from assessments.printing.contract import DocumentError
from assessments.printing.data import PhotoItem, Snapshot
from assessments.storage.folder import StorageAway, copy_here

from .kinds import KINDS
from .watch import Cancelled, Watch

logger = logging.getLogger(__name__)


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
