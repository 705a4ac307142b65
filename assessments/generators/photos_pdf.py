"""The Photos PDF: a cover with the photo count, then the sections, each photo upright and with its caption."""

import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from itertools import batched
from pathlib import Path
from typing import Any

from assessments.words import counted

from . import facts, pdf
from .contract import Made, Progress
from .photo_sections import MISSING, Section, sections_of, unreadable
from .print_image import UnreadablePhoto, make_print_image
from .snapshot import PhotoItem, Snapshot

COLUMNS = 2
# Pillow decodes outside of Python's lock, so two photos are scaled at a time; more would cost memory.
THREADS = 2
# Per cent that is reached when all photos are scaled, if none was before; and when the PDF is written.
SCALED, WRITTEN = 85, 98


@dataclass(frozen=True, slots=True)
class Picture:
    """A photo on its page: the name of its print image in the work folder, or why there is none."""

    number: str
    caption: str
    name: str
    file: str
    problem: str


@dataclass(frozen=True, slots=True)
class Chapter:
    """A section as the template prints it."""

    label: str
    anchor: str
    count: int
    rows: list[tuple[Picture, ...]]


def generate(snapshot: Snapshot, work_folder: Path, progress: Progress) -> Made:
    """Print all photos. Raises DocumentError when there are none; one that cannot be read keeps its place."""
    sections = sections_of(snapshot)
    places = {file_name(section, number): photo for section in sections for number, photo in section.photos}
    problems = {name: photo.problem for name, photo in places.items() if photo.problem}
    missing = {
        work_folder / name: photo
        for name, photo in places.items()
        if name not in problems and not put_print_image(photo, work_folder / name)
    }
    scaled = SCALED * len(missing) // len(places)
    problems |= scale(missing, snapshot.max_pixels, progress, scaled)
    printed = contents(snapshot, sections, problems)
    path = work_folder / "photos.pdf"
    pages = pdf.render("documents/photos.html", printed, work_folder, path, progress, scaled, WRITTEN)
    message, shown = f"{printed['count']}, {counted(pages, 'page')}", len(places) - len(problems)
    if problems:
        named = [(photo.name, problems[name]) for name, photo in places.items() if name in problems]
        message = f"{shown} of {printed['count']}{unreadable(named)}"
    return Made(path, message, pages=pages, photos=shown)


def contents(snapshot: Snapshot, sections: list[Section], problems: Mapping[str, str]) -> dict[str, Any]:
    """Return what the template prints; ``problems`` says of pictures, by their files, why there are none."""
    places = {file_name(section, number): photo for section in sections for number, photo in section.photos}
    return {
        "snapshot": snapshot,
        "facts": cover_facts(snapshot),
        "count": counted(len(places), "photo"),
        "chapters": [chapter(section, problems) for section in sections],
        "cover": cover_picture(places, problems),
        "unreadable": [photo.name for name, photo in places.items() if name in problems],
    }


def file_name(section: Section, number: str) -> str:
    return f"{section.folder}-{number}.jpg"


def put_print_image(photo: PhotoItem, target: Path) -> bool:
    """Put a prepared print image into the work folder; False when there is none."""
    if photo.print_image is None:
        return False
    try:
        # A link would have another's file lie in a folder that this process can write to.
        shutil.copyfile(photo.print_image, target)
    except FileNotFoundError:
        return False
    return True


def scale(photos: Mapping[Path, PhotoItem], max_pixels: int, progress: Progress, last: int) -> dict[str, str]:
    """Make the print images at the given places, up to ``last`` per cent; return why some could not be made."""
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
            progress(last * done // len(begun), f"Scaling photo {done} of {len(begun)}")
    return problems


def chapter(section: Section, problems: Mapping[str, str]) -> Chapter:
    pictures = []
    for number, photo in section.photos:
        file = file_name(section, number)
        pictures.append(Picture(number, photo.caption, photo.name, file, problems.get(file, "")))
    return Chapter(section.label, section.folder, len(pictures), list(batched(pictures, COLUMNS)))


def cover_picture(places: Mapping[str, PhotoItem], problems: Mapping[str, str]) -> str:
    """Return the name of the first readable picture, of the vehicle from outside if there is one."""
    readable = [name for name in places if name not in problems]
    return next((name for name in readable if places[name].section == "exterior_360"), [*readable, ""][0])


def cover_facts(snapshot: Snapshot) -> list[facts.Fact]:
    vehicle = snapshot.vehicle
    return [
        ("Claim number", snapshot.claim.number),
        ("Client", snapshot.client.name if snapshot.client else ""),
        ("Insured", snapshot.insured.name),
        ("Inspected", facts.when_and_where(snapshot)),
        ("Registration", vehicle.registration if vehicle else ""),
        ("Assessor", snapshot.inspection.assessor),
    ]
