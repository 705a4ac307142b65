"""The transfer of files: the photos of a document to the worker, and the made file to the storage."""

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
    """A made file, which storage may move into place or read. A read raises Cancelled once ``over`` is set."""

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
    """Copy the document's photos to this machine, unless they are in a folder; return the snapshot with their paths."""
    photos = list(content.photos)

    def bring(number: int, over: threading.Event) -> None:
        photos[number] = brought(content.kind, photos[number], work, lambda: not over.is_set())

    away = [number for number, photo in enumerate(photos) if not photo.original.is_absolute()]
    with writing(watch.attempt, "The photos could not be fetched"):
        watch.during([partial(bring, number) for number in away], "Fetching photo {} of {}")
    return replace(content, photos=tuple(photos))


def brought(kind: str, photo: PhotoItem, work: Path, still_wanted: Callable[[], bool]) -> PhotoItem:
    """Copy the one file of a photo that the generator will read; return the photo with the local paths.

    A missing file raises nothing: the generator reports it.
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
    """Store the file under the attempt's stored_name; return its bytes and its SHA-256. No row refers to it yet."""
    attempt = watch.attempt
    storage = DocumentVersion._meta.get_field("file").storage
    found: list[tuple[int, str]] = []

    def save(over: threading.Event) -> None:
        found.append((os.fstat(made.fileno()).st_size, hashlib.file_digest(made, "sha256").hexdigest()))
        made.seek(0)
        storage.save(attempt.stored_name, Produced(made, Path(made.name), over))
        if over.is_set():
            # This save hung and was given up, so now no other code removes the file.
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
    """Raise DocumentError for an OSError of the block, and remove the attempt's stored file."""
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
