"""Where files are kept."""

import os
import time
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from django.conf import settings
from django.core.files.storage import FileSystemStorage

PART = ".part-"
DAY = 86_400


def remove_left_parts() -> None:
    """Remove the half files of processes that were killed while they wrote; nobody writes one for a day."""
    for part in Path(settings.MEDIA_ROOT).rglob(f"{PART}*"):
        with suppress(FileNotFoundError):
            if time.time() - part.stat().st_mtime > DAY:
                part.unlink()


class WholeFileStorage(FileSystemStorage):
    """Gives a file its name when all of it is written: after a full disk or a kill there is no half one."""

    def _save(self, name: str, content: Any) -> str:
        if hasattr(content, "temporary_file_path"):
            # It is whole already, and is moved.
            return str(super()._save(name, content))  # type: ignore[misc]
        folder = Path(self.path(name)).parent
        folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder, prefix=PART) as part:
            for chunk in content.chunks():
                part.write(chunk)
            part.flush()
            os.chmod(part.name, self.file_permissions_mode or 0o644)
            while True:
                try:
                    os.link(part.name, self.path(name))
                    return name
                except FileExistsError:
                    name = self.get_available_name(name)
