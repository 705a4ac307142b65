"""The facts that both the report and the estimate print, each with its label."""

from datetime import date
from decimal import Decimal
from typing import Any

from django.utils.text import capfirst

from assessments import estimating, usual

from . import outcome
from .contract import DocumentError
from .data import Row, Snapshot
from .formatting import KEEP, day, money, share

EXCERPT = 300

# A label and a value in words. An empty value means that nobody has recorded the fact.
Fact = tuple[str, str]

# The labels of facts whose labels differ from the names of their columns.
LABELS = {
    "vin": "VIN",
    "licence_expires_on": "Licence expires",
    "last_service_on": "Last service",
    "last_service_odometer": "Serviced at",
    "interior_condition": "Interior",
    "srs": "SRS (airbags)",
    "warranty_expires_on": "Warranty expires",
    "warranty_odometer": "Warranty limit",
    "source": "Values from",
    "valued_on": "Valued",
    "instructed_on": "Instructed",
    "happened_on": "Incident date",
    "driver_name": "Driver",
}
# The percentages for an assessment without a client.
USUAL_LIMITS = Row(
    borderline_percent=usual.BORDERLINE, total_percent=usual.TOTAL_WRITE_OFF, salvage_percent=usual.SALVAGE
)


def facts_of(row: Row | None, *names: str) -> list[Fact]:
    """Return columns of a row as facts; without a row none of them is recorded."""
    return [
        (LABELS.get(name, capfirst(name.replace("_", " "))), in_words(name, getattr(row, name, None))) for name in names
    ]


def in_words(name: str, value: str | int | date | None) -> str:
    match value:
        case None:
            return ""
        case date():
            return day(value)
        case int() if name.endswith("odometer"):
            return f"{value:,}{KEEP}km".replace(",", estimating.GROUP)
        case _:
            return str(value)


def vehicle_of(snapshot: Snapshot) -> Row:
    """Return the vehicle. Raises DocumentError when there is none."""
    if snapshot.vehicle is None:
        raise DocumentError("This assessment has no vehicle. The office has to add it; then retry.")
    return snapshot.vehicle


def cost_of(snapshot: Snapshot) -> estimating.Cost | None:
    """Return the cost of the repair, or None without lines. Raises DocumentError when the figures contradict."""
    estimate = snapshot.estimate
    if estimate is None or not estimate.lines:
        return None
    try:
        return estimating.cost(estimate, estimate.lines, snapshot.claim.excess, snapshot.decimals)
    except estimating.EstimateError as error:
        raise DocumentError(str(error)) from error


def values_of(snapshot: Snapshot) -> dict[str, estimating.Value]:
    return estimating.values(snapshot.valuation, snapshot.client or USUAL_LIMITS, snapshot.decimals)


def value_rows(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Return the table of values, from the base value down to the salvage; a figure is None where none is known."""
    limits, worth, values = snapshot.client or USUAL_LIMITS, snapshot.valuation, values_of(snapshot)
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
        {"label": label, "figures": [getattr(each, name, None) for each in columns], "strong": "adjusted" in name}
        for label, name in rows
    ]


def paper(snapshot: Snapshot, notes: str) -> dict[str, Any]:
    """Return the values that the templates of the report and the estimate both print; ``notes`` are the document's own.

    Raises DocumentError without a vehicle, and when the figures of the estimate contradict.
    """
    cost, estimate = cost_of(snapshot), snapshot.estimate
    against = gauge(snapshot, cost)
    return {
        "snapshot": snapshot,
        "summary": summary_of(snapshot, cost, notes, against["band"]),
        "claim": [*claim_facts(snapshot), ("Document made", day(snapshot.made_on))],
        "vehicle": vehicle_facts(vehicle_of(snapshot)),
        "cost": cost,
        "breakdown": breakdown(estimate, cost) if estimate and cost else [],
        **against,
        "notes": notes,
    }


def gauge(snapshot: Snapshot, cost: estimating.Cost | None) -> dict[str, Any]:
    return outcome.gauge(cost, values_of(snapshot), result_of(snapshot))


def result_of(snapshot: Snapshot) -> str:
    return snapshot.estimate.result_key if snapshot.estimate else ""


def summary_of(
    snapshot: Snapshot, cost: estimating.Cost | None, notes: str, band: estimating.Band | None
) -> dict[str, Any]:
    """Return the first page: the vehicle, the incident, the cost, the next step, and the document's notes."""
    vehicle, incident, estimate = vehicle_of(snapshot), snapshot.incident, snapshot.estimate
    return {
        "vehicle": vehicle.title,
        "vehicle_details": joined(
            vehicle.registration,
            vehicle.colour,
            in_words("odometer", vehicle.odometer),
            f"VIN{KEEP}{vehicle.vin}" if vehicle.vin else "",
        ),
        "event": event(snapshot),
        "event_details": excerpt(incident.description),
        "cost": money(cost.total, snapshot.currency) if cost else "No estimate yet",
        "cost_details": cost_details(snapshot, cost) if cost else "",
        "outcome": (estimate.result if estimate else "") or "Not decided yet",
        "next_step": outcome.next_step(result_of(snapshot), band, name_of(estimate and estimate.repairer)),
        "notes": excerpt(notes),
        "facts": cover_facts(snapshot, ("Repairer", name_of(estimate and estimate.repairer))),
    }


def cover_facts(snapshot: Snapshot, *others: Fact) -> list[Fact]:
    """Return the facts of the claim for a first page; ``others`` come before the last fact."""
    return [
        ("Claim number", snapshot.claim.number),
        ("Client", name_of(snapshot.client)),
        ("Insured", snapshot.insured.name),
        ("Inspected", when_and_where(snapshot)),
        *others,
        ("Assessor", snapshot.inspection.assessor),
    ]


def event(snapshot: Snapshot) -> str:
    incident = snapshot.incident
    kinds = " and ".join(dict.fromkeys(damage.kind for damage in snapshot.damage))
    when = f"on {day(incident.happened_on)}" if incident.happened_on else ""
    if not (kinds or when or incident.place):
        return "Not recorded"
    return joined(joined(kinds.capitalize() or "Incident", when, between=" "), incident.place, between=", ")


def cost_details(snapshot: Snapshot, cost: estimating.Cost) -> str:
    including = "including VAT" if cost.vat else "no VAT"
    if not cost.excess:
        return including
    return (
        f"{including}; {money(cost.net_payable, snapshot.currency)} payable after the excess of "
        f"{money(cost.excess, snapshot.currency)}"
    )


def claim_facts(snapshot: Snapshot) -> list[Fact]:
    client, claim, inspection = snapshot.client, snapshot.claim, snapshot.inspection
    return [
        ("Assessment", snapshot.number),
        ("Report number", snapshot.report_number),
        ("Claim number", claim.number),
        *facts_of(claim, "policy_number"),
        ("Client", name_of(client)),
        ("Contact", joined(client.contact, client.phone, client.email, between="\n") if client else ""),
        *facts_of(claim, "instructed_on"),
        ("Inspected", when_and_where(snapshot)),
        ("Assessor", joined(inspection.assessor, inspection.assessor_email, between="\n")),
        ("Status", inspection.status),
        ("Excess", money(claim.excess, snapshot.currency) if claim.excess else ""),
    ]


def vehicle_facts(vehicle: Row) -> list[Fact]:
    names = ("variant", "year", "registration", "vin", "engine_number", "colour", "odometer", "transmission")
    make_and_model = joined(vehicle.make, vehicle.model, between=" ")
    return [("Make and model", make_and_model), *facts_of(vehicle, *names, "licence_expires_on")]


def incident_facts(snapshot: Snapshot) -> list[Fact]:
    """Return facts for two columns: the insured on the left, the incident on the right."""
    insured = [("Insured", snapshot.insured.name), *facts_of(snapshot.insured, "phone", "email", "address")]
    incident = facts_of(snapshot.incident, "happened_on", "place", "driver_name", "police_reference")
    return [fact for line in zip(insured, incident, strict=True) for fact in line]


def condition_facts(vehicle: Row) -> list[Fact]:
    return facts_of(vehicle, "condition", "service_history", "last_service_on", "last_service_odometer")


def mechanical_facts(vehicle: Row) -> list[Fact]:
    return facts_of(vehicle, "interior_condition", "srs", "steering", "brakes", "handbrake")


def warranty_facts(worth: Row | None) -> list[Fact]:
    if worth is None:
        return facts_of(None, "warranty", "source")
    return facts_of(worth, "warranty", "warranty_expires_on", "warranty_odometer", "source", "valued_on")


def repairer_facts(estimate: Row) -> list[Fact]:
    return [
        ("Repairer", name_of(estimate.repairer)),
        *facts_of(estimate.repairer, "contact", "phone", "email", "address"),
        ("Outcome", estimate.result),
    ]


def rate_facts(estimate: Row, currency: str) -> list[Fact]:
    return [
        ("Labour", f"{money(estimate.labour_rate, currency)} per hour"),
        ("Paint", f"{money(estimate.paint_rate, currency)} per panel"),
        ("OEM markup", share(estimate.markup_oem)),
        ("ALT markup", share(estimate.markup_aftermarket)),
        ("2ND markup", share(estimate.markup_second_hand)),
        ("Outwork markup", share(estimate.markup_outwork)),
        ("Sundries", share(estimate.sundries_percent)),
        ("VAT", share(estimate.vat_percent)),
    ]


def estimate_facts(estimate: Row) -> list[Fact]:
    return [
        ("Outcome", estimate.result),
        ("Repairer", name_of(estimate.repairer)),
        ("Lines", str(len(estimate.lines))),
        ("VAT", share(estimate.vat_percent)),
    ]


def breakdown(estimate: Row, cost: estimating.Cost) -> list[tuple[str, Decimal]]:
    """Return the breakdown of the total, without charges of zero."""
    return [
        *((label, figure) for label, figure in cost.charges.items() if figure),
        ("Subtotal", cost.subtotal),
        (f"Sundries, {share(estimate.sundries_percent)}", cost.sundries),
        (f"VAT, {share(estimate.vat_percent)}", cost.vat),
    ]


def when_and_where(snapshot: Snapshot) -> str:
    inspection = snapshot.inspection
    return joined(in_words("inspected_on", inspection.inspected_on), inspection.place, between=", ")


def name_of(row: Row | None) -> str:
    return row.name if row else ""


def joined(*parts: str, between: str = " \u00b7 ") -> str:
    return between.join(part for part in parts if part)


def excerpt(text: str) -> str:
    """Return the first 300 characters, with an ellipsis when there are more."""
    return text if len(text) <= EXCERPT else f"{text[:EXCERPT].rstrip()}\u2026"
