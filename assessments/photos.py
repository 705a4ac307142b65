"""How a photo enters an assessment, and how its small pictures are made. Needs no WeasyPrint, and must not import it:
that makes the whole process accept photos of which only a part arrived.
"""

import hashlib
import logging
import tempfile
import threading
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.files import File
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Max
from django.db.models.fields.files import FieldFile

from .generators.print_image import (
    EXTENSIONS,
    NotAPhoto,
    TooManyPixels,
    UnreadablePhoto,
    decode,
    lies_on_its_side,
    make_print_image,
    make_thumbnail,
    opened,
)
from .models import Assessment, Photo

logger = logging.getLogger(__name__)

KNOWN = "Upload JPEG, PNG, WebP, HEIC or TIFF."
MEBIBYTE = 2**20
MEGAPIXEL = 1_000_000

# A photo that the decoder cannot scale takes four bytes a pixel, so they are looked at one by one.
_one_at_a_time = threading.Lock()


class PhotoRefused(Exception):  # noqa: N818
    """The upload is not kept; the text says why and what to do, in the user's words."""


def accept(
    assessment: Assessment, upload: "UploadedFile[bytes]", section: str, caption: str, by: AbstractBaseUser | None
) -> Photo:
    """Keep an uploaded photo, byte for byte, at the end of its section. Raises PhotoRefused.

    What it is, is told by its content: it is decoded once, and its pixels are counted before that.
    """
    name = _shown_name(upload)
    if not upload.size:
        raise PhotoRefused(f"{name} is empty. Upload the photo again.")
    if upload.size > settings.PHOTO_MAX_BYTES:
        raise PhotoRefused(
            f"{name} is larger than the {settings.PHOTO_MAX_BYTES // MEBIBYTE} MB that a photo may have. "
            "Upload a smaller one."
        )
    file = upload.file
    assert file is not None
    extension, width, height = _looked_at(name, file)
    file.seek(0)
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
        extension=extension,
        size=upload.size,
        width=width,
        height=height,
        sha256=sha256.hexdigest(),
        uploaded_by=by,  # type: ignore[misc]
    )
    file.seek(0)
    # As a plain file it is copied and never moved: of two equal uploads at one moment, each gets a file of its own.
    photo.original.save(name, File(file), save=False)
    try:
        photo.save()
    except BaseException:
        photo.original.delete(save=False)
        raise
    return photo


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
            make_print_image(Path(photo.original.path), made["print_image"])
            make_thumbnail(made["print_image"], made["thumbnail"])
        except UnreadablePhoto as error:
            logger.warning("Photo %s of %s: %s", photo_id, photo.assessment, error)
            mine.update(problem=str(error))
            return
        _keep(photo, made)


def _keep(photo: Photo, made: dict[str, Path]) -> None:
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


def _looked_at(name: str, file: IO[bytes]) -> tuple[str, int, int]:
    """Return a photo's extension by its content, its width and its height in px. Raises PhotoRefused."""
    file.seek(0)
    try:
        with opened(file) as photo:
            width, height = photo.size
            if width * height > settings.PHOTO_MAX_PIXELS:
                raise TooManyPixels
            with _one_at_a_time:
                decode(photo)
            if lies_on_its_side(photo):
                width, height = height, width
            return EXTENSIONS[photo.format or ""], width, height
    except NotAPhoto as error:
        raise PhotoRefused(f"{name} is not a photo that can be read. {KNOWN}") from error
    except TooManyPixels as error:
        raise PhotoRefused(
            f"{name} has more than the {settings.PHOTO_MAX_PIXELS // MEGAPIXEL} megapixels that a photo may have. "
            "Upload a smaller one."
        ) from error
    except UnreadablePhoto as error:
        raise PhotoRefused(
            f"{name} is damaged or incomplete. Copy it from the camera again, then upload it."
        ) from error


def _shown_name(upload: "UploadedFile[bytes]") -> str:
    """The name the upload came with, without folders, short enough to be kept, its extension with it."""
    name = PureWindowsPath(PurePosixPath(upload.name or "").name).name or "Unnamed photo"
    stem, dot, extension = name.rpartition(".")
    room = 255 - len(dot + extension)
    return f"{stem[:room]}{dot}{extension}" if dot and room > 0 else name[:255]
