"""The assessment report."""

import shutil
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from assessments import estimating
from assessments.words import counted

from . import facts, pdf
from .contract import Made, Progress
from .filters import share
from .photo_sections import MISSING, unreadable
from .print_image import UnreadablePhoto, make_print_image
from .snapshot import Snapshot

PICTURES_IN_A_ROW = 3
# The figures of a value that stand out.
STRONG = ("adjusted", "total_adjusted")


@dataclass(frozen=True, slots=True)
class Picture:
    """A photo in the work folder; without a file when the photo cannot be read."""

    file: str
    name: str
    caption: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ValueRow:
    """One row of the table of values: the trade, market and retail figure, None for a value that is not known."""

    label: str
    figures: tuple[Decimal | None, ...]
    strong: bool


def generate(snapshot: Snapshot, work_folder: Path, progress: Progress) -> Made:
    """Print the report. Raises DocumentError without a vehicle, and when the estimate's figures contradict."""
    facts.vehicle_of(snapshot)
    pictures = prepare_pictures(snapshot, work_folder, progress)
    path = work_folder / "report.pdf"
    pages = pdf.render("documents/report.html", contents(snapshot, pictures), work_folder, path, progress, 20, 98)
    problems = [(picture.name, picture.problem) for picture in pictures if picture.problem]
    return Made(path, counted(pages, "page") + unreadable(problems), pages=pages)


def prepare_pictures(snapshot: Snapshot, work_folder: Path, progress: Progress) -> list[Picture]:
    """Put a small picture of each photo into the work folder."""
    pictures = []
    for number, photo in enumerate(snapshot.photos, start=1):
        progress(20 * (number - 1) // len(snapshot.photos), f"Preparing photo {number} of {len(snapshot.photos)}")
        target = work_folder / f"photo-{number}.jpg"
        try:
            if photo.print_image and photo.print_image.exists():
                shutil.copyfile(photo.print_image, target)
            else:
                make_print_image(photo.original, target, max_pixels=snapshot.max_pixels)
        except UnreadablePhoto as error:
            pictures.append(Picture("", photo.name, photo.caption, str(error)))
        except FileNotFoundError:
            pictures.append(Picture("", photo.name, photo.caption, MISSING))
        else:
            pictures.append(Picture(target.name, photo.name, photo.caption))
    return pictures


def contents(snapshot: Snapshot, pictures: list[Picture]) -> dict[str, Any]:
    """Return what the template prints."""
    cost, values = facts.cost_of(snapshot), facts.values_of(snapshot)
    estimate, vehicle = snapshot.estimate, facts.vehicle_of(snapshot)
    return {
        "snapshot": snapshot,
        "summary": facts.summary_of(snapshot, cost, snapshot.notes),
        "picture": next((picture.file for picture in pictures if picture.file), ""),
        "claim": facts.paper_facts(snapshot),
        "incident": facts.incident_facts(snapshot),
        "vehicle": facts.vehicle_facts(vehicle),
        "condition": facts.condition_facts(vehicle),
        "mechanical": facts.mechanical_facts(vehicle),
        "accessories_total": sum((accessory.value for accessory in snapshot.accessories), Decimal("0.00")),
        "pictures": [pictures[at : at + PICTURES_IN_A_ROW] for at in range(0, len(pictures), PICTURES_IN_A_ROW)],
        "warranty": facts.warranty_facts(snapshot),
        "values": value_rows(snapshot, values) if values else [],
        "estimate": estimate,
        "estimate_facts": facts.estimate_facts(estimate) if estimate else [],
        "cost": cost,
        "breakdown": facts.breakdown(estimate, cost) if estimate and cost else [],
        **facts.gauge(cost, values),
        "notes": snapshot.notes,
    }


def value_rows(snapshot: Snapshot, values: estimating.Values) -> list[ValueRow]:
    """Return the table of values, from the base value down to the salvage."""
    limits = facts.limits_of(snapshot)
    percent = snapshot.valuation.adjustment_percent if snapshot.valuation else Decimal(0)
    rows = [
        ("Base value", "base"),
        ("Fixed adjustment", "adjustment"),
        (f"Adjustment of {share(percent)}", "percent_amount"),
        ("Condition", "condition_amount"),
        ("Adjusted value", "adjusted"),
        ("Extras", "extras"),
        ("Total adjusted value", "total_adjusted"),
        (f"Borderline write-off, {share(limits.borderline_percent)}", "borderline"),
        (f"Total write-off, {share(limits.total_percent)}", "total_write_off"),
        (f"Salvage, {share(limits.salvage_percent)}", "salvage"),
    ]
    columns = (values.trade, values.market, values.retail)
    return [
        ValueRow(label, tuple(getattr(column, name) if column else None for column in columns), name in STRONG)
        for label, name in rows
    ]
