"""The peers and floors of the documents: the same pages and files, made in the obvious ways and at the least cost.

Each function runs in a process of its own, forked from a process that has the libraries loaded, and gets a folder.
"""

import os
import resource
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import img2pdf
import weasyprint
from django.template import Context
from django.utils.module_loading import import_string
from PIL import Image

from assessments.documents.kinds import KINDS
from assessments.printing import estimate, pdf, photos_pdf, report
from assessments.printing import sections as photo_sections
from assessments.printing.data import Snapshot

LONG_SIDE = 1008


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of wall and of processor, and the peak of resident memory in bytes."""

    wall: float
    cpu: float
    memory: int = 0


def measured(pipe: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF)
    begun = time.perf_counter()
    work(*arguments)
    wall = time.perf_counter() - begun
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu = usage.ru_utime + usage.ru_stime - before.ru_utime - before.ru_stime
    pipe.send(Cost(wall, cpu, usage.ru_maxrss * 1024))


def send_html(pipe: Connection, snapshot: Snapshot, folder: Path) -> None:
    pipe.send(html_of(snapshot, folder, link))


def html_of(snapshot: Snapshot, folder: Path, put_picture: Callable[[Path, Path], Any]) -> str:
    """Return the HTML from which a document is printed; ``put_picture`` puts its pictures into the folder."""
    printed: list[str] = []

    def keep(template: str, context: dict[str, Any], *rest: object) -> int:
        # Django's own renderer, without our printing.
        printed.append(pdf.engine().get_template(template).render(Context(context, use_l10n=False, use_tz=False)))
        return 1

    pdf.render = keep  # type: ignore[assignment]
    photo_sections.make_print_image = put_picture  # type: ignore[assignment]
    generators = {"report": report.generate, "estimate": estimate.generate, "photos-pdf": photos_pdf.generate}
    generators[snapshot.kind](snapshot, folder, lambda progress, message: None)
    return printed[0]


def link(source: Path, target: Path, **options: Any) -> tuple[int, int]:
    os.symlink(source, target)
    return (0, 0)


def print_bare(html: str, folder: Path) -> None:
    """Print with WeasyPrint alone: one call, with the print styles of the HTML."""
    weasyprint.HTML(string=html, base_url=f"{folder}/").write_pdf(
        folder / "bare.pdf", stylesheets=[pdf.PRINT_STYLES / "print.css"]
    )


def print_once(html: str, pictures: Path, folder: Path) -> None:
    print_bare(html, pictures)


def naive_sequence(pages: list[tuple[str, Path]], originals: list[Path], folder: Path) -> None:
    """Make all four documents one after another, with the original photos, and a compressed ZIP."""
    for html, place in pages:
        print_bare(html, place)
    with zipfile.ZipFile(folder / "photos.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for original in originals:
            archive.write(original, original.name)


def scale_and_embed(originals: list[Path], folder: Path) -> None:
    """Do the least work for a Photos PDF: decode each photo at a quarter, encode it, put it on a page of its own."""
    pictures = []
    for original in originals:
        with Image.open(original) as photo:
            photo.draft("RGB", (LONG_SIDE, LONG_SIDE))
            photo.thumbnail((LONG_SIDE, LONG_SIDE))
            file = BytesIO()
            photo.save(file, "JPEG", quality=80)
        pictures.append(file.getvalue())
    (folder / "floor.pdf").write_bytes(img2pdf.convert(pictures))


def copy_files(originals: list[Path], folder: Path) -> None:
    """Do the least work for a Photos ZIP."""
    for original in originals:
        shutil.copyfile(original, folder / original.name)


def generate(content: Snapshot) -> float:
    """Run a generator alone; return its seconds of processor."""
    generator = import_string(KINDS[content.kind].generator)
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        generator(content, Path(folder), lambda progress, message: None)
    return time.process_time() - begun
