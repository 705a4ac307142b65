"""How a photo enters an assessment, and how its small pictures are made. What decodes it, is the darkroom."""

import hashlib
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.files import File
from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.db import Error
from django.db.models import Max
from django.db.models.fields.files import FieldFile

from . import darkroom
from .darkroom import TooSlow
from .generators.print_image import (
    Looked,
    NotAPhoto,
    TooManyPixels,
    Undecodable,
    UnreadablePhoto,
    look_at,
    make_small_pictures,
)
from .models import Assessment, Photo
from .storage import StorageAway, copy_here, local_path

logger = logging.getLogger(__name__)

KNOWN = "Upload JPEG, PNG, WebP, HEIC or TIFF."
MEBIBYTE = 2**20
MEGAPIXEL = 1_000_000


class PhotoRefused(Exception):  # noqa: N818
    """The upload is not kept; the text says why and what to do, in the user's words."""


class GivenUp(PhotoRefused):
    """A photo after which no other of the same request is looked at; ``why`` says so to each of them."""

    def __init__(self, reason: str, why: str) -> None:
        super().__init__(reason)
        self.why = why


class Intake:
    """Takes in the photos of one request. Each is looked at once, and none after one that took too long."""

    def __init__(self) -> None:
        self.findings: dict[UploadedFile[bytes], Looked | PhotoRefused] = {}
        self.why = ""
        self.accepted: list[Photo] = []

    def accept(
        self,
        assessment: Assessment,
        upload: "UploadedFile[bytes]",
        section: str,
        caption: str,
        by: AbstractBaseUser | None,
    ) -> Photo:
        """Keep an uploaded photo, byte for byte, at the end of its section. Raises PhotoRefused.

        What it is, is told by its content.
        """
        looked = self.examine(upload)
        if self.why:
            raise PhotoRefused(f"{_shown_name(upload)} was not added, because {self.why}")
        try:
            photo = _keep(assessment, upload, looked, section, caption, by)
        except GivenUp as refusal:
            self.why = refusal.why
            raise
        self.accepted.append(photo)
        return photo

    def examine(self, upload: "UploadedFile[bytes]") -> Looked:
        """Return what an upload is. Raises PhotoRefused.

        Who is about to open a transaction asks before, as the first answer may take seconds.
        """
        if upload not in self.findings:
            self.findings[upload] = self._find(upload)
        finding = self.findings[upload]
        if isinstance(finding, PhotoRefused):
            raise finding
        return finding

    def _find(self, upload: "UploadedFile[bytes]") -> Looked | PhotoRefused:
        if self.why:
            return PhotoRefused(f"{_shown_name(upload)} was not looked at, because {self.why}")
        try:
            return _finding(upload)
        except GivenUp as refusal:
            self.why = refusal.why
            return refusal
        except PhotoRefused as refusal:
            return refusal

    def discard(self) -> None:
        """Remove the files of what was accepted within a transaction that is undone."""
        for photo in self.accepted:
            _forget(photo)
        self.accepted = []

    def discard_lost(self) -> None:
        """Remove the files of what was accepted and has no row. Where the database does not say, they stay."""
        if not self.accepted:
            return
        names = [str(photo.original.name) for photo in self.accepted]
        try:
            # By name: the key of a row that was undone may be another's by now.
            saved = set(Photo.objects.filter(original__in=names).values_list("original", flat=True))
        except Error:
            logger.exception("Nobody knows whether these files are needed: %s", ", ".join(names))
            return
        self.accepted = [photo for photo in self.accepted if photo.original.name not in saved]
        self.discard()


def _keep(
    assessment: Assessment,
    upload: "UploadedFile[bytes]",
    looked: Looked,
    section: str,
    caption: str,
    by: AbstractBaseUser | None,
) -> Photo:
    name = _shown_name(upload)
    if Photo.objects.filter(assessment=assessment).count() >= settings.PHOTO_MAX_COUNT:
        raise PhotoRefused(
            f"{name} was not added: an assessment can have {settings.PHOTO_MAX_COUNT} photos at most. "
            "Ask the office to remove some that are not needed."
        )
    sha256 = hashlib.sha256()
    for chunk in upload.chunks():
        sha256.update(chunk)
    in_section = Photo.objects.filter(assessment=assessment, section=section)
    photo = Photo(
        assessment=assessment,
        section=section,
        position=(in_section.aggregate(last=Max("position"))["last"] or 0) + 1,
        caption=caption.strip()[:200],
        name=name,
        extension=looked.extension,
        size=upload.size,
        width=looked.width,
        height=looked.height,
        sha256=sha256.hexdigest(),
        uploaded_by=by,  # type: ignore[misc]
    )
    with _room_for(name):
        upload.seek(0)
        # As a plain file it is copied and never moved: of two equal uploads at one moment, each gets one of its own.
        photo.original.save(name, File(upload.file), save=False)
    try:
        photo.save()
    except BaseException:
        _forget(photo)
        raise
    return photo


def _forget(photo: Photo) -> None:
    """Remove the file of a photo that has no row. One that resists is logged."""
    name = photo.original.name
    try:
        photo.original.delete(save=False)
    except OSError:
        logger.exception("%s could not be removed", name)


def _finding(upload: "UploadedFile[bytes]") -> Looked:
    name = _shown_name(upload)
    if not upload.size:
        raise PhotoRefused(f"{name} is empty. Upload the photo again.")
    if upload.size > settings.PHOTO_MAX_BYTES:
        raise PhotoRefused(
            f"{name} is larger than the {settings.PHOTO_MAX_BYTES // MEBIBYTE} MB that a photo may have. "
            "Upload a smaller one."
        )
    with _room_for(name):
        return _looked_at(name, upload)


def prepare(photo_id: int) -> None:
    """Make a photo's print image and thumbnail, or note why that is not possible.

    May run twice, even at once: the first to finish sets the row, the other takes its own files away again.
    """
    mine = Photo.objects.unprepared().filter(pk=photo_id)
    photo = mine.select_related("assessment").first()
    if photo is None:
        return
    with tempfile.TemporaryDirectory(prefix="photo-") as folder:
        made = {"print_image": Path(folder, "print.jpg"), "thumbnail": Path(folder, "thumbnail.jpg")}
        try:
            original = local_path(photo.original)
            if original is None:
                original = Path(folder, "original")
                copy_here(photo.original.storage, str(photo.original.name), original)
            _make(original, *made.values())
        except UnreadablePhoto as error:
            logger.warning("Photo %s of %s: %s", photo_id, photo.assessment, error)
            mine.update(problem=str(error))
            return
        _store(photo, made)


def _make(original: Path, print_image: Path, thumbnail: Path) -> None:
    try:
        darkroom.develop(make_small_pictures, original, print_image, thumbnail)
    except Undecodable:
        # It could be decoded when it was uploaded. Perhaps it was not its fault: the machine may be short of memory.
        darkroom.develop(make_small_pictures, original, print_image, thumbnail)


def _store(photo: Photo, made: dict[str, Path]) -> None:
    """Store the small pictures, by the names of their columns, and set the row if nobody has done so yet."""
    stored: dict[str, str] = {}
    set_by_me = 0
    try:
        for column, path in made.items():
            files: FieldFile = getattr(photo, column)
            with path.open("rb") as file:
                stored[column] = files.storage.save(files.field.generate_filename(photo, path.name), File(file))
        set_by_me = Photo.objects.unprepared().filter(pk=photo.pk).update(**stored)
    finally:
        if not set_by_me:
            for column, name in stored.items():
                getattr(photo, column).storage.delete(name)


def _looked_at(name: str, upload: "UploadedFile[bytes]") -> Looked:
    try:
        with _on_disk(upload) as path:
            return darkroom.develop(look_at, path, settings.PHOTO_MAX_PIXELS)
    except NotAPhoto as error:
        raise PhotoRefused(f"{name} is not a photo that can be read. {KNOWN}") from error
    except TooManyPixels as error:
        raise PhotoRefused(
            f"{name} has more than the {settings.PHOTO_MAX_PIXELS // MEGAPIXEL} megapixels that a photo may have. "
            "Upload a smaller one."
        ) from error
    except TooSlow as error:
        why = f"{name} took too long. Upload it again without that one."
        raise GivenUp(f"{name} could not be read. {error}", why) from error
    except Undecodable as error:
        raise PhotoRefused(f"{name} could not be read. {error}") from error
    except UnreadablePhoto as error:
        raise PhotoRefused(
            f"{name} is damaged or incomplete. Copy it from the camera again, then upload it."
        ) from error


@contextmanager
def _room_for(name: str) -> Iterator[None]:
    """Raise PhotoRefused when a file cannot be written, GivenUp when no other could be either."""
    try:
        yield
    except StorageAway as error:
        logger.exception("%s could not be stored", name)
        why = "the file storage does not answer. Upload it again in a few minutes."
        raise GivenUp(f"{name} could not be stored, because {why}", why) from error
    except OSError as error:
        logger.exception("%s could not be stored", name)
        raise PhotoRefused(
            f"{name} could not be stored, perhaps because the disk is full. "
            "Ask support to make room, then upload it again."
        ) from error


@contextmanager
def _on_disk(upload: "UploadedFile[bytes]") -> Iterator[Path]:
    """The path of an upload's content; one that is still in memory is written for as long as the block lasts."""
    upload.seek(0)
    if isinstance(upload, TemporaryUploadedFile):
        yield Path(upload.temporary_file_path())
        return
    with tempfile.NamedTemporaryFile(prefix="photo-") as file:
        for chunk in upload.chunks():
            file.write(chunk)
        file.flush()
        yield Path(file.name)


def _shown_name(upload: "UploadedFile[bytes]") -> str:
    """The name the upload came with, without folders, short enough to be kept, its extension with it."""
    name = PureWindowsPath(PurePosixPath(upload.name or "").name).name or "Unnamed photo"
    stem, dot, extension = name.rpartition(".")
    room = 255 - len(dot + extension)
    return f"{stem[:room]}{dot}{extension}" if dot and room > 0 else name[:255]
