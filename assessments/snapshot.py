"""Rows to the plain data that a generator gets, and digests of that data."""

import hashlib
import json
from collections import defaultdict
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models as db
from django.db.models import Max, QuerySet
from django.db.models.fields.files import FieldFile
from django.utils import timezone

from . import estimating, models, usual
from .documents.kinds import KINDS, REPORT, Kind
from .generators import snapshot as plain
from .storage import local_path

Section = models.Photo.Section

# The relations of an assessment that are read with it, and those with many rows, by the part of the snapshot.
ONE = ("assessor", "client", "vehicle", "valuation", "estimate__repairer")
MANY = {
    "tyres": "tyres",
    "accessories": "accessories",
    "damage": "damage",
    "estimate": "estimate__lines",
    "photos": "photos",
}


def take(attempt: models.Attempt) -> plain.Snapshot:
    """Return what the attempt's document shows, as it is now. A report gets its number with this, once."""
    document = attempt.document
    assessment = with_data(document.entry).get(pk=document.assessment_id)
    if document.entry == REPORT and not assessment.report_number:
        assessment.allot_report_number()
    last = document.versions.aggregate(last=Max("number"))["last"] or 0
    return of(assessment, document.entry, models.Office.current(), last + 1)


def with_data(*kinds: Kind) -> QuerySet[models.Assessment]:
    """The assessments, to be read together with all that documents of these kinds print."""
    printed = {part for kind in kinds for part in kind.prints}
    return models.Assessment.objects.select_related(*ONE).prefetch_related(
        *(relation for part, relation in MANY.items() if part in printed)
    )


def of(assessment: models.Assessment, kind: Kind, office: models.Office, version: int = 0) -> plain.Snapshot:
    """Return what a document of that kind shows; ``version`` is the number that it will get."""

    vehicle, valuation = _one(assessment, "vehicle"), _one(assessment, "valuation")
    estimate = _estimate(assessment) if "estimate" in kind.prints else None
    photos = _photos(assessment, kind) if "photos" in kind.prints else ()
    work = {"lines": estimate.lines if estimate else (), "photos": photos}
    return plain.Snapshot(
        kind=kind.slug,
        title=kind.label,
        number=assessment.number,
        report_number=assessment.report_number or "",
        version=version,
        made_on=timezone.localdate(),
        currency=assessment.estimate.currency if estimate else usual.CURRENCY,
        office=_plain(plain.Office, office),
        client=_plain(plain.Client, assessment.client) if assessment.client else None,
        claim=plain.Claim(
            number=assessment.claim_number,
            policy_number=assessment.policy_number,
            instructed_on=assessment.instructed_on,
            excess=assessment.excess,
        ),
        insured=plain.Insured(
            name=assessment.insured_name,
            phone=assessment.insured_phone,
            email=assessment.insured_email,
            address=assessment.insured_address,
        ),
        incident=plain.Incident(
            happened_on=assessment.incident_on,
            place=assessment.incident_place,
            description=assessment.incident_description,
            driver_name=assessment.driver_name,
            police_reference=assessment.police_reference,
        ),
        inspection=plain.Inspection(
            assessor=assessment.assessor.get_full_name() or assessment.assessor.get_username(),
            assessor_email=getattr(assessment.assessor, "email", ""),
            inspected_on=assessment.inspected_on,
            place=assessment.inspection_place,
            status=assessment.get_status_display(),
        ),
        vehicle=_plain(plain.Vehicle, vehicle) if vehicle else None,
        tyres=_tyres(assessment) if "tyres" in kind.prints else (),
        accessories=_accessories(assessment) if "accessories" in kind.prints else (),
        damage=_damage(assessment) if "damage" in kind.prints else (),
        valuation=_plain(plain.Valuation, valuation) if valuation else None,
        estimate=estimate,
        photos=photos,
        max_pixels=settings.PHOTO_MAX_PIXELS,
        notes=assessment.notes,
        units=len(work[kind.work]) if kind.work else 1,
    )


def digests(content: plain.Snapshot) -> dict[str, str]:
    """Return a digest of each part of a snapshot that its document prints, by the name of the part.

    The moment of making and the number of the version are no part of the data.
    """
    prints = KINDS[content.kind].prints
    return {part: _digest(_picked(getattr(content, part), names.split())) for part, names in prints.items()}


def _picked(value: Any, names: list[str]) -> Any:
    """The named facts of plain data, in the shapes of JSON; without names, all of them."""
    if isinstance(value, tuple):
        return [_picked(one, names) for one in value]
    if not is_dataclass(value):
        return value
    within: defaultdict[str, list[str]] = defaultdict(list)
    for name in names or [field.name for field in fields(value)]:
        first, _, rest = name.partition(".")
        within[first] += [rest] if rest else []
    return {name: _picked(getattr(value, name), rest) for name, rest in within.items()}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, default=str, sort_keys=True).encode()).hexdigest()[:16]


def _one(assessment: models.Assessment, name: str) -> Any:
    """The one row of another table that belongs to an assessment, or None."""
    return getattr(assessment, name, None)


def _plain[Plain](shape: type[Plain], row: db.Model, **values: Any) -> Plain:
    """Copy a row's columns into the plain shape whose fields have the same names, choices in words."""
    for field in fields(shape):  # type: ignore[arg-type]
        if field.name not in values:
            in_words = getattr(row, f"get_{field.name}_display", None)
            values[field.name] = in_words() if in_words else getattr(row, field.name)
    return shape(**values)


def _tyres(assessment: models.Assessment) -> tuple[plain.Tyre, ...]:
    order = models.Tyre.Position.values
    rows = sorted(assessment.tyres.all(), key=lambda row: order.index(row.position))
    return tuple(_plain(plain.Tyre, row) for row in rows)


def _accessories(assessment: models.Assessment) -> tuple[plain.Accessory, ...]:
    return tuple(_plain(plain.Accessory, row, name=str(row)) for row in assessment.accessories.all())


def _damage(assessment: models.Assessment) -> tuple[plain.Damage, ...]:
    return tuple(_plain(plain.Damage, row) for row in assessment.damage.all())


def _estimate(assessment: models.Assessment) -> plain.Estimate | None:
    row: models.Estimate | None = _one(assessment, "estimate")
    if row is None:
        return None
    return _plain(
        plain.Estimate,
        row,
        repairer=_plain(plain.Repairer, row.repairer) if row.repairer else None,
        result_key=row.result,
        lines=tuple(map(_line, sorted(row.lines.all(), key=_group))),
    )


def _group(row: models.EstimateLine) -> int:
    return next(place for place, types in enumerate(estimating.GROUPS.values()) if row.process_type in types)


def _line(row: models.EstimateLine) -> plain.EstimateLine:
    """A line without what it does not count: components that its process type does not allow, betterment of nothing."""
    allowed = estimating.ALLOWED[row.process_type]
    idle = {
        name: estimating.ZERO
        for part, (amount, betterment) in estimating.STORED.items()
        if part not in allowed or not getattr(row, amount)
        for name in (amount, betterment)
    }
    return _plain(plain.EstimateLine, row, process_type=row.process_type, part_type=row.part_type, **idle)


def _photos(assessment: models.Assessment, kind: Kind) -> tuple[plain.PhotoItem, ...]:
    order = list(plain.PHOTO_FOLDERS)
    rows = sorted(assessment.photos.all(), key=lambda row: order.index(row.section))
    if kind.most_photos:
        rows = _telling(rows)[: kind.most_photos]
    return tuple(map(_photo, rows))


def _telling(rows: list[models.Photo]) -> list[models.Photo]:
    """The photos of the damage, or of the outside when there are none; only those that can be read."""
    readable = [row for row in rows if not row.problem]
    damage = [row for row in readable if row.section == Section.DAMAGE]
    return damage or [row for row in readable if row.section == Section.EXTERIOR_360]


def _photo(row: models.Photo) -> plain.PhotoItem:
    return _plain(
        plain.PhotoItem,
        row,
        section=row.section,
        section_label=row.get_section_display(),
        folder=plain.PHOTO_FOLDERS[row.section],
        original=_place(row.original),
        print_image=_place(row.print_image) if row.print_image else None,
    )


def _place(file: FieldFile) -> Path:
    """The path of a stored file; a relative one, its name, for a file that has to be fetched first."""
    return local_path(file) or Path(str(file.name))
