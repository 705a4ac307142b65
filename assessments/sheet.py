"""The data of an assessment on its page: the facts that its papers print, section by section."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from . import estimating
from .generators import facts
from .generators.contract import DocumentError
from .generators.facts import Fact
from .generators.snapshot import Row, Snapshot
from .models import Photo


@dataclass(frozen=True, slots=True)
class Section:
    """Labelled facts, and texts below them."""

    title: str
    facts: list[Fact]
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EstimateSheet:
    """The lines with what each costs, and all of them; ``problem`` is set instead when the figures contradict."""

    lines: list[tuple[Row, estimating.LineCost]]
    cost: estimating.Cost | None = None
    breakdown: list[tuple[str, Decimal]] | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PhotoGroup:
    title: str
    photos: list[Photo]


def sections(content: Snapshot) -> list[Section]:
    """The facts of an assessment. Empty ones are left out, and so are sections without any."""
    vehicle, valuation, estimate = content.vehicle, content.valuation, content.estimate
    found = [
        Section("Claim", facts.claim_facts(content)),
        Section("Insured and incident", facts.incident_facts(content), (content.incident.description,)),
    ]
    if vehicle:
        found += [
            Section("Vehicle", facts.vehicle_facts(vehicle)),
            Section("Condition and service history", facts.condition_facts(vehicle), (vehicle.condition_notes,)),
            Section(
                "Interior and mechanical",
                facts.mechanical_facts(vehicle),
                (vehicle.interior_notes, vehicle.mechanical_notes),
            ),
        ]
    if valuation:
        found.append(Section("Warranty", facts.warranty_facts(valuation), (valuation.notes,)))
    if estimate:
        rates = facts.repairer_facts(estimate) + facts.rate_facts(estimate, content.currency)
        found.append(Section("Repairer and rates", rates, (estimate.notes,)))
    found.append(Section("Notes", [], (content.notes,)))
    known = (
        Section(one.title, [fact for fact in one.facts if fact[1]], tuple(filter(None, one.texts))) for one in found
    )
    return [section for section in known if section.facts or section.texts]


def estimate_sheet(content: Snapshot) -> EstimateSheet | None:
    """The estimate with its arithmetic, or None while it has no lines."""
    try:
        cost = facts.cost_of(content)
    except DocumentError as error:
        return EstimateSheet([], problem=str(error))
    if cost is None or content.estimate is None:
        return None
    lines = list(zip(content.estimate.lines, cost.lines, strict=True))
    return EstimateSheet(lines, cost, facts.breakdown(content.estimate, cost))


def value_rows(content: Snapshot) -> list[tuple[str, list[Decimal]]]:
    """Trade, market and retail: base, adjusted, borderline, total write-off and salvage."""
    return [
        (name.title(), [value.base, value.total_adjusted, value.borderline, value.total_write_off, value.salvage])
        for name, value in facts.values_of(content).items()
    ]


def photo_groups(photos: Iterable[Photo]) -> list[PhotoGroup]:
    """The photos by section, in the order of the documents; an empty section is left out."""
    rows = list(photos)
    groups = [
        PhotoGroup(section.label, [photo for photo in rows if photo.section == section]) for section in Photo.Section
    ]
    return [group for group in groups if group.photos]
