"""The data of an assessment on its page: the facts that its papers print, section by section."""

import re
from typing import Any
from urllib.parse import quote

from assessments import estimating
from assessments.printing import facts
from assessments.printing.contract import DocumentError
from assessments.printing.data import Snapshot
from assessments.printing.facts import Fact

# The facts by which people are reached, each line an address, a telephone number or a name.
REACHED = {"Contact", "Phone", "Email", "Assessor"}
ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
TELEPHONE = re.compile(r"\+?[\d\s()./-]{6,}")


def sections(content: Snapshot) -> list[dict[str, Any]]:
    """Return the facts of an assessment, with texts below them. Empty facts, texts and sections are left out."""
    vehicle, valuation, estimate = content.vehicle, content.valuation, content.estimate
    found: list[tuple[str, list[Fact], list[str]]] = [
        ("Claim", facts.claim_facts(content), []),
        ("Insured and incident", facts.incident_facts(content), [content.incident.description]),
    ]
    if vehicle:
        interior = [vehicle.interior_notes, vehicle.mechanical_notes]
        found += [
            ("Vehicle", facts.vehicle_facts(vehicle), []),
            ("Condition and service history", facts.condition_facts(vehicle), [vehicle.condition_notes]),
            ("Interior and mechanical", facts.mechanical_facts(vehicle), interior),
        ]
    if valuation:
        found.append(("Warranty", facts.warranty_facts(valuation), [valuation.notes]))
    if estimate:
        rates = facts.repairer_facts(estimate) + facts.rate_facts(estimate, content.currency)
        found.append(("Repairer and rates", rates, [estimate.notes]))
    found.append(("Notes", [], [content.notes]))
    known = (
        {"title": title, "facts": [with_ways(fact) for fact in said if fact[1]], "texts": list(filter(None, texts))}
        for title, said, texts in found
    )
    return [section for section in known if section["facts"] or section["texts"]]


def with_ways(fact: Fact) -> tuple[str, str, list[tuple[str, str]]]:
    """Return a fact, and the lines of a fact by which people are reached, each with the address of its link."""
    label, value = fact
    return label, value, [(line, way(line)) for line in value.splitlines()] if label in REACHED else []


def way(line: str) -> str:
    if ADDRESS.fullmatch(line):
        return f"mailto:{quote(line, safe='@+')}"
    return f"tel:{re.sub(r'[^0-9+]', '', line)}" if TELEPHONE.fullmatch(line) else ""


def estimate_sheet(content: Snapshot) -> dict[str, Any] | None:
    """Return the lines, the cost of each and of all, and the estimate against the borderline.

    Return the problem instead when the figures contradict each other.

    Return None while there are no lines.
    """
    try:
        cost = facts.cost_of(content)
    except DocumentError as error:
        return {"problem": str(error)}
    if cost is None or content.estimate is None:
        return None
    columns = list(estimating.COLUMNS.values())
    lines = [
        (line, figures, list(zip(columns, figures.components, strict=True)))
        for line, figures in zip(content.estimate.lines, cost.lines, strict=True)
    ]
    breakdown = facts.breakdown(content.estimate, cost)
    return {"columns": columns, "lines": lines, "cost": cost, "breakdown": breakdown, **facts.gauge(content, cost)}
