"""The estimate."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assessments import estimating

from . import facts, pdf
from .contract import DocumentError, Made, Progress
from .snapshot import Estimate, EstimateLine, Snapshot

GROUPS = {"New parts (N)": "N", "Repairs (R)": "R", "Paint & blend (P, B)": "PB", "Other services (A, O)": "AO"}

# From this amount on, the columns of an upright page are too narrow.
MILLION = 1_000_000

Priced = tuple[EstimateLine, estimating.LineCost]


@dataclass(frozen=True, slots=True)
class Group:
    """Lines that are printed together, each with what it costs, and what they cost together."""

    title: str
    size: str
    lines: tuple[Priced, ...]
    sums: estimating.LineCost


def generate(snapshot: Snapshot, work_folder: Path, progress: Progress) -> Made:
    """Print the estimate. Raises DocumentError without a vehicle or lines, and when its figures contradict."""
    path = work_folder / "estimate.pdf"
    pages = pdf.render("documents/estimate.html", contents(snapshot), work_folder, path, progress, 2, 98)
    return Made(path, facts.counted(pages, "page"), pages=pages)


def contents(snapshot: Snapshot) -> dict[str, Any]:
    """Return what the template prints."""
    vehicle, cost, estimate = facts.vehicle_of(snapshot), facts.cost_of(snapshot), snapshot.estimate
    if estimate is None or cost is None:
        raise DocumentError("This estimate has no lines. Add at least one line, then retry.")
    groups = list(grouped(estimate, cost))
    return {
        "snapshot": snapshot,
        "summary": facts.summary_of(snapshot, cost, estimate.notes),
        "claim": facts.claim_facts(snapshot),
        "vehicle": facts.vehicle_facts(vehicle),
        "repairer": facts.repairer_facts(estimate),
        "rates": facts.rate_facts(estimate, snapshot.currency),
        "estimate": estimate,
        "groups": groups,
        "broad": any(group.sums.total >= MILLION for group in groups),
        "cost": cost,
        "charges": facts.charges(cost),
        **facts.gauge(cost, facts.values_of(snapshot)),
        "notes": estimate.notes,
    }


def grouped(estimate: Estimate, cost: estimating.Cost) -> Iterable[Group]:
    """Yield the groups that have lines, in the order of the document."""
    priced = list(zip(estimate.lines, cost.lines, strict=True))
    for title, codes in GROUPS.items():
        lines = tuple((line, figures) for line, figures in priced if line.process_type in codes)
        if lines:
            sums = estimating.together(figures for _, figures in lines)
            yield Group(title, facts.counted(len(lines), "line"), lines, sums)
