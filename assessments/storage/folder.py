"""The storage of files in a folder; bucket.py has a bucket of S3. Both keep whole files only, and raise OSError."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile
from typing import Any

from django.conf import settings
from django.core.files import File
from django.core.files.storage import FileSystemStorage, Storage
from django.db.models.fields.files import FieldFile
from django.utils.crypto import get_random_string

from assessments.connections import give_back

PART = ".part-"
DAY = 86_400
# Bytes that are copied at a time.
PIECE = 2**20
# The errors of a full disk, of a used-up quota, and of a file that grew past its limit.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class StorageAway(OSError):  # noqa: N818
    """The storage of files cannot be reached, or refuses. The text is for the log."""


def local_path(file: FieldFile) -> Path | None:
    """Return the path of a stored file on this machine; None when the file is kept elsewhere."""
    try:
        return Path(file.path)
    except NotImplementedError:
        return None


def copy_here(storage: Storage, name: str, target: Path, still_wanted: Callable[[], bool] = lambda: True) -> None:
    """Copy a stored file to ``target`` while it is ``still_wanted``. Raises FileNotFoundError and StorageAway."""
    with storage.open(name, "rb") as stored:
        if not still_wanted():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as copy:
            for piece in stored.chunks(PIECE):
                if not still_wanted():
                    return
                copy.write(piece)


def unlike_any(name: str) -> str:
    """Return a name that no other file has or gets: of equal photos, each has a file of its own, known beforehand."""
    path = PurePosixPath(name)
    return str(path.with_stem(f"{path.stem}-{get_random_string(12)}"))


class WholeFileStorage(FileSystemStorage):
    """Gives a file its name when all of it is written: a full disk or a kill leaves no half file."""

    def open(self, name: str, mode: str = "rb") -> File[Any]:
        # The folder may be on another machine, so this may have to wait.
        give_back()
        return super().open(name, mode)

    def generate_filename(self, filename: str | os.PathLike[str]) -> str:
        return unlike_any(super().generate_filename(filename))

    def _save(self, name: str, content: Any) -> str:
        give_back()
        folder = Path(self.path(name)).parent
        self._make_folder(folder)
        if hasattr(content, "temporary_file_path"):
            # The file is whole already. A file on another disk, or on another mount of the same disk, is copied below.
            try:
                return self._link(Path(content.temporary_file_path()), name)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
        with NamedTemporaryFile(dir=folder, prefix=PART) as part:
            for chunk in content.chunks(PIECE):
                part.write(chunk)
            part.flush()
            return self._link(Path(part.name), name)

    def _make_folder(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._make_folder(folder.parent)
        with suppress(FileExistsError):
            folder.mkdir()
            folder.chmod(settings.FILE_UPLOAD_DIRECTORY_PERMISSIONS)

    def _link(self, whole: Path, name: str) -> str:
        """Give a whole file a name in this storage, and return the name. The caller may remove the old name."""
        whole.chmod(settings.FILE_UPLOAD_PERMISSIONS)
        while True:
            try:
                os.link(whole, self.path(name))
                return name
            except FileExistsError:
                name = self.get_available_name(name)

    def everything(self, folder: str) -> Iterator[tuple[str, datetime]]:
        """Yield the names of all files below a folder, folder by folder, with the time of each's last change."""
        for path, _, names in os.walk(self.path(folder)):
            for name in names:
                with suppress(FileNotFoundError):
                    found = os.path.join(path, name)
                    changed = datetime.fromtimestamp(os.stat(found).st_mtime, UTC)
                    yield os.path.relpath(found, self.location), changed

    def place(self, name: str) -> str:
        return self.path(name)


def remove_left_parts() -> None:
    """Remove the half files of killed processes: parts older than a day, as no process writes one for a day."""
    root = Path(settings.MEDIA_ROOT)
    if not root.is_dir():
        return
    # The folder may be on a machine with another clock, so its own clock tells the present time.
    with NamedTemporaryFile(dir=root, prefix=PART) as probe:
        now = os.fstat(probe.fileno()).st_mtime
    for part in root.rglob(f"{PART}*"):
        with suppress(FileNotFoundError):
            if now - part.stat().st_mtime > DAY:
                part.unlink()
