"""The removal of the stored files of removed assessments, by the sweep."""

import logging

from django.core.files.storage import Storage
from django.db.models.functions import Now

from assessments.connections import give_back
from assessments.models import DocumentVersion, Photo, Removal
from assessments.models.attempt import documents_folder
from assessments.models.photo import photos_folder

logger = logging.getLogger(__name__)


def remove_files() -> int:
    """Remove the files of all removals that are due; return how many removals. A removal that fails stays due."""
    done = 0
    for removal in Removal.objects.due():
        give_back()
        try:
            empty(Photo._meta.get_field("original").storage, photos_folder(removal.number))
            empty(DocumentVersion._meta.get_field("file").storage, documents_folder(removal.number))
        except OSError:
            logger.warning("The files of %s could not be removed; this is tried again", removal, exc_info=True)
            continue
        if removal.cleared_at is None:
            Removal.objects.filter(pk=removal.pk).update(cleared_at=Now())
        else:
            removal.delete()
        done += 1
    return done


def empty(storage: Storage, folder: str) -> None:
    """Remove all files of a folder and of the folders in it, also those that no row names."""
    try:
        folders, files = storage.listdir(folder)
    except FileNotFoundError:
        return
    for file in files:
        storage.delete(f"{folder}/{file}")
    for inner in folders:
        empty(storage, f"{folder}/{inner}")
    storage.delete(folder)
