"""What both photo documents say alike: the photos' order and numbers, and which of them cannot be read."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from .contract import DocumentError
from .snapshot import PhotoItem, Snapshot

# Unreadable photos that a message names; the others it counts.
NAMED = 5
# Why a photo whose original is gone cannot be printed.
MISSING = "The file is missing."


@dataclass(frozen=True, slots=True)
class Section:
    label: str
    # Its folder in the ZIP.
    folder: str
    # Each with its number within the section: 01, 02, ..., with more digits when there are more than 99.
    photos: tuple[tuple[str, PhotoItem], ...]


def sections_of(snapshot: Snapshot) -> list[Section]:
    """Return the sections that have photos, in order. Raises DocumentError when there are none."""
    if not snapshot.photos:
        raise DocumentError("This assessment has no photos. Add photos, then retry.")
    sections = []
    for (folder, label), group in groupby(snapshot.photos, key=lambda photo: (photo.folder, photo.section_label)):
        photos = list(group)
        digits = max(len(str(len(photos))), 2)
        numbered = tuple((f"{number:0{digits}}", photo) for number, photo in enumerate(photos, start=1))
        sections.append(Section(label, folder, numbered))
    return sections


def unreadable(photos: Sequence[tuple[str, str]]) -> str:
    """Name the unreadable photos in a message, each with the first sentence of its problem; nothing without any.

    Such as ``; unreadable: IMG_0012.jpg (the file is damaged or incomplete)``.
    """
    if not photos:
        return ""
    named = [f"{name} ({problem[:1].lower()}{problem[1:].partition('.')[0]})" for name, problem in photos[:NAMED]]
    others = f" and {len(photos) - NAMED} more" if len(photos) > NAMED else ""
    return f"; unreadable: {', '.join(named)}{others}"
