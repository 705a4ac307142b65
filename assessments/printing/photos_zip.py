"""The Photos ZIP: the originals, byte for byte, in a folder for each section, and a list of them."""

import csv
import hashlib
import io
import re
import unicodedata
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from assessments.words import counted

from .contract import DocumentError, Made, Progress
from .data import PhotoItem, Snapshot
from .sections import sections_of, unreadable

CHUNK = 2**20
# The most of a caption in a file name: with its folder, the name must fit the short paths of old Windows programs.
NAME_CHARACTERS = 80
NAME_BYTES = 180
# The places where a spreadsheet would begin a formula, with the wide signs of East Asian keyboards too: the start of a
# cell, and the place after a separator of cells or rows in some countries, where quotation marks are ignored.
FORMULA = re.compile(r"^(?=[\t\r\n])|(?:^|(?<=[;\t\r\n]))(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")


def generate(snapshot: Snapshot, work_folder: Path, progress: Progress) -> Made:
    """Pack the originals without compression, which makes photos no smaller and takes time."""
    entries = entries_of(snapshot)
    made_on = (snapshot.made_on.year, snapshot.made_on.month, snapshot.made_on.day, 0, 0, 0)
    total = max(sum(photo.size for _, _, photo in entries), 1)
    path = work_folder / "photos.zip"
    done = 0
    with ZipFile(path, "w", ZIP_STORED) as archive:
        archive.writestr(entry("manifest.csv", made_on), manifest(entries))
        for number, (folder, name, photo) in enumerate(entries, start=1):
            progress(99 * done // total, f"Packing photo {number} of {len(entries)}")
            copy_into(archive, entry(f"{folder}/{name}", made_on, photo.size), photo)
            done += photo.size
    problems = [(photo.name, photo.problem) for photo in snapshot.photos if photo.problem]
    return Made(path, counted(len(entries), "photo") + unreadable(problems), photos=len(entries))


def entries_of(snapshot: Snapshot) -> list[tuple[str, str, PhotoItem]]:
    return [
        (section.folder, f"{number}_{name_from(photo.caption)}.{photo.extension}", photo)
        for section in sections_of(snapshot)
        for number, photo in section.photos
    ]


def entry(name: str, made_on: tuple[int, int, int, int, int, int], size: int = 0) -> ZipInfo:
    """Return the archive's entry of one file; it is the same for the same photos on the same day, on every machine."""
    info = ZipInfo(name, made_on)
    info.create_system = 3
    info.external_attr = 0o644 << 16
    info.file_size = size
    return info


def copy_into(archive: ZipFile, info: ZipInfo, photo: PhotoItem) -> None:
    """Copy a photo into the archive, in chunks. Raises DocumentError when the file is missing or has changed."""
    sha256 = hashlib.sha256()
    try:
        original = photo.original.open("rb", buffering=0)
    except FileNotFoundError as error:
        raise DocumentError(f"The file of the photo {photo.name} is missing. {remedy(photo)}") from error
    with original, archive.open(info, "w") as target:
        while chunk := original.read(CHUNK):
            sha256.update(chunk)
            target.write(chunk)
    if sha256.hexdigest() != photo.sha256:
        raise DocumentError(
            f"The file of the photo {photo.name} is not the one that was uploaded: it was changed or damaged since. "
            f"{remedy(photo)}"
        )


def remedy(photo: PhotoItem) -> str:
    return f"Upload the photo to the section {photo.section_label} again, or ask the office to remove it, then retry."


def name_from(caption: str) -> str:
    """Return a caption as part of a file name: letters and digits of any script, all else as single underscores."""
    text = unicodedata.normalize("NFC", caption)
    kept = "".join(sign if sign.isalnum() or unicodedata.category(sign)[0] == "M" else "_" for sign in text)
    name = re.sub("_+", "_", kept)[:NAME_CHARACTERS]
    return name.encode()[:NAME_BYTES].decode(errors="ignore").strip("_") or "Photo"


def manifest(entries: list[tuple[str, str, PhotoItem]]) -> bytes:
    """Return the list of the photos as CSV that spreadsheets open as UTF-8 and in which they calculate no cell."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["folder", "file name", "caption", "bytes", "SHA-256"])
    for folder, name, photo in entries:
        writer.writerow([folder, name, as_text(photo.caption), photo.size, photo.sha256])
    return text.getvalue().encode("utf-8-sig")


def as_text(cell: str) -> str:
    """Return the cell with an apostrophe at each place where a spreadsheet would begin a formula."""
    return FORMULA.sub("'", cell)
