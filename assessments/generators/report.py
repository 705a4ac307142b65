"""The assessment report."""

from decimal import Decimal
from itertools import batched
from pathlib import Path
from typing import Any

from assessments import estimating
from assessments.words import counted

from . import facts, pdf
from .contract import Made, Progress
from .filters import share
from .photo_sections import Picture, put_pictures, unreadable
from .snapshot import Snapshot

PICTURES_IN_A_ROW = 3
# Per cent that is reached when all photos are scaled, if none was before; and when the PDF is written.
SCALED, WRITTEN = 20, 98
# The figures of a value that stand out.
STRONG = ("adjusted", "total_adjusted")


def generate(snapshot: Snapshot, work_folder: Path, progress: Progress) -> Made:
    """Print the report. Raises DocumentError without a vehicle, and when the estimate's figures contradict."""
    facts.vehicle_of(snapshot)
    photos = {f"photo-{number}.jpg": photo for number, photo in enumerate(snapshot.photos, start=1)}
    if photos:
        progress(0, f"Preparing photo 1 of {len(photos)}")
    problems, scaled = put_pictures(photos, work_folder, snapshot.max_pixels, progress, SCALED, "Preparing")
    pictures = [Picture(file, photo.name, photo.caption, problems.get(file, "")) for file, photo in photos.items()]
    printed = contents(snapshot, pictures)
    path = work_folder / "report.pdf"
    pages = pdf.render("documents/report.html", printed, work_folder, path, progress, scaled, WRITTEN)
    named = [(photos[file].name, problem) for file, problem in problems.items()]
    return Made(path, counted(pages, "page") + unreadable(named), pages=pages)


def contents(snapshot: Snapshot, pictures: list[Picture]) -> dict[str, Any]:
    """Return what the template prints."""
    estimate, vehicle = snapshot.estimate, facts.vehicle_of(snapshot)
    return {
        **facts.paper(snapshot, snapshot.notes),
        "picture": next((picture.file for picture in pictures if not picture.problem), ""),
        "incident": facts.incident_facts(snapshot),
        "condition": facts.condition_facts(vehicle),
        "mechanical": facts.mechanical_facts(vehicle),
        "accessories_total": sum((accessory.value for accessory in snapshot.accessories), Decimal("0.00")),
        "pictures": list(batched(pictures, PICTURES_IN_A_ROW)),
        "warranty": facts.warranty_facts(snapshot.valuation),
        "values": value_rows(snapshot, facts.values_of(snapshot)),
        "estimate_facts": facts.estimate_facts(estimate) if estimate else [],
    }


def value_rows(snapshot: Snapshot, values: dict[str, estimating.Value]) -> list[dict[str, Any]]:
    """Return the table of values, from the base value down to the salvage; a figure is None where none is known."""
    limits, worth = snapshot.client or facts.USUAL_LIMITS, snapshot.valuation
    if worth is None or not values:
        return []
    rows = [
        ("Base value", "base"),
        ("Fixed adjustment", "adjustment"),
        (f"Adjustment of {share(worth.adjustment_percent)}", "percent_amount"),
        ("Condition", "condition_amount"),
        ("Adjusted value", "adjusted"),
        ("Extras", "extras"),
        ("Total adjusted value", "total_adjusted"),
        (f"Borderline write-off, {share(limits.borderline_percent)}", "borderline"),
        (f"Total write-off, {share(limits.total_percent)}", "total_write_off"),
        (f"Salvage, {share(limits.salvage_percent)}", "salvage"),
    ]
    columns = [values.get(name) for name in estimating.VALUES]
    return [
        {"label": label, "figures": [getattr(column, name, None) for column in columns], "strong": name in STRONG}
        for label, name in rows
    ]
