"""The fixed cast of the tests: three people, and assessments with small, real and complete data."""

import hashlib
import io
import json
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from itertools import cycle, islice
from typing import Any

from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from django.db.models import Max, Model
from django.test import Client as Visitor
from django.utils import timezone
from PIL import Image, ImageDraw

from assessments.documents import snapshot
from assessments.models import (
    Accessory,
    Assessment,
    Client,
    Damage,
    Estimate,
    EstimateLine,
    Photo,
    Repairer,
    Tyre,
    Valuation,
    Vehicle,
)
from assessments.photos import intake as looking
from assessments.printing.data import Row

PASSWORD = "drive-carefully-42"
# The year in the numbers of assessments, in the site's time zone.
YEAR = timezone.localdate().year
# The kinds of documents, in the order in which workers make them.
KINDS = ["report", "estimate", "photos-pdf", "photos-zip"]


def make_person(username: str, *, is_staff: bool = False, may: Iterable[str] | None = None) -> User:
    """Make a user with ``PASSWORD``; staff get every permission on the application, or those in ``may``."""
    person = User.objects.create_user(username, f"{username}@example.org", PASSWORD, is_staff=is_staff)
    if is_staff:
        found = Permission.objects.filter(content_type__app_label="assessments")
        person.user_permissions.set(found if may is None else found.filter(codename__in=may))
    return person


def make_assessment(assessor: User, photos: int = 3) -> Assessment:
    """Make an assessment with one of everything: each process type in its estimate, and photos in several sections."""
    client, _ = Client.objects.get_or_create(name="Karoo Insurance", defaults={"email": "claims@karoo.example"})
    assessment = Assessment.objects.create(
        assessor=assessor,
        client=client,
        claim_number="KI-88123",
        policy_number="POL-5521",
        instructed_on=date(2026, 3, 2),
        excess=Decimal("3500.00"),
        insured_name="Thandi Mokoena",
        insured_phone="+27 82 555 0100",
        insured_address="12 Protea Street\nCape Town",
        incident_on=date(2026, 2, 27),
        incident_place="N2 near Somerset West",
        incident_description="Hit from behind while standing at a red light.",
        inspected_on=date(2026, 3, 3),
        inspection_place="Bayside Panelbeaters",
        notes="The left rear quarter is pushed in. The boot floor is straight.",
    )
    Vehicle.objects.create(
        assessment=assessment,
        make="Toyota",
        model="Corolla",
        variant="1.8 XS",
        year=2021,
        registration="CA 123-456",
        vin="AHTBB3JE401234567",
        colour="Silver",
        odometer=61_250,
        transmission="automatic",
        condition="good",
        interior_condition="very_good",
        srs="operational",
        steering="working",
        brakes="working",
        handbrake="working",
    )
    for position in Tyre.Position.values:
        Tyre.objects.create(
            assessment=assessment, position=position, make="Dunlop", size="205/55 R16", tread=Decimal(5)
        )
    Accessory.objects.create(assessment=assessment, kind="tow_bar", value=Decimal("2800.00"))
    Damage.objects.create(
        assessment=assessment,
        area="non_structural",
        kind="collision",
        severity="moderate",
        location="Left rear",
        description="Quarter panel and bumper.",
    )
    Valuation.objects.create(
        assessment=assessment,
        source="Dealers' guide, March 2026",
        trade=Decimal("241000.00"),
        market=Decimal("259500.00"),
        retail=Decimal("278000.00"),
    )
    make_estimate(assessment)
    add_photos(assessment, photos)
    return assessment


def make_estimate(assessment: Assessment) -> Estimate:
    """Make an estimate with one line of each process type."""
    repairer, _ = Repairer.objects.get_or_create(name="Bayside Panelbeaters", defaults={"phone": "+27 21 555 0199"})
    estimate = Estimate.objects.create(assessment=assessment, repairer=repairer, result=Estimate.Result.REPAIR)
    hours, panels = Decimal("1.50"), Decimal("1.00")
    lines = [
        EstimateLine(process_type="N", part_type="OEM", description="Rear bumper", part_price=Decimal("4310.55")),
        EstimateLine(process_type="R", description="Left quarter panel", labour_hours=hours, paint_panels=panels),
        EstimateLine(process_type="P", description="Rear bumper", paint_panels=panels),
        EstimateLine(process_type="B", description="Left rear door", paint_panels=Decimal("0.50")),
        EstimateLine(process_type="A", description="Four-wheel alignment", labour_hours=hours),
        EstimateLine(process_type="O", description="Sensor calibration", outwork=Decimal("1250.00")),
    ]
    for position, line in enumerate(lines):
        line.estimate, line.position = estimate, position
    EstimateLine.objects.bulk_create(lines)
    return estimate


def add_photos(assessment: Assessment, count: int) -> list[Photo]:
    """Add small, real JPEGs, each with pixels of its own, spread over the sections."""
    last = assessment.photos.aggregate(last=Max("position"))["last"] or 0
    return [
        add_photo(assessment, picture(last + number), f"IMG_{last + number:04}.jpg", section, last + number)
        for number, section in enumerate(islice(cycle(Photo.Section.values), count), start=1)
    ]


def add_photo(
    assessment: Assessment, content: bytes, name: str, section: str = Photo.Section.DAMAGE, position: int = 0
) -> Photo:
    """Add a photo without looking at it: an unreadable photo is stored, too."""
    photo = Photo(
        assessment=assessment,
        section=section,
        position=position,
        caption=f"{Photo.Section(section).label} {position}",
        name=name,
        extension=name.rpartition(".")[2].lower(),
        size=len(content),
        width=320,
        height=240,
        sha256=hashlib.sha256(content).hexdigest(),
        uploaded_by=assessment.assessor,
    )
    photo.original.save(name, ContentFile(content))
    return photo


def look_at(photo: Photo) -> Photo:
    """Look at a new photo, as a worker would; return the photo with its new values."""
    claimed = Photo.objects.filter(pk=photo.pk).claim()
    if claimed:
        looking.look_at(claimed)
    photo.refresh_from_db()
    return photo


def look_at_all() -> None:
    """Look at all new photos, as workers would."""
    while photo := Photo.objects.claim():
        looking.look_at(photo)


def picture(number: int, size: tuple[int, int] = (320, 240)) -> bytes:
    """Return a JPEG that shows a number; each number has its own pixels."""
    image = Image.new("RGB", size, (40 + number * 37 % 200, 40 + number * 73 % 200, 120))
    ImageDraw.Draw(image).text((size[0] // 3, size[1] // 3), str(number), fill="white", font_size=size[1] // 4)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return file.getvalue()


def row(table: type[Model], **values: Any) -> Row:
    """Return a new row of a table as generators get it, with these values; choices are words."""
    return snapshot.row_of(table(), **values)


def put_on_stage() -> str:
    """Fill an empty database with the cast; return JSON: the session key of each person.

    ASM-<year>-001 is the assessor's, 002 the stranger's; 003, the assessor's too, has no photos.
    """
    assessor, stranger, staff = make_person("assessor"), make_person("stranger"), make_person("staff", is_staff=True)
    make_assessment(assessor)
    make_assessment(stranger)
    make_assessment(assessor, photos=0)
    look_at_all()
    return json.dumps({person.username: session_of(person) for person in (assessor, stranger, staff)})


def session_of(person: User) -> str:
    visitor = Visitor()
    visitor.force_login(person)
    return visitor.cookies["sessionid"].value
