"""Whole demo assessments: every kind of data, and photos that are taken in like uploads."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils import timezone

from assessments import models
from assessments.models.lease import database_now
from assessments.photos import intake as photos

from . import CONTENT, STORIES, Story
from .people import make_people
from .pictures import picture, stands

# The sides of a 12-megapixel phone's photo, in px.
MEGAPIXELS, LONG_SIDE, SHORT_SIDE = 12, 4032, 3024
# The EXIF orientation of each photo, in turn.
ORIENTATIONS = (1, 6, 1, 3, 8, 1)
# Counted from 0: in each four, the assessment of the other assessor; in all, the assessment without photos.
OTHER_ASSESSOR, WITHOUT_PHOTOS = 1, 2


def fill(count: int, photo_count: int, megapixels: float, say: Callable[[str], object]) -> None:
    """Make the missing people and assessments of the demo, and look at their photos."""
    password, people = make_people()
    models.Office.objects.get_or_create(pk=1, defaults=CONTENT["office"])
    for number in range(count):
        if models.Assessment.objects.filter(claim_number=claim_number(number)).exists():
            continue
        owner = User.objects.get(username="assessor2" if number % 4 == OTHER_ASSESSOR else "assessor")
        made = make_assessment(owner, 0 if number == WITHOUT_PHOTOS else photo_count, megapixels, number)
        say(f"{made}: {made.vehicle}, {made.photos.count()} photos, of {owner}")
    look_at_photos()
    if others := [name for name in CONTENT["people"] if name not in people]:
        say(f"There before, with passwords of their own, and left as they are: {', '.join(others)}")
    say(f"{settings.SITE_URL}/" + (f"  users {', '.join(people)}  password {password}" if people else ""))


def make_assessment(owner: User, count: int = 12, megapixels: float = MEGAPIXELS, number: int = 0) -> models.Assessment:
    """Make a whole assessment whose photos are still new. ``number`` chooses vehicle, people and damage."""
    story = STORIES[number % len(STORIES)]
    with TemporaryDirectory(prefix="demo-") as folder:
        shots = take_photos(Path(folder), story, count, megapixels, number)
        # The transaction begins only now: the database does not wait for the pictures.
        with transaction.atomic():
            assessment = write(owner, story, number)
            for section, caption, path in shots:
                with path.open("rb") as file:
                    arrived = UploadedFile(file, path.name, "image/jpeg", path.stat().st_size)
                    photos.take_in(assessment, arrived, section, caption, owner)
    return assessment


def claim_number(number: int) -> str:
    return f"DEMO-{70412 + 13 * number}"


# Photos -------------------------------------------------------------------------------------------------------------


def take_photos(folder: Path, story: Story, count: int, megapixels: float, number: int) -> list[tuple[str, str, Path]]:
    """Take photos of a story's vehicle, into a folder; return section, caption and file of each."""
    long_side, short_side = (round(side * (megapixels / MEGAPIXELS) ** 0.5) for side in (LONG_SIDE, SHORT_SIDE))

    def take(index: int, subject: tuple[str, str, str]) -> tuple[str, str, Path]:
        section, scene, caption = subject
        path = folder / f"IMG_{4301 + 200 * (number % 25) + index}.jpg"
        size = (short_side, long_side) if stands(scene) else (long_side, short_side)
        orientation = ORIENTATIONS[index % len(ORIENTATIONS)]
        path.write_bytes(picture(*size, 1000 * number + index, orientation, scene, story))
        return section, caption, path

    # Pillow works on several processors at once.
    with ThreadPoolExecutor() as pool:
        return list(pool.map(take, range(count), subjects(count)))


def subjects(count: int) -> list[tuple[str, str, str]]:
    """Choose what to photograph: section, scene and caption of each photo, section by section."""
    known = CONTENT["photos"]["subjects"]
    chosen = []
    for index, (section, scene, caption) in zip(range(count), cycle(known), strict=False):
        again = index // len(known)
        chosen.append((section, scene, f"{caption} ({again + 1})" if again else caption))
    return sorted(chosen, key=lambda subject: models.Photo.Section.values.index(subject[0]))


def look_at_photos() -> None:
    demo = models.Photo.objects.filter(assessment__claim_number__startswith="DEMO-")
    while photo := demo.claim():
        photos.look_at(photo)


# Everything else ----------------------------------------------------------------------------------------------------


def filled(table: dict[str, Any], day: date, **words: Any) -> dict[str, Any]:
    """Return a table of ``content.toml`` with words filled into its texts, and with dates counted from ``day``."""

    def fill(name: str, value: Any) -> Any:
        if isinstance(value, str):
            return value.format(**words)
        return day + timedelta(days=value) if name.endswith("_on") else value

    return {name: fill(name, value) for name, value in table.items()}


def write(owner: User, story: Story, number: int) -> models.Assessment:
    today = timezone.localdate(database_now())
    happened = today - timedelta(days=9 + 4 * (number % 20))
    client, _ = models.Client.objects.get_or_create(name=story["client"], defaults=CONTENT["clients"][story["client"]])
    facts = filled(CONTENT["assessment"], happened, number=number + 12, happened=happened, **story)
    assessment = models.Assessment.objects.create(
        assessor=owner, client=client, claim_number=claim_number(number), **facts, **story["assessment"]
    )

    def add(model: Any, table: dict[str, Any], **others: Any) -> Any:
        return model.objects.create(assessment=assessment, **filled(table, today, today=today), **others)

    vehicle, tyre_size = story["vehicle"], CONTENT["tyre_sizes"][story["shape"]]
    add(models.Vehicle, CONTENT["vehicle"] | vehicle, last_service_odometer=vehicle["odometer"] - 4_180)
    for tyre in CONTENT["tyres"]:
        add(models.Tyre, tyre, size=tyre_size)
    for accessory in CONTENT["accessories"]:
        add(models.Accessory, accessory)
    for damage in CONTENT["damage"]:
        add(models.Damage, damage, kind=story.get("kind", "collision"))
    add(models.Valuation, CONTENT["valuation"] | story["valuation"], valued_on=assessment.inspected_on)
    name = story["repairer"]
    repairer, _ = models.Repairer.objects.get_or_create(name=name, defaults=CONTENT["repairers"][name])
    write_lines(add(models.Estimate, CONTENT["estimate"] | story.get("estimate", {}), repairer=repairer), story, number)
    return assessment


def write_lines(estimate: models.Estimate, story: Story, number: int) -> None:
    """Add lines to an estimate: all lines to the first, some lines at prices of their own to the others."""
    chance, rows = random.Random(number), CONTENT["lines"]["rows"]
    chosen = rows if number == 0 else [row for row in rows if chance.random() < 0.7] or rows
    level = story.get("prices", 1) * (Decimal(1) if number == 0 else Decimal(chance.randint(70, 130)) / 100)
    for position, row in enumerate(chosen, start=1):
        line = dict(zip(CONTENT["lines"]["columns"], row, strict=True))
        line["part_price"] = (line["part_price"] * level).quantize(Decimal("0.01"))
        models.EstimateLine.objects.create(estimate=estimate, position=position, **line)
