"""Demo assessments, whole: every kind of data, and photos that come in as uploads do."""

import math
import os
import random
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from django.contrib.auth.models import User
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils import timezone

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
from assessments.photos import take_in

from .look import Look
from .pictures import picture
from .scenes import STANDING
from .stories import ACCESSORIES, DAMAGE, LINES, ORIENTATIONS, STORIES, SUBJECTS, TYRE_SIZES, TYRES, Story

# A 12-megapixel phone's photo, in px.
MEGAPIXELS, LONG_SIDE, SHORT_SIDE = 12, 4032, 3024
# Fewer megapixels than these are drawn sooner than another process has started.
WORTH_A_PROCESS = 24


@dataclass(frozen=True, slots=True)
class Shot:
    """One photo to take."""

    section: str
    scene: str
    caption: str
    name: str
    width: int
    height: int
    seed: int
    orientation: int


def make_assessment(owner: User, photos: int = 12, megapixels: float = MEGAPIXELS, number: int = 0) -> Assessment:
    """Make a whole assessment, its photos stored but not prepared. ``number`` chooses vehicle, people and damage."""
    story = story_of(number)
    taken = shots(photos, megapixels, number)
    with TemporaryDirectory(prefix="demo-") as folder:
        paths = draw(taken, story.look, Path(folder))
        # Begun only now, so that nobody waits for the pictures to be drawn.
        with transaction.atomic():
            assessment = write(owner, story, number)
            for shot, path in zip(taken, paths, strict=True):
                upload(assessment, shot, path)
    return assessment


def add_photos(assessment: Assessment, photos: int, megapixels: float = MEGAPIXELS, number: int = 0) -> list[Photo]:
    """Add photos to an assessment, stored but not prepared."""
    taken = shots(photos, megapixels, number)
    with TemporaryDirectory(prefix="demo-") as folder:
        paths = draw(taken, story_of(number).look, Path(folder))
        return [upload(assessment, shot, path) for shot, path in zip(taken, paths, strict=True)]


def claim_number(number: int) -> str:
    """The claim number of a demo assessment, by which it is known again."""
    return f"DEMO-{70412 + 13 * number}"


def story_of(number: int) -> Story:
    """Return one of the stories; one that is told again is about another vehicle of the same model."""
    story = STORIES[number % len(STORIES)]
    if number < len(STORIES):
        return story
    chance = random.Random(number)
    look = replace(
        story.look,
        registration=f"CA {chance.randint(100, 999)}-{chance.randint(100, 999)}",
        vin=f"{story.look.vin[:-6]}{chance.randint(0, 999_999):06}",
        odometer=chance.randint(4_000, 240_000),
    )
    return replace(story, look=look)


# Photos -------------------------------------------------------------------------------------------------------------


def shots(photos: int, megapixels: float, number: int) -> list[Shot]:
    """Choose what to photograph: first something in every section, then more where there is more to see."""
    long_side, short_side = (round(side * math.sqrt(megapixels / MEGAPIXELS)) for side in (LONG_SIDE, SHORT_SIDE))
    sections = list(SUBJECTS)
    ranked = sorted(
        (place / len(subjects), order, place)
        for order, subjects in enumerate(SUBJECTS.values())
        for place in range(len(subjects))
    )
    rounds = [(*ranked[index % len(ranked)][1:], index // len(ranked)) for index in range(photos)]
    taken = []
    for index, (order, place, again) in enumerate(sorted(rounds)):
        scene, caption = SUBJECTS[sections[order]][place]
        width, height = (short_side, long_side) if scene in STANDING else (long_side, short_side)
        taken.append(
            Shot(
                section=sections[order],
                scene=scene,
                caption=f"{caption} ({again + 1})" if again else caption,
                name=f"IMG_{4301 + 200 * (number % 25) + index}.jpg",
                width=width,
                height=height,
                seed=1000 * number + index,
                orientation=ORIENTATIONS[index % len(ORIENTATIONS)],
            )
        )
    return taken


def draw(taken: list[Shot], look: Look, folder: Path) -> list[Path]:
    """Draw the pictures into a folder, on all processors when there is much to draw."""
    wanted = [(shot.width, shot.height, shot.seed, shot.orientation, shot.scene, look) for shot in taken]
    paths = [folder / f"{index}.jpg" for index in range(len(taken))]
    pixels = sum(shot.width * shot.height for shot in taken)
    processors = os.cpu_count() or 1
    if pixels < WORTH_A_PROCESS * 1_000_000 or processors == 1:
        for path, shot in zip(paths, wanted, strict=True):
            path.write_bytes(picture(*shot))
        return paths
    with ProcessPoolExecutor(min(processors, len(taken)), get_context("spawn")) as pool:
        for path, drawn in zip(paths, pool.map(picture, *zip(*wanted, strict=True)), strict=True):
            path.write_bytes(drawn)
    return paths


def upload(assessment: Assessment, shot: Shot, path: Path) -> Photo:
    with path.open("rb") as file:
        arrived = UploadedFile(file, shot.name, "image/jpeg", path.stat().st_size)
        return take_in(assessment, arrived, shot.section, shot.caption, assessment.assessor)


# Everything else ----------------------------------------------------------------------------------------------------


def write(owner: User, story: Story, number: int) -> Assessment:
    """Write an assessment with one or more of everything but photos."""
    today = timezone.localdate()
    happened = today - timedelta(days=9 + 4 * (number % 20))
    given, _, family = story.insured.partition(" ")
    client, _ = Client.objects.get_or_create(
        name=story.client,
        defaults={
            "contact": "Motor claims",
            "phone": "021 555 0142",
            "email": f"claims@{story.client.split()[0].lower()}.example",
        },
    )
    assessment = Assessment.objects.create(
        assessor=owner,
        client=client,
        claim_number=claim_number(number),
        policy_number=f"MTR {4_418_200 + 37 * number}",
        instructed_on=happened + timedelta(days=2),
        excess=Decimal(7500 - 500 * (number % 9)),
        insured_name=story.insured,
        insured_phone=f"082 555 01{(number * 7 + 12) % 100:02}",
        insured_email=f"{given}.{family}@example.org".replace(" ", "").lower(),
        insured_address=f"{12 + number} Jakaranda Street\n{story.town}",
        incident_on=happened,
        incident_place=story.place,
        incident_description=story.event,
        driver_name=story.insured,
        police_reference=f"{story.town} AR {118 + number}/{happened:%m/%Y}",
        inspected_on=happened + timedelta(days=4),
        inspection_place=f"{story.repairer}, {story.town}",
        notes=(
            "The damage is on the left rear and agrees with the incident as it was described. The chassis leg is "
            "out by 6 mm and can be pulled. The right side is straight.\n"
            "The stone chips on the bonnet and the scratch on the right front door are old and not part of the claim. "
            "The left rear tyre was at 60 % of its tread, so betterment is taken on it."
        ),
    )
    write_vehicle(assessment, story, number)
    write_estimate(assessment, story, number)
    return assessment


def write_vehicle(assessment: Assessment, story: Story, number: int) -> None:
    look, today = story.look, timezone.localdate()
    Vehicle.objects.create(
        assessment=assessment,
        make=story.make,
        model=story.model,
        variant=story.variant,
        year=story.year,
        registration=look.registration,
        vin=look.vin,
        engine_number=look.engine_number,
        colour=story.colour,
        odometer=look.odometer,
        transmission=Vehicle.Transmission.AUTOMATIC if number % 3 == 0 else Vehicle.Transmission.MANUAL,
        licence_expires_on=today + timedelta(days=143),
        condition=Vehicle.Condition.GOOD,
        condition_notes="Clean and well kept. Stone chips on the bonnet, one old scratch on the right front door.",
        service_history=Vehicle.ServiceHistory.UP_TO_DATE,
        last_service_on=today - timedelta(days=96),
        last_service_odometer=look.odometer - 4_180,
        interior_condition=Vehicle.Condition.VERY_GOOD,
        interior_notes="Seat covers fitted. The trim of the left rear door is cracked by the impact.",
        srs=Vehicle.Airbags.OPERATIONAL,
        steering=Vehicle.Working.WORKING,
        brakes=Vehicle.Working.WORKING,
        handbrake=Vehicle.Working.ISSUES,
        mechanical_notes="The handbrake holds only on the last notches; it needs adjusting, which is wear.",
    )
    for position, tread, condition, notes in TYRES:
        Tyre.objects.create(
            assessment=assessment,
            position=position,
            make="Dunlop" if position != Tyre.Position.SPARE else "Bridgestone",
            size=TYRE_SIZES[look.shape],
            tread=Decimal(tread),
            condition=condition,
            notes=notes,
        )
    for kind, name, state, value in ACCESSORIES:
        Accessory.objects.create(assessment=assessment, kind=kind, name=name, condition=state, value=Decimal(value))
    for area, severity, location, description in DAMAGE:
        Damage.objects.create(
            assessment=assessment,
            area=area,
            kind=story.kind,
            severity=severity,
            location=location,
            description=description,
        )
    Valuation.objects.create(
        assessment=assessment,
        warranty=Valuation.Warranty.ACTIVE if story.year > 2020 else Valuation.Warranty.EXPIRED,
        warranty_expires_on=today + timedelta(days=365 * (story.year - 2020) - 71),
        warranty_odometer=100_000,
        source=f"Dealers' guide, {today:%B %Y}",
        valued_on=assessment.inspected_on,
        trade=Decimal(story.retail) * 82 / 100,
        market=Decimal(story.retail) * 91 / 100,
        retail=Decimal(story.retail),
        adjustment=Decimal("-2500.00"),
        adjustment_percent=Decimal("-1.50"),
        condition_amount=Decimal("4000.00"),
        extras=sum((Decimal(value) for *_, value in ACCESSORIES), Decimal(0)),
        notes="Adjusted for a little more than the usual kilometres, and for the good condition.",
    )


def write_estimate(assessment: Assessment, story: Story, number: int) -> None:
    repairer, _ = Repairer.objects.get_or_create(
        name=story.repairer,
        defaults={
            "contact": "The estimating office",
            "phone": "021 555 0177",
            "email": f"estimates@{story.repairer.split()[0].lower()}.example",
            "address": f"4 Nywerheid Street\n{story.town}",
        },
    )
    estimate = Estimate.objects.create(
        assessment=assessment,
        repairer=repairer,
        result=story.result,
        notes="Valid for 30 days. The rear lamp and the bumper are on back order for some five working days.",
    )
    # The first has all lines; the others have some of them, at prices of their own.
    chance = random.Random(number)
    chosen = LINES if number == 0 else [line for line in LINES if chance.random() < 0.7] or LINES
    level = story.prices * (Decimal(1) if number == 0 else Decimal(chance.randint(70, 130)) / 100)
    EstimateLine.objects.bulk_create(
        EstimateLine(
            estimate=estimate,
            position=position,
            process_type=process,
            part_type=part,
            description=description,
            part_price=(Decimal(price) * level).quantize(Decimal("0.01")),
            strip_hours=Decimal(strip),
            labour_hours=Decimal(labour),
            paint_panels=Decimal(panels),
            outwork=Decimal(outwork),
            betterment_part=Decimal(betterment),
        )
        for position, (process, part, description, price, strip, labour, panels, outwork, betterment) in enumerate(
            chosen, start=1
        )
    )
