"""The intake of photos: a web process stores each upload byte for byte and decodes none; a worker decodes them."""

import hashlib
import logging
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.files import File
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models import Max

from assessments import sandbox
from assessments.connections import give_back
from assessments.models import Assessment, Photo
from assessments.models.lease import MAX_ATTEMPTS
from assessments.storage import temporary
from assessments.storage.folder import StorageAway, copy_here, local_path

from .print_image import NotAPhoto, UnreadablePhoto, format_of, make_small_pictures

logger = logging.getLogger(__name__)

MEBIBYTE = 2**20
# Seconds that a worker decodes new photos before it makes the next document.
TURN = 2.0
ADVICE = "Save it as a new JPEG, then upload that."
MISSING = "The file is missing. Upload the photo to this section again, or ask the office to remove it."
# The errors of reading a file that is not there, or something else in its place.
LOST = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
STOPPED = f"The worker stopped {MAX_ATTEMPTS} times while looking at this photo. {ADVICE}"


class PhotoRefused(Exception):  # noqa: N818
    """The upload is not kept; the text says why and what to do, in the user's words."""


class AlreadyThere(Exception):  # noqa: N818
    """The section already has a photo of the same bytes: both are the same upload."""

    def __init__(self, photo: Photo) -> None:
        self.photo = photo


class Undecodable(UnreadablePhoto):
    """Decoding the photo was given up. The photo may not be to blame, so it can be decoded again."""


# Taking in, in the web process ----------------------------------------------------------------------------------------


def take_in(
    assessment: Assessment, upload: "UploadedFile[bytes]", section: str, caption: str, by: AbstractBaseUser | None
) -> Photo:
    """Keep an upload byte for byte as a new photo, at the end of its section. Raises PhotoRefused and AlreadyThere.

    No database connection is held while the file is read and stored.
    """
    name = _shown_name(upload)
    extension = _extension(upload, name)
    give_back()
    photo = Photo(
        assessment=assessment,
        section=section,
        caption=caption.strip()[:200],
        name=name,
        extension=extension,
        size=upload.size,
        sha256=_sha256(upload),
        uploaded_by=by,  # type: ignore[misc]
    )
    # Most unwanted uploads are not stored at all. The check below finds an equal upload that was quicker meanwhile.
    same = _same_or_room(photo)
    give_back()
    with _storing(name):
        # A row whose file is missing or damaged, as after a loss of files, gets this upload as its file.
        if same and _has_its_file(same):
            raise AlreadyThere(same)
        upload.seek(0)
        stored = photo.original.field.generate_filename(photo, name)
        note = temporary.note(stored)
        try:
            # A plain file is copied and never moved: of two equal uploads at the same moment, each gets its own file.
            stored = default_storage.save(stored, File(upload.file))
        except BaseException:
            # The file may be stored all the same.
            note.leave()
            raise
    photo.original.name = stored
    try:
        with transaction.atomic():
            transaction.on_commit(note.remove, robust=True)
            if not Assessment.objects.lock(assessment.pk):
                raise PhotoRefused(f"{name} was not added, because the assessment was removed.")
            if now := _same_or_room(photo):
                if not (same and now.begin_again(str(same.original.name), str(photo.original.name))):
                    raise AlreadyThere(now)
                return now
            last = Photo.objects.filter(assessment=assessment, section=section).aggregate(last=Max("position"))["last"]
            photo.position = (last or 0) + 1
            photo.save()
    except BaseException:
        remove(note, stored)
        raise
    return photo


def _extension(upload: "UploadedFile[bytes]", name: str) -> str:
    if not upload.size:
        raise PhotoRefused(f"{name} is empty. Upload the photo again.")
    if upload.size > settings.PHOTO_MAX_BYTES:
        raise PhotoRefused(
            f"{name} is larger than the {settings.PHOTO_MAX_BYTES // MEBIBYTE} MB that a photo may have. "
            "Upload a smaller one."
        )
    try:
        return format_of(upload).extension
    except NotAPhoto as reason:
        raise PhotoRefused(f"{name} {reason}") from None


def _same_or_room(photo: Photo) -> Photo | None:
    """Return the row of the same upload, if there is one. Raises PhotoRefused when there is no room for another."""
    there = Photo.objects.filter(assessment=photo.assessment)
    same = there.filter(section=photo.section, sha256=photo.sha256).first()
    if not same and there.count() >= settings.PHOTO_MAX_COUNT:
        raise PhotoRefused(
            f"{photo.name} was not added: an assessment can have {settings.PHOTO_MAX_COUNT} photos at most. "
            "Ask the office to remove some that are not needed."
        )
    return same


def _has_its_file(photo: Photo) -> bool:
    """Return whether the file of a photo is stored, as it was uploaded."""
    try:
        with photo.original.storage.open(str(photo.original.name), "rb") as stored:
            return _sha256(stored) == photo.sha256
    except LOST:
        return False


def _sha256(file: "File[bytes]") -> str:
    sha256 = hashlib.sha256()
    for chunk in file.chunks():
        sha256.update(chunk)
    return sha256.hexdigest()


@contextmanager
def _storing(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        logger.exception("%s could not be stored", name)
        reason = (
            "because the file storage does not answer. Upload it again in a few minutes."
            if isinstance(error, StorageAway)
            else "perhaps because the disk is full. Ask support to make room, then upload it again."
        )
        raise PhotoRefused(f"{name} could not be stored, {reason}") from error


def _shown_name(upload: "UploadedFile[bytes]") -> str:
    """Return the upload's file name without folders, cut to the length of the column but with its extension."""
    name = PureWindowsPath(PurePosixPath(upload.name or "").name).name or "Unnamed photo"
    stem, dot, extension = name.rpartition(".")
    room = 255 - len(dot + extension)
    return f"{stem[:room]}{dot}{extension}" if dot and room > 0 else name[:255]


# Decoding new photos, in a worker -------------------------------------------------------------------------------------


def look_at_new() -> Iterator[Photo]:
    """Decode new photos for the length of a turn; yield each photo afterwards."""
    over = time.monotonic() + TURN
    while time.monotonic() < over and (photo := Photo.objects.claim()):
        try:
            look_at(photo)
        except OSError:
            # The next photo would probably fail, too. The sweep wakes a worker again.
            logger.exception("Photo %s of %s could not be looked at; this is tried again", photo.pk, photo.assessment)
            return
        yield photo


def look_at(photo: Photo) -> None:
    """Make a claimed photo's print image and thumbnail, or record why the photo is unreadable.

    Raises OSError when the photo is not to blame: the disk is full, or the storage does not answer.
    """
    with tempfile.TemporaryDirectory(prefix="photo-") as folder:
        print_image, thumbnail = Path(folder, "print.jpg"), Path(folder, "thumbnail.jpg")
        try:
            original = _bring(photo, Path(folder, "original"))
            size = develop(original, print_image, thumbnail)
            _store(photo, size, {"print_image": print_image, "thumbnail": thumbnail})
        except Undecodable as error:
            # Perhaps the photo is not to blame: the machine may be short of memory, or slow.
            logger.warning("Photo %s of %s: %s", photo.pk, photo.assessment, error)
            photo.try_again(str(error))
        except UnreadablePhoto as error:
            logger.warning("Photo %s of %s: %s", photo.pk, photo.assessment, error)
            photo.make_unreadable(str(error))
        except (OSError, SystemExit):
            photo.release()
            raise
        except Exception:
            logger.exception("Photo %s of %s could not be looked at", photo.pk, photo.assessment)
            photo.try_again(f"Something went wrong while looking at this photo. {ADVICE}")


def develop(original: Path, print_image: Path, thumbnail: Path) -> tuple[int, int]:
    """Make a photo's small pictures in a confined process of its own; return the size of the upright photo in px.

    A decoder that crashes or hangs costs this one photo. Raises UnreadablePhoto, or Undecodable if the process ended
    early. Raises OSError if the photo is not to blame.
    """
    task = sandbox.Work(
        function=f"{make_small_pictures.__module__}.{make_small_pictures.__name__}",
        arguments=(original, print_image, thumbnail, settings.PHOTO_MAX_PIXELS),
        memory=settings.PHOTO_MEMORY,
        # A copy of the photo may be in the folder, too.
        disk=2 * settings.PHOTO_MAX_BYTES,
        reads=(original,),
        folder=print_image.parent,
    )
    try:
        size = sandbox.run(task, tuple[sandbox.Number, sandbox.Number], settings.PHOTO_DEADLINE)
        for path in (print_image, thumbnail):
            sandbox.made_file(path, path.parent).close()
    except sandbox.Refused as refused:
        raise UnreadablePhoto(str(refused)[: Photo._meta.get_field("problem").max_length]) from None
    except sandbox.OutOfMemory:
        limit = settings.PHOTO_MEMORY // MEBIBYTE
        raise Undecodable(f"It needs more memory than the {limit} MiB allowed for a photo. {ADVICE}") from None
    except sandbox.Broken as broken:
        logger.error("A photo could not be decoded:\n%s", broken)
        raise Undecodable(f"Its content is not what a photo's should be. {ADVICE}") from None
    except sandbox.Crashed as crashed:
        logger.error("The process that decodes photos ended: %s", crashed)
        raise Undecodable(f"The program that reads photos broke off over it. {ADVICE}") from None
    except sandbox.TooSlow:
        raise Undecodable(f"Reading it took longer than {settings.PHOTO_DEADLINE} seconds. {ADVICE}") from None
    return size


def _bring(photo: Photo, copy: Path) -> Path:
    """Return the path of a photo's original; fetch one kept elsewhere. Raises UnreadablePhoto when it is missing."""
    try:
        if original := local_path(photo.original):
            original.open("rb").close()
            return original
        copy_here(photo.original.storage, str(photo.original.name), copy)
    except LOST as error:
        raise UnreadablePhoto(MISSING) from error
    return copy


def _store(photo: Photo, size: tuple[int, int], pictures: dict[str, Path]) -> None:
    """Store the small pictures, by the names of their columns; remove them again when the lease is lost."""
    names = {
        column: getattr(photo, column).field.generate_filename(photo, path.name) for column, path in pictures.items()
    }
    note = temporary.note(*names.values())
    kept = False
    try:
        for column, path in pictures.items():
            with path.open("rb") as file:
                names[column] = default_storage.save(names[column], File(file))
        kept = photo.make_ready(size, **names)
    finally:
        if kept:
            note.remove()
        else:
            remove(note, *names.values())


def remove(note: temporary.Held, *names: str) -> None:
    """Remove files that no row names, and their note. After an OSError the note stays, for another try later."""
    try:
        for name in names:
            default_storage.delete(name)
        note.remove()
    except OSError:
        logger.exception("%s could not be removed", " and ".join(names))
        note.leave()
