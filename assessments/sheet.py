"""The data of an assessment in words, section by section, as its page shows it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import models as db

from . import estimating
from .generators.filters import amount, day, money, share, whole
from .models import Accessory, Assessment, Client, Estimate, EstimateLine, Photo, Valuation

COMPONENTS = ("part", "strip", "labour", "paint", "outwork")


@dataclass(frozen=True, slots=True)
class Section:
    """Labelled facts; one that nobody recorded is left out."""

    title: str
    facts: list[tuple[str, str]]
    text: str = ""


@dataclass(frozen=True, slots=True)
class EstimateLineWords:
    code: str
    description: str
    kind: str
    components: list[str]
    total: str


@dataclass(frozen=True, slots=True)
class EstimateSheet:
    """The estimate as a table; ``problem`` is set, and the rest empty, when its figures contradict each other."""

    lines: list[EstimateLineWords]
    breakdown: list[tuple[str, str]]
    total: str
    payable: list[tuple[str, str]]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PhotoGroup:
    title: str
    photos: list[Photo]


def sections(assessment: Assessment) -> list[Section]:
    """The facts of an assessment and its vehicle, values and estimate; sections without any are left out."""
    vehicle = one(assessment, "vehicle")
    valuation = one(assessment, "valuation")
    estimate = one(assessment, "estimate")
    found = [
        Section(
            "Claim",
            facts(
                assessment,
                "claim_number",
                "policy_number",
                "client",
                "report_number",
                "instructed_on",
                "excess",
                "inspected_on",
                "inspection_place",
            ),
        ),
        Section("Insured", facts(assessment, "insured_name", "insured_phone", "insured_email", "insured_address")),
        Section(
            "Incident",
            facts(assessment, "incident_on", "incident_place", "driver_name", "police_reference"),
            assessment.incident_description,
        ),
        Section(
            "Vehicle",
            facts(
                vehicle,
                "make",
                "model",
                "variant",
                "year",
                "registration",
                "vin",
                "engine_number",
                "colour",
                "odometer",
                "transmission",
                "licence_expires_on",
            ),
        ),
        Section(
            "Condition",
            facts(vehicle, "condition", "service_history", "last_service_on", "last_service_odometer"),
            text_of(vehicle, "condition_notes"),
        ),
        Section(
            "Interior",
            facts(vehicle, "interior_condition", "srs"),
            text_of(vehicle, "interior_notes"),
        ),
        Section(
            "Mechanical",
            facts(vehicle, "steering", "brakes", "handbrake"),
            text_of(vehicle, "mechanical_notes"),
        ),
        Section(
            "Warranty",
            facts(valuation, "warranty", "warranty_expires_on", "warranty_odometer", "source", "valued_on"),
            text_of(valuation, "notes"),
        ),
        Section(
            "Repairer and rates",
            facts(estimate, "repairer", "result", "labour_rate", "paint_rate", "sundries_percent", "vat_percent"),
            text_of(estimate, "notes"),
        ),
        Section("Notes", [], assessment.notes),
    ]
    return [section for section in found if section.facts or section.text]


def one(assessment: Assessment, name: str) -> Any:
    """The one row of another table that belongs to an assessment, or None."""
    return getattr(assessment, name, None)


def facts(row: db.Model | None, *names: str) -> list[tuple[str, str]]:
    if row is None:
        return []
    found = [(label(row, name), written(row, name)) for name in names]
    return [(name, words) for name, words in found if words]


def label(row: db.Model, name: str) -> str:
    verbose = str(row._meta.get_field(name).verbose_name)  # type: ignore[union-attr]
    return verbose[:1].upper() + verbose[1:]


def written(row: db.Model, name: str) -> str:
    value = getattr(row, name)
    field = row._meta.get_field(name)
    if isinstance(field, db.CharField) and field.choices:
        return str(getattr(row, f"get_{name}_display")())
    if isinstance(value, date):
        return day(value)
    if isinstance(value, Decimal):
        return share(value) if name.endswith("percent") else amount(value)
    if isinstance(field, db.PositiveIntegerField) and value is not None:
        return whole(value)
    return "" if value is None else str(value)


def text_of(row: db.Model | None, name: str) -> str:
    return getattr(row, name, "")


def estimate_sheet(
    assessment: Assessment, estimate: Estimate | None, lines: Iterable[EstimateLine]
) -> EstimateSheet | None:
    """The estimate with its arithmetic, or None while it has no lines."""
    rows = list(lines)
    if estimate is None or not rows:
        return None
    try:
        cost = estimating.cost(estimate, rows, assessment.excess)
    except estimating.EstimateError as error:
        return EstimateSheet([], [], "", [], problem=str(error))
    currency = estimate.currency
    return EstimateSheet(
        lines=[line_words(row, figures) for row, figures in zip(rows, cost.lines, strict=True)],
        breakdown=[(name, amount(figure)) for name, figure in breakdown(estimate, cost) if figure],
        total=money(cost.total, currency),
        payable=[("Less excess", amount(-cost.excess)), ("Net payable", money(cost.net_payable, currency))]
        if cost.excess
        else [],
    )


def line_words(row: EstimateLine, figures: estimating.LineCost) -> EstimateLineWords:
    components = [getattr(figures, name) for name in COMPONENTS]
    return EstimateLineWords(
        code=row.process_type,
        description=row.description,
        kind=row.get_part_type_display(),
        components=[amount(component) if component else "" for component in components],
        total=amount(figures.total),
    )


def breakdown(estimate: Estimate, cost: estimating.Cost) -> list[tuple[str, Decimal]]:
    return [
        ("Parts", cost.parts),
        ("Strip and assemble", cost.strip),
        ("Labour", cost.labour),
        ("Paint", cost.paint),
        ("Outwork", cost.outwork),
        ("Markup", cost.parts_markup + cost.outwork_markup),
        ("Less betterment", -cost.betterment),
        (f"Sundries {share(estimate.sundries_percent)}", cost.sundries),
        (f"VAT {share(estimate.vat_percent)}", cost.vat),
    ]


def value_rows(valuation: Valuation | None, client: Client | None, currency: str) -> list[tuple[str, list[str]]]:
    """Trade, market and retail: base, adjusted, borderline, total write-off and salvage."""
    if valuation is None:
        return []
    values = estimating.value(valuation, client or Client())
    known = [("Trade", values.trade), ("Market", values.market), ("Retail", values.retail)]
    return [
        (
            name,
            [
                amount(figure)
                for figure in (value.base, value.total_adjusted, value.borderline, value.total_write_off, value.salvage)
            ],
        )
        for name, value in known
        if value is not None
    ]


def accessory_rows(accessories: Iterable[Accessory]) -> list[tuple[str, str, str]]:
    """What it is, its condition, its value."""
    return [(str(row), row.get_condition_display(), amount(row.value)) for row in accessories]


def photo_groups(photos: Iterable[Photo]) -> list[PhotoGroup]:
    """The photos by section, in the order of the documents; an empty section is left out."""
    rows = list(photos)
    groups = [
        PhotoGroup(section.label, [photo for photo in rows if photo.section == section]) for section in Photo.Section
    ]
    return [group for group in groups if group.photos]
