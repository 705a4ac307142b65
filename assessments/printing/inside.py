"""The data of a paper as JSON, for programs: the PDF of the report and of the estimate carry it as a file.

docs/report.schema.json and docs/estimate.schema.json describe the files. Amounts are texts with a point and without
groups, so that no program rounds them. Facts have the labels of the paper; a fact that nobody has recorded is null.
"""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any

from assessments import estimating
from assessments.estimating import rounded

from .archive import Attached
from .data import Row, Snapshot
from .facts import Fact

RATES = (
    *("labour_rate", "paint_rate", "markup_oem", "markup_aftermarket", "markup_second_hand", "markup_outwork"),
    *("sundries_percent", "vat_percent"),
)


def report(snapshot: Snapshot, printed: Mapping[str, Any]) -> Attached:
    """Return the facts of a report; ``printed`` are the values of its template."""
    amount = partial(as_text, decimals=snapshot.decimals)
    content = {
        **head(snapshot, printed),
        "insured_and_incident": facts(printed["incident"]),
        "description": snapshot.incident.description,
        "condition": facts(printed["condition"]),
        "interior_and_mechanical": facts(printed["mechanical"]),
        "tyres": [plain(tyre, "position", "make", "size", "tread", "condition", "notes") for tyre in snapshot.tyres],
        "accessories": [
            {**plain(accessory, "name", "condition"), "value": amount(accessory.value)}
            for accessory in snapshot.accessories
        ],
        "damage": [plain(damage, "severity", "kind", "area", "location", "description") for damage in snapshot.damage],
        "warranty": facts(printed["warranty"]),
        "values": [
            {"label": row["label"], **dict(zip(estimating.VALUES, map(amount, row["figures"]), strict=True))}
            for row in printed["values"]
        ],
        "notes": snapshot.notes,
    }
    return attached("report", snapshot, content)


def estimate(snapshot: Snapshot, printed: Mapping[str, Any]) -> Attached:
    """Return the data of an estimate; ``printed`` are the values of its template."""
    amount = partial(as_text, decimals=snapshot.decimals)
    rows, cost = snapshot.estimate, printed["cost"]
    assert rows is not None
    lines = [
        {
            "code": line.process_type,
            "description": line.description,
            "part_type": line.part_type,
            **{name: amount(figure) for name, figure in zip(estimating.COLUMNS, figures.components, strict=True)},
            "betterment": amount(figures.betterment),
            "total": amount(figures.total),
        }
        for line, figures in zip(rows.lines, cost.lines, strict=True)
    ]
    content = {
        **head(snapshot, printed),
        "repairer": facts(printed["repairer"]),
        "rates": plain(rows, *RATES),
        "lines": lines,
        "notes": rows.notes,
    }
    return attached("estimate", snapshot, content)


def head(snapshot: Snapshot, printed: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the report and the estimate both say."""
    amount, cost = partial(as_text, decimals=snapshot.decimals), printed["cost"]
    breakdown = [{"label": label, "amount": amount(figure)} for label, figure in printed["breakdown"]]
    return {
        "document": snapshot.title,
        "assessment": snapshot.number,
        "version": snapshot.version,
        "made_on": snapshot.made_on.isoformat(),
        "office": snapshot.office.name,
        "currency": snapshot.currency,
        "claim": facts(printed["claim"]),
        "vehicle": facts(printed["vehicle"]),
        "breakdown": breakdown,
        "total": amount(cost and cost.total),
        "excess": amount(cost and cost.excess),
        "net_payable": amount(cost and cost.net_payable),
    }


def attached(name: str, snapshot: Snapshot, content: dict[str, Any]) -> Attached:
    text = json.dumps(content, ensure_ascii=False, indent=1)
    description = f"The data of this {name}, for programs"
    # A text of people may have half of a letter.
    return Attached(f"{name}.json", description, text.encode(errors="replace"), snapshot.made_on)


def facts(rows: Iterable[Fact]) -> dict[str, str | None]:
    return {label: value or None for label, value in rows}


def plain(row: Row, *names: str) -> dict[str, str | None]:
    values = {name: getattr(row, name) for name in names}
    return {name: None if value is None else str(value) for name, value in values.items()}


def as_text(amount: Decimal | None, decimals: int) -> str | None:
    return None if amount is None else f"{rounded(amount, decimals):f}"
