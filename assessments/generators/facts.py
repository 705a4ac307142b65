"""What the report and the estimate say alike, as the labelled facts that their templates print."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from assessments import estimating

from .contract import DocumentError
from .filters import KEEP, day, money, share, whole
from .snapshot import Client, Estimate, Repairer, Snapshot, Vehicle

EXCERPT = 300

# A label and a value in words; an empty value is one that nobody recorded.
Fact = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Summary:
    """The first page: which car, what happened, what it costs, what next."""

    vehicle: str
    vehicle_details: str
    event: str
    event_details: str
    cost: str
    cost_details: str
    outcome: str
    next_step: str
    notes: str
    facts: tuple[Fact, ...]


def vehicle_of(snapshot: Snapshot) -> Vehicle:
    """Return the vehicle. Raises DocumentError when there is none."""
    if snapshot.vehicle is None:
        raise DocumentError("This assessment has no vehicle. Add the vehicle, then retry.")
    return snapshot.vehicle


def cost_of(snapshot: Snapshot) -> estimating.Cost | None:
    """Return what the repair costs, or None without lines. Raises DocumentError when the figures contradict."""
    estimate = snapshot.estimate
    if estimate is None or not estimate.lines:
        return None
    try:
        return estimating.cost(estimate, estimate.lines, snapshot.claim.excess)
    except estimating.EstimateError as error:
        raise DocumentError(str(error)) from error


def values_of(snapshot: Snapshot) -> estimating.Values | None:
    """Return the vehicle's values, or None when there is not one."""
    if snapshot.valuation is None:
        return None
    values = estimating.value(snapshot.valuation, limits_of(snapshot))
    return values if values.trade or values.market or values.retail else None


def summary_of(snapshot: Snapshot, cost: estimating.Cost | None, notes: str) -> Summary:
    """Return the first page of a document whose notes are ``notes``."""
    vehicle, incident, estimate = vehicle_of(snapshot), snapshot.incident, snapshot.estimate
    return Summary(
        vehicle=vehicle.title,
        vehicle_details=joined(
            vehicle.registration,
            vehicle.colour,
            kilometres(vehicle.odometer),
            f"VIN{KEEP}{vehicle.vin}" if vehicle.vin else "",
        ),
        event=event(snapshot),
        event_details=excerpt(incident.description),
        cost=money(cost.total, snapshot.currency) if cost else "No estimate yet",
        cost_details=cost_details(snapshot, cost) if cost else "",
        outcome=(estimate.result if estimate else "") or "Not decided yet",
        next_step=next_step(snapshot, estimate),
        notes=excerpt(notes),
        facts=(
            ("Claim number", snapshot.claim.number),
            ("Client", snapshot.client.name if snapshot.client else ""),
            ("Insured", snapshot.insured.name),
            ("Inspected", when_and_where(snapshot)),
            ("Repairer", estimate.repairer.name if estimate and estimate.repairer else ""),
            ("Assessor", snapshot.inspection.assessor),
        ),
    )


def event(snapshot: Snapshot) -> str:
    """What happened, when and where, in one line."""
    incident = snapshot.incident
    kinds = " and ".join(dict.fromkeys(damage.kind for damage in snapshot.damage))
    when = f"on {day(incident.happened_on)}" if incident.happened_on else ""
    if not (kinds or when or incident.place):
        return "Not recorded"
    return joined(joined(kinds.capitalize() or "Incident", when, between=" "), incident.place, between=", ")


def limits_of(snapshot: Snapshot) -> Client:
    """Return the client whose percentages hold; the usual ones when there is no client yet."""
    return snapshot.client or Client(name="")


def cost_details(snapshot: Snapshot, cost: estimating.Cost) -> str:
    including = "including VAT" if cost.vat else "no VAT"
    if not cost.excess:
        return including
    return (
        f"{including}; {money(cost.net_payable, snapshot.currency)} payable after the excess of "
        f"{money(cost.excess, snapshot.currency)}"
    )


def next_step(snapshot: Snapshot, estimate: Estimate | None) -> str:
    match estimate.result_key if estimate else "":
        case "repair":
            repairer = estimate.repairer.name if estimate and estimate.repairer else "the repairer"
            return f"The insurer may instruct {repairer} to begin the repair."
        case "code_2":
            return "Settle as a repairable write-off; the vehicle may be rebuilt."
        case "code_3":
            return "Settle as a non-repairable write-off; the vehicle is not to be rebuilt."
        case "total_loss":
            return "Settle as a total loss."
        case _:
            return "The assessor has still to decide the outcome."


def claim_facts(snapshot: Snapshot) -> list[Fact]:
    client, claim, inspection = snapshot.client, snapshot.claim, snapshot.inspection
    return [
        ("Assessment", snapshot.number),
        ("Report number", snapshot.report_number),
        ("Claim number", claim.number),
        ("Policy number", claim.policy_number),
        ("Client", client.name if client else ""),
        ("Contact", joined(client.contact, client.phone, client.email, between="\n") if client else ""),
        ("Instructed", date_or_nothing(claim.instructed_on)),
        ("Inspected", when_and_where(snapshot)),
        ("Assessor", joined(inspection.assessor, inspection.assessor_email, between="\n")),
        ("Status", inspection.status),
        ("Excess", money(claim.excess, snapshot.currency) if claim.excess else "None"),
    ]


def paper_facts(snapshot: Snapshot) -> list[Fact]:
    """What the report and the estimate say of the claim and of themselves."""
    return [*claim_facts(snapshot), ("Document made", day(snapshot.made_on))]


def vehicle_facts(vehicle: Vehicle) -> list[Fact]:
    return [
        ("Make and model", joined(vehicle.make, vehicle.model, between=" ")),
        ("Variant", vehicle.variant),
        ("Year", str(vehicle.year or "")),
        ("Registration", vehicle.registration),
        ("VIN", vehicle.vin),
        ("Engine number", vehicle.engine_number),
        ("Colour", vehicle.colour),
        ("Odometer", kilometres(vehicle.odometer)),
        ("Transmission", vehicle.transmission),
        ("Licence expires", date_or_nothing(vehicle.licence_expires_on)),
    ]


def incident_facts(snapshot: Snapshot) -> list[Fact]:
    insured, incident = snapshot.insured, snapshot.incident
    return [
        ("Insured", insured.name),
        ("Incident date", date_or_nothing(incident.happened_on)),
        ("Phone", insured.phone),
        ("Place", incident.place),
        ("E-mail", insured.email),
        ("Driver", incident.driver_name),
        ("Address", insured.address),
        ("Police reference", incident.police_reference),
    ]


def condition_facts(vehicle: Vehicle) -> list[Fact]:
    return [
        ("Condition", vehicle.condition),
        ("Service history", vehicle.service_history),
        ("Last service", date_or_nothing(vehicle.last_service_on)),
        ("Serviced at", kilometres(vehicle.last_service_odometer)),
    ]


def mechanical_facts(vehicle: Vehicle) -> list[Fact]:
    return [
        ("Interior", vehicle.interior_condition),
        ("SRS (airbags)", vehicle.srs),
        ("Steering", vehicle.steering),
        ("Brakes", vehicle.brakes),
        ("Handbrake", vehicle.handbrake),
    ]


def warranty_facts(snapshot: Snapshot) -> list[Fact]:
    worth = snapshot.valuation
    if worth is None:
        return [("Warranty", ""), ("Values from", "")]
    return [
        ("Warranty", worth.warranty),
        ("Warranty expires", date_or_nothing(worth.warranty_expires_on)),
        ("Warranty limit", kilometres(worth.warranty_odometer)),
        ("Values from", worth.source),
        ("Valued", date_or_nothing(worth.valued_on)),
    ]


def repairer_facts(estimate: Estimate) -> list[Fact]:
    repairer = estimate.repairer or Repairer(name="")
    return [
        ("Repairer", repairer.name),
        ("Contact", repairer.contact),
        ("Phone", repairer.phone),
        ("E-mail", repairer.email),
        ("Address", repairer.address),
        ("Outcome", estimate.result),
    ]


def rate_facts(estimate: Estimate, currency: str) -> list[Fact]:
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


def estimate_facts(estimate: Estimate) -> list[Fact]:
    return [
        ("Outcome", estimate.result),
        ("Repairer", estimate.repairer.name if estimate.repairer else ""),
        ("Lines", str(len(estimate.lines))),
        ("VAT", share(estimate.vat_percent)),
    ]


def breakdown(estimate: Estimate, cost: estimating.Cost) -> list[tuple[str, Decimal]]:
    """The breakdown of the total, without the charges that no line has."""
    return [
        *((label, figure) for label, figure in cost.charges.items() if figure),
        ("Subtotal", cost.subtotal),
        (f"Sundries, {share(estimate.sundries_percent)}", cost.sundries),
        (f"VAT, {share(estimate.vat_percent)}", cost.vat),
    ]


def gauge(cost: estimating.Cost | None, values: estimating.Values | None) -> dict[str, Any]:
    """How near the estimate comes to the retail borderline, and where that is on a scale of a thousand."""
    band = estimating.band(cost.total, values.retail.borderline) if cost and values and values.retail else None
    position = min(max(10 * band.percent, Decimal(8)), Decimal(992)) if band else None
    return {"band": band, "band_position": position}


def when_and_where(snapshot: Snapshot) -> str:
    return joined(date_or_nothing(snapshot.inspection.inspected_on), snapshot.inspection.place, between=", ")


def date_or_nothing(value: date | None) -> str:
    return day(value) if value else ""


def kilometres(value: int | None) -> str:
    return "" if value is None else f"{whole(value)}{KEEP}km"


def joined(*parts: str, between: str = " \u00b7 ") -> str:
    return between.join(part for part in parts if part)


def excerpt(text: str) -> str:
    """The first 300 characters, and a mark when there are more."""
    return text if len(text) <= EXCERPT else f"{text[:EXCERPT].rstrip()}\u2026"
