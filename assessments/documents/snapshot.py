"""The conversion of rows to the plain data that a generator gets, and the digests of that data."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models as db
from django.db.models import QuerySet
from django.db.models.fields.files import FieldFile
from django.db.models.functions import Now
from django.utils import timezone

from assessments import estimating, models, usual
from assessments.models.lease import read_at
from assessments.printing import data as plain
from assessments.storage.folder import local_path

from .kinds import KINDS, REPORT, Kind

Section = models.Photo.Section

# The relations that are always read with an assessment, and those with many rows, read only if a kind prints them.
ONE = ("assessor", "client", "vehicle", "valuation", "estimate__repairer")
MANY = ("tyres", "accessories", "damage", "estimate__lines", "photos")
# The parts that are columns of the assessment itself. In the part, a name loses the part's name as its prefix.
OWN = {
    "claim": "claim_number policy_number instructed_on excess",
    "insured": "insured_name insured_phone insured_email insured_address",
    "incident": "incident_place incident_description driver_name police_reference",
    "inspection": "inspected_on inspection_place status",
}
# The tables whose plain rows have a class of their own.
SHAPES: dict[type[db.Model], type[plain.Row]] = {
    models.Vehicle: plain.Vehicle,
    models.Estimate: plain.Estimate,
    models.Photo: plain.PhotoItem,
}


def take(attempt: models.Attempt) -> plain.Snapshot:
    """Return the data of the attempt's document, as it is now. The first snapshot of a report allots its number."""
    document = attempt.document
    assessment = with_data(document.entry).get(pk=document.assessment_id)
    if document.entry == REPORT and not assessment.report_number:
        assessment.allot_report_number()
    return of(assessment, document.entry, models.Office.current(), document.next_version())


def with_data(*kinds: Kind) -> QuerySet[models.Assessment]:
    """Return a query set of assessments, read together with all data that documents of these kinds print."""
    printed = {part for kind in kinds for part in kind.prints}
    return (
        models.Assessment.objects.annotate(read_at=Now())
        .select_related(*ONE)
        .prefetch_related(*(relation for relation in MANY if relation.partition("__")[0] in printed))
    )


def of(assessment: models.Assessment, kind: Kind, office: models.Office, version: int = 0) -> plain.Snapshot:
    """Return the data of a document of that kind; ``version`` is the number that its next version will get."""

    def many(part: str) -> list[Any]:
        return list(getattr(assessment, part).all()) if part in kind.prints else []

    # A one-to-one relation without its row raises an AttributeError.
    vehicle, valuation = getattr(assessment, "vehicle", None), getattr(assessment, "valuation", None)
    estimate = getattr(assessment, "estimate", None) if "estimate" in kind.prints else None
    lines = sorted(estimate.lines.all(), key=_group) if estimate else []
    corners = models.Tyre.Position.values
    photos = _photos(many("photos"), kind)
    return plain.Snapshot(
        kind=kind.slug,
        title=kind.label,
        number=assessment.number,
        report_number=assessment.report_number or "",
        version=version,
        made_on=timezone.localdate(read_at(assessment)),
        currency=estimate.currency if estimate else usual.CURRENCY,
        language=settings.PAPER_LANGUAGE,
        office=row_of(office),
        client=row_of(assessment.client) if assessment.client else None,
        **own(assessment),
        vehicle=row_of(vehicle) if vehicle else None,
        tyres=tuple(map(row_of, sorted(many("tyres"), key=lambda row: corners.index(row.position)))),
        accessories=tuple(row_of(row, "kind", name=str(row)) for row in many("accessories")),
        damage=tuple(map(row_of, many("damage"))),
        valuation=row_of(valuation) if valuation else None,
        estimate=estimate_of(estimate, lines) if estimate else None,
        photos=photos,
        max_pixels=settings.PHOTO_MAX_PIXELS,
        notes=assessment.notes,
        units=len({"lines": lines, "photos": photos}[kind.work]) if kind.work else 1,
    )


def own(assessment: models.Assessment) -> dict[str, plain.Row]:
    row, assessor = row_of(assessment), assessment.assessor
    parts = {
        part: plain.Row(**{name.removeprefix(f"{part}_"): getattr(row, name) for name in names.split()})
        for part, names in OWN.items()
    }
    parts["incident"].happened_on = assessment.incident_on
    parts["inspection"].assessor = assessor.get_full_name() or assessor.get_username()
    parts["inspection"].assessor_email = getattr(assessor, "email", "")
    return parts


def row_of(row: db.Model, *without: str, **instead: Any) -> plain.Row:
    """Copy a row's columns, choices in words; ``instead`` replaces values of some columns, and adds further ones.

    Keys and generated columns are left out: they are not printed.
    """
    values = {
        name: getattr(row, name) if words is None else words.get(value := getattr(row, name), value)
        for name, words in _columns(type(row))
        if name not in without
    }
    return SHAPES.get(type(row), plain.Row)(**{**values, **instead})


@cache
def _columns(model: type[db.Model]) -> list[tuple[str, dict[Any, str] | None]]:
    """Return the columns of a table that are printed: the name of each, and the words of its choices."""
    return [
        (column.name, {value: str(words) for value, words in column.flatchoices} if column.choices else None)
        for column in model._meta.concrete_fields
        if not (column.primary_key or column.is_relation or column.generated)
    ]


def estimate_of(row: models.Estimate, lines: Iterable[models.EstimateLine]) -> plain.Row:
    return row_of(
        row,
        "currency",
        repairer=row_of(row.repairer) if row.repairer else None,
        result_key=row.result,
        lines=tuple(map(line_of, lines)),
    )


def line_of(row: models.EstimateLine) -> plain.Row:
    """Copy a line; components that its process type does not allow, and betterment of a zero amount, become zero."""
    allowed = estimating.ALLOWED[row.process_type]
    idle = {
        name: estimating.ZERO
        for part, (amount, betterment) in estimating.STORED.items()
        if part not in allowed or not getattr(row, amount)
        for name in (amount, betterment)
    }
    return row_of(row, "position", process_type=row.process_type, part_type=row.part_type, **idle)


def digests(content: plain.Snapshot) -> dict[str, str]:
    """Return a digest of each part of a snapshot that its document prints, by the name of the part.

    The date of making and the number of the version have no digest.
    """
    prints = KINDS[content.kind].prints
    return {part: _digest(_picked(getattr(content, part), names.split())) for part, names in prints.items()}


def _picked(value: Any, names: list[str]) -> Any:
    """Return the named facts of plain data, as values for JSON; without names, all facts."""
    if isinstance(value, tuple):
        return [_picked(one, names) for one in value]
    if not isinstance(value, plain.Row):
        return value
    within: defaultdict[str, list[str]] = defaultdict(list)
    for name in names or vars(value):
        first, _, rest = name.partition(".")
        within[first] += [rest] if rest else []
    return {name: _picked(getattr(value, name), rest) for name, rest in within.items()}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, default=str, sort_keys=True).encode()).hexdigest()[:16]


def _group(row: models.EstimateLine) -> int:
    return next(place for place, types in enumerate(estimating.GROUPS.values()) if row.process_type in types)


def by_section(photos: Iterable[models.Photo]) -> list[models.Photo]:
    """Sort photos by section, in the order of the documents; within a section the photos keep their order."""
    return sorted(photos, key=lambda photo: Section.values.index(photo.section))


def _photos(rows: list[models.Photo], kind: Kind) -> tuple[plain.PhotoItem, ...]:
    rows = by_section(rows)
    if kind.most_photos:
        rows = _telling(rows)[: kind.most_photos]
    return tuple(map(_photo, rows))


def _telling(rows: list[models.Photo]) -> list[models.Photo]:
    """Return the readable photos of the damage; without any, the readable photos of the outside."""
    readable = [row for row in rows if not row.problem]
    damage = [row for row in readable if row.section == Section.DAMAGE]
    return damage or [row for row in readable if row.section == Section.EXTERIOR_360]


def _photo(row: models.Photo) -> Any:
    places = {"original": _place(row.original), "print_image": _place(row.print_image) if row.print_image else None}
    section = models.Photo.Section(row.section)
    words = {"section": row.section, "section_label": section.label, "folder": section.folder}
    return row_of(row, "thumbnail", **places, **words)


def _place(file: FieldFile) -> Path:
    """Return the path of a stored file, or its name as a relative path when the file has to be fetched first."""
    return local_path(file) or Path(str(file.name))
