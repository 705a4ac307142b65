"""The generator of the assessment report."""

from decimal import Decimal
from itertools import batched
from pathlib import Path
from typing import Any

from assessments.estimating import rounded
from assessments.words import counted

from . import facts, inside, pdf
from .contract import Made, Progress
from .data import Snapshot
from .sections import Picture, put_pictures, unreadable

PICTURES_IN_A_ROW = 3
# The per cent after all photos are scaled, if none was scaled before, and the per cent after the PDF is written.
SCALED, WRITTEN = 20, 98


def generate(snapshot: Snapshot, work_folder: Path, progress: Progress) -> Made:
    """Print the report. Raises DocumentError without a vehicle, and when the estimate's figures contradict."""
    facts.vehicle_of(snapshot)
    photos = {f"photo-{number}.jpg": photo for number, photo in enumerate(snapshot.photos, start=1)}
    if photos:
        progress(0, f"Preparing photo 1 of {len(photos)}")
    problems, scaled = put_pictures(photos, work_folder, snapshot.max_pixels, progress, SCALED, "Preparing")
    pictures = [
        Picture(
            file,
            photo.name,
            photo.caption,
            photo.section_label,
            f"{number} of {len(photos)}",
            problems.get(file, ""),
        )
        for number, (file, photo) in enumerate(photos.items(), start=1)
    ]
    printed = contents(snapshot, pictures)
    path = work_folder / "report.pdf"
    data = inside.report(snapshot, printed)
    pages = pdf.render("documents/report.html", printed, work_folder, path, progress, scaled, WRITTEN, data)
    named = [(photos[file].name, problem) for file, problem in problems.items()]
    return Made(path, counted(pages, "page") + unreadable(named), pages=pages)


def contents(snapshot: Snapshot, pictures: list[Picture]) -> dict[str, Any]:
    estimate, vehicle = snapshot.estimate, facts.vehicle_of(snapshot)
    return {
        **facts.paper(snapshot, snapshot.notes),
        "picture": next((picture.file for picture in pictures if not picture.problem), ""),
        "incident": facts.incident_facts(snapshot),
        "condition": facts.condition_facts(vehicle),
        "mechanical": facts.mechanical_facts(vehicle),
        "accessories_total": sum((rounded(row.value, snapshot.decimals) for row in snapshot.accessories), Decimal()),
        "pictures": list(batched(pictures, PICTURES_IN_A_ROW)),
        "warranty": facts.warranty_facts(snapshot.valuation),
        "values": facts.value_rows(snapshot),
        "estimate_facts": facts.estimate_facts(estimate) if estimate else [],
    }
