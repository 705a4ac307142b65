"""Rows to the plain data that a generator gets."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models as db
from django.db.models import Max
from django.db.models.fields.files import FieldFile
from django.utils import timezone

from . import models
from .generators import snapshot as plain
from .storage import local_path

Kind = models.Document.Kind
Section = models.Photo.Section

# The documents that show the estimate, and the damage that it repairs.
WITH_ESTIMATE = (Kind.REPORT, Kind.ESTIMATE)
# How many photos the report shows.
REPORT_PHOTOS = 6


def take(attempt: models.Attempt) -> plain.Snapshot:
    """Return what the attempt's document shows, as it is now. A report gets its number with this, once."""
    document = models.Document.objects.select_related(
        "assessment__assessor",
        "assessment__client",
        "assessment__vehicle",
        "assessment__valuation",
        "assessment__estimate__repairer",
    ).get(pk=attempt.document_id)
    assessment, kind = document.assessment, Kind(document.kind)
    if kind == Kind.REPORT and not assessment.report_number:
        assessment.allot_report_number()
    vehicle, valuation = _one(assessment, "vehicle"), _one(assessment, "valuation")
    estimate = _estimate(assessment, kind)
    photos = _photos(assessment, kind)
    return plain.Snapshot(
        kind=kind.value,
        title=kind.label,
        number=assessment.number,
        report_number=assessment.report_number or "",
        version=(document.versions.aggregate(last=Max("number"))["last"] or 0) + 1,
        made_on=timezone.localdate(),
        currency=assessment.estimate.currency if estimate else "ZAR",
        office=_plain(plain.Office, models.Office.current()),
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
        tyres=_tyres(assessment) if kind == Kind.REPORT else (),
        accessories=_accessories(assessment) if kind == Kind.REPORT else (),
        damage=_damage(assessment) if kind in WITH_ESTIMATE else (),
        valuation=_plain(plain.Valuation, valuation) if valuation else None,
        estimate=estimate,
        photos=photos,
        max_pixels=settings.PHOTO_MAX_PIXELS,
        notes=assessment.notes,
        units=_units(kind, estimate, photos),
    )


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


def _estimate(assessment: models.Assessment, kind: Kind) -> plain.Estimate | None:
    row: models.Estimate | None = _one(assessment, "estimate")
    if row is None or kind not in WITH_ESTIMATE:
        return None
    return _plain(
        plain.Estimate,
        row,
        repairer=_plain(plain.Repairer, row.repairer) if row.repairer else None,
        result_key=row.result,
        lines=tuple(
            _plain(plain.EstimateLine, line, process_type=line.process_type, part_type=line.part_type)
            for line in row.lines.all()
        ),
    )


def _photos(assessment: models.Assessment, kind: Kind) -> tuple[plain.PhotoItem, ...]:
    if kind == Kind.ESTIMATE:
        return ()
    order = list(plain.PHOTO_FOLDERS)
    rows = sorted(assessment.photos.all(), key=lambda row: order.index(row.section))
    if kind == Kind.REPORT:
        rows = _shown_in_report(rows)
    return tuple(map(_photo, rows))


def _shown_in_report(rows: list[models.Photo]) -> list[models.Photo]:
    """The photos of the damage, or of the outside when there are none; only those that can be read."""
    readable = [row for row in rows if not row.problem]
    damage = [row for row in readable if row.section == Section.DAMAGE]
    return (damage or [row for row in readable if row.section == Section.EXTERIOR_360])[:REPORT_PHOTOS]


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


def _units(kind: Kind, estimate: plain.Estimate | None, photos: tuple[plain.PhotoItem, ...]) -> int:
    if kind == Kind.REPORT:
        return 1
    if kind == Kind.ESTIMATE:
        return len(estimate.lines) if estimate else 0
    return len(photos)
