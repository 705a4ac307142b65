"""What both photo documents say alike: the photos' order and numbers, and which of them cannot be read."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from .contract import DocumentError
from .snapshot import PhotoItem, Snapshot

# Unreadable photos that a message names; the others it counts.
NAMED = 5


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


def unreadable(names: Sequence[str]) -> str:
    """Name the unreadable photos in a message, such as ``; unreadable: IMG_0012.jpg``; nothing when there are none."""
    if not names:
        return ""
    others = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"; unreadable: {', '.join(names[:NAMED])}{others}"
