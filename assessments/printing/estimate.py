"""The generator of the estimate."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from assessments import estimating
from assessments.words import counted

from . import facts, inside, pdf
from .contract import DocumentError, Made, Progress
from .data import Row, Snapshot
from .formatting import amount

# From this amount on, the columns of an upright page are too narrow.
MILLION = 1_000_000

# A text and the number of columns it takes.
Cell = tuple[str, int]


def generate(snapshot: Snapshot, work_folder: Path, progress: Progress) -> Made:
    """Print the estimate. Raises DocumentError without a vehicle or lines, and when its figures contradict."""
    path = work_folder / "estimate.pdf"
    printed = contents(snapshot)
    data = inside.estimate(snapshot, printed)
    pages = pdf.render("documents/estimate.html", printed, work_folder, path, progress, 2, 98, data)
    return Made(path, counted(pages, "page"), pages=pages)


def contents(snapshot: Snapshot) -> dict[str, Any]:
    estimate = snapshot.estimate
    facts.vehicle_of(snapshot)
    if estimate is None or not estimate.lines:
        raise DocumentError("This estimate has no lines. The office has to add at least one; then retry.")
    paper = facts.paper(snapshot, estimate.notes)
    groups = list(grouped(estimate, paper["cost"], snapshot.currency))
    return {
        **paper,
        "repairer": facts.repairer_facts(estimate),
        "rates": facts.rate_facts(estimate, snapshot.currency),
        "columns": estimating.COLUMNS.values(),
        "groups": groups,
        "broad": any(group["total"] >= MILLION for group in groups),
    }


def grouped(estimate: Row, cost: estimating.Cost, currency: str) -> Iterator[dict[str, Any]]:
    """Yield the groups that have lines, in the order of the document: their lines and the sums of these."""
    priced = list(zip(estimate.lines, cost.lines, strict=True))
    for title, codes in estimating.GROUPS.items():
        lines = [(line, figures) for line, figures in priced if line.process_type in codes]
        if not lines:
            continue
        sums = estimating.together(figures for _, figures in lines)
        yield {
            "title": title,
            "rows": [
                row(line.process_type, line.description, line.part_type, figures, currency) for line, figures in lines
            ],
            "sums": row("", f"{title}, {counted(len(lines), 'line')}", "", sums, currency),
            "total": sums.total,
        }


def row(code: str, title: str, part_type: str, figures: estimating.LineCost, currency: str) -> dict[str, Any]:
    betterment = amount(figures.betterment, currency) if figures.betterment else ""
    return {"code": code, "title": title, "betterment": betterment, "cells": cells(part_type, figures, currency)}


def cells(part_type: str, figures: estimating.LineCost, currency: str) -> tuple[Cell, ...]:
    """Return the cells of a row. Empty cells side by side become one cell: each cell of a long table takes time."""
    texts = [part_type, *(amount(figure, currency) if figure else "" for figure in figures.components)]
    found: list[Cell] = []
    for filled, side_by_side in groupby(texts, bool):
        run = list(side_by_side)
        found += [(text, 1) for text in run] if filled else [("", len(run))]
    return (*found, (amount(figures.total, currency), 1))
