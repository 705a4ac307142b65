"""Photos in documents: their order and numbers, their pictures, and which of them cannot be read."""

import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

from assessments.photos.print_image import UnreadablePhoto, make_print_image

from .contract import DocumentError, Progress
from .data import PhotoItem, Snapshot

# The most unreadable photos that a message names; the message counts the others.
NAMED = 5
# Why a photo whose original is gone cannot be printed.
MISSING = "The file is missing."
# Pillow decodes outside of Python's lock, so two photos are scaled at a time; more would cost memory.
THREADS = 2


@dataclass(frozen=True, slots=True)
class Picture:
    """A photo on its page: its print image in the work folder, or why there is none."""

    file: str
    name: str
    caption: str
    # The heading of the photo's section, and the photo's number in that section of the document.
    section: str
    number: str
    problem: str = ""

    @property
    def alt(self) -> str:
        """The words that a screen reader says in place of the picture."""
        return f"{self.section}, photo {self.number}: {self.caption or 'without a caption'}"


@dataclass(frozen=True, slots=True)
class Section:
    label: str
    # The folder of the section in the ZIP.
    folder: str
    # Each photo with its number within the section: 01, 02, ..., with more digits when there are more than 99.
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
    """Return the end of a message that names unreadable photos, each with the first sentence of its problem.

    The text is empty without photos, or such as ``; unreadable: IMG_0012.jpg (the file is damaged or incomplete)``.
    """
    if not photos:
        return ""
    named = [f"{name} ({problem[:1].lower()}{problem[1:].partition('.')[0]})" for name, problem in photos[:NAMED]]
    others = f" and {len(photos) - NAMED} more" if len(photos) > NAMED else ""
    return f"; unreadable: {', '.join(named)}{others}"


def put_pictures(
    places: Mapping[str, PhotoItem],
    folder: Path,
    max_pixels: int,
    progress: Progress,
    last: int,
    scaling: str = "Scaling",
) -> tuple[dict[str, str], int]:
    """Put a picture of each photo into a folder, under the given names; scale those that have no print image.

    Return the problems of missing pictures, by name, and the per cent that was reached: ``last`` if all were scaled.
    """
    problems = {name: photo.problem for name, photo in places.items() if photo.problem}
    missing = {
        folder / name: photo
        for name, photo in places.items()
        if name not in problems and not put_print_image(photo, folder / name)
    }
    reached = last * len(missing) // max(len(places), 1)
    problems |= scale(missing, max_pixels, progress, reached, scaling)
    return {name: problems[name] for name in places if name in problems}, reached


def put_print_image(photo: PhotoItem, target: Path) -> bool:
    """Put a prepared print image into the work folder. Return False when there is none."""
    if photo.print_image is None:
        return False
    try:
        # Not a link: this process can write to the folder, and could change the stored file through a link.
        shutil.copyfile(photo.print_image, target)
    except FileNotFoundError:
        return False
    return True


def scale(
    photos: Mapping[Path, PhotoItem], max_pixels: int, progress: Progress, last: int, scaling: str
) -> dict[str, str]:
    """Make the print images at the given places, up to ``last`` per cent; return the problems of others, by name."""
    problems = {}
    with ThreadPoolExecutor(THREADS) as pool:
        make = partial(make_print_image, max_pixels=max_pixels)
        begun = {pool.submit(make, photo.original, target): target for target, photo in photos.items()}
        for done, future in enumerate(as_completed(begun), start=1):
            try:
                future.result()
            except UnreadablePhoto as error:
                problems[begun[future].name] = str(error)
            except FileNotFoundError:
                problems[begun[future].name] = MISSING
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
            progress(last * done // len(begun), f"{scaling} photo {done} of {len(begun)}")
    return problems
