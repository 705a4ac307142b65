"""The rights of other users of the machine: none on the site's data. nginx may read the stored files that it sends.

New files get their rights from the umask (manage.py), and stored files from the storage.
"""

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

logger = logging.getLogger(__name__)

FOLDER, FILE = 0o700, 0o600
# With DELIVERY=accel nginx, in the group of the site's user, passes through the data folder to the stored files.
PASSAGE = 0o710


def close_data_folder() -> None:
    """Close the data folder to other users, and so everything in it. Leave a folder for everybody, such as /tmp."""
    if not settings.DATA_DIR.stat().st_mode & stat.S_ISVTX:
        give(settings.DATA_DIR, PASSAGE if settings.DELIVERY == "accel" else FOLDER)


def close() -> None:
    """Close the data folder and, one by one, all files and folders of the site."""
    close_data_folder()
    # Everything else in the data folder was not made by the site.
    for name in ("db.sqlite3*", "secret-key", "demo-password", "mail", "work", "static"):
        for path in settings.DATA_DIR.glob(name):
            close_all(path, FOLDER, FILE)
    close_all(Path(settings.MEDIA_ROOT), settings.FILE_UPLOAD_DIRECTORY_PERMISSIONS, settings.FILE_UPLOAD_PERMISSIONS)


def close_all(top: Path, folder: int, file: int) -> None:
    if top.exists() and not top.is_symlink():
        give(top, folder if top.is_dir() else file)
    for path in below(top):
        give(path, folder if path.is_dir() else file)


def below(top: Path) -> Iterator[Path]:
    """Yield the files and folders in a folder that is no link; leave links out, as they may lead anywhere."""
    if not top.is_symlink():
        for parent, folders, files in os.walk(top):
            yield from (path for path in map(Path(parent).joinpath, [*folders, *files]) if not path.is_symlink())


def give(path: Path, mode: int) -> None:
    """Give a file or a folder its rights, unless it has them. A refusal is only logged: it may be another user's."""
    try:
        present = path.stat().st_mode
        if present & 0o777 != mode:
            path.chmod(stat.S_IMODE(present) & ~0o777 | mode)
    except FileNotFoundError:
        return
    except OSError as error:
        logger.warning("%s may be open to other users of this machine: %s", path, error.strerror)
