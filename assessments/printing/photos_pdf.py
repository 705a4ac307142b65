"""The Photos PDF: a cover with the photo count, then the sections, each photo upright and with its caption."""

from collections.abc import Mapping
from itertools import batched
from pathlib import Path
from typing import Any

from assessments.words import counted

from . import facts, pdf
from .contract import Made, Progress
from .data import PhotoItem, Snapshot
from .sections import Picture, Section, put_pictures, sections_of, unreadable

COLUMNS = 2
# The per cent after all photos are scaled, if none was scaled before, and the per cent after the PDF is written.
SCALED, WRITTEN = 85, 98


def generate(snapshot: Snapshot, work_folder: Path, progress: Progress) -> Made:
    """Print all photos. An unreadable photo keeps its place. Raises DocumentError when there are no photos."""
    sections = sections_of(snapshot)
    places = {file_name(section, number): photo for section in sections for number, photo in section.photos}
    problems, scaled = put_pictures(places, work_folder, snapshot.max_pixels, progress, SCALED)
    printed = contents(snapshot, sections, problems)
    path = work_folder / "photos.pdf"
    pages = pdf.render("documents/photos.html", printed, work_folder, path, progress, scaled, WRITTEN)
    message, shown = f"{printed['count']}, {counted(pages, 'page')}", len(places) - len(problems)
    if problems:
        named = [(places[name].name, problem) for name, problem in problems.items()]
        message = f"{shown} of {printed['count']}{unreadable(named)}"
    return Made(path, message, pages=pages, photos=shown, missing=len(problems))


def contents(snapshot: Snapshot, sections: list[Section], problems: Mapping[str, str]) -> dict[str, Any]:
    """Return the values that the template prints; ``problems`` has the reasons for missing pictures, by their files."""
    places = {file_name(section, number): photo for section in sections for number, photo in section.photos}
    return {
        "snapshot": snapshot,
        "facts": facts.cover_facts(snapshot, *facts.facts_of(snapshot.vehicle, "registration")),
        "count": counted(len(places), "photo"),
        "chapters": [chapter(section, problems) for section in sections],
        "cover": cover_picture(places, problems),
        "unreadable": [photo.name for name, photo in places.items() if name in problems],
    }


def file_name(section: Section, number: str) -> str:
    return f"{section.folder}-{number}.jpg"


def chapter(section: Section, problems: Mapping[str, str]) -> dict[str, Any]:
    pictures = []
    for number, photo in section.photos:
        file = file_name(section, number)
        pictures.append(Picture(file, photo.name, photo.caption, section.label, number, problems.get(file, "")))
    rows = list(batched(pictures, COLUMNS))
    return {"label": section.label, "anchor": section.folder, "count": len(pictures), "rows": rows}


def cover_picture(places: Mapping[str, PhotoItem], problems: Mapping[str, str]) -> str:
    """Return the name of the first readable picture, of the vehicle from outside if there is one."""
    readable = [name for name in places if name not in problems]
    return next((name for name in readable if places[name].section == "exterior_360"), [*readable, ""][0])
