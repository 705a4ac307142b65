"""Fills an empty site with people and assessments to look at."""

import os
import secrets
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Permission, User
from django.core.management.base import BaseCommand

from assessments import photos
from assessments.demo.content import claim_number, make_assessment
from assessments.models import Assessment, Office, Photo

# Everybody of the demo, and what sets each apart.
PEOPLE: dict[str, dict[str, Any]] = {
    "assessor": {"first_name": "Naledi", "last_name": "Nkosi"},
    "assessor2": {"first_name": "Johan", "last_name": "Fourie"},
    "staff": {"first_name": "Fatima", "last_name": "Adams", "is_staff": True},
    "admin": {"first_name": "Site", "last_name": "Administrator", "is_staff": True, "is_superuser": True},
}
# Counted from 0: the assessment that is the other assessor's, of each four, and the one without photos.
OTHER_ASSESSOR, WITHOUT_PHOTOS = 1, 2


def at_least(lowest: int) -> Any:
    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < lowest:
            raise ArgumentTypeError(f"{text!r} is not a whole number from {lowest} on")
        return int(text)

    return number


class Command(BaseCommand):
    help = "Makes demo users and assessments with photos; what is there already is left as it is."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--assessments", type=at_least(0), default=3, help="How many there shall be (default 3).")
        parser.add_argument("--photos", type=at_least(0), default=12, help="Photos of each that is made (default 12).")
        parser.add_argument("--megapixels", type=at_least(1), default=12, help="Size of these photos (default 12).")

    def handle(self, *, assessments: int, photos: int, megapixels: int, **options: Any) -> None:
        password = make_people()
        make_office()
        for number in missing(assessments):
            owner = User.objects.get(username="assessor2" if number % 4 == OTHER_ASSESSOR else "assessor")
            made = make_assessment(owner, 0 if number == WITHOUT_PHOTOS else photos, megapixels, number)
            self.stdout.write(f"{made}: {made.vehicle}, {made.photos.count()} photos, of {owner}")
        look_at_photos()
        self.stdout.write(f"{settings.SITE_URL}/  users {', '.join(PEOPLE)}  password {password}")


def make_people() -> str:
    """See to it that the people exist and have the demo password; return it."""
    password, is_new = demo_password()
    hashed = ""
    permissions = Permission.objects.filter(content_type__app_label="assessments")
    for username, facts in PEOPLE.items():
        person, made = User.objects.get_or_create(
            username=username, defaults={**facts, "email": f"{username}@example.org", "password": "!"}
        )
        if made or is_new:
            # Hashing is slow for good reason; the password is everybody's, so its hash may be too.
            person.password = hashed = hashed or make_password(password)
            person.save(update_fields=["password"])
    staff = User.objects.get(username="staff")
    staff.user_permissions.add(*permissions.exclude(user=staff))
    return password


def demo_password() -> tuple[str, bool]:
    """Return the demo password, and whether it is another one than the last time.

    It is $DEMO_PASSWORD, else the one that was made first; either is kept, for its owner's eyes, in the data folder.
    """
    path = Path(settings.DATA_DIR) / "demo-password"
    kept = path.read_text().strip() if path.exists() else ""
    password = os.environ.get("DEMO_PASSWORD", "").strip() or kept or secrets.token_urlsafe(9)
    if password == kept:
        return password, False
    path.touch(mode=0o600)
    path.write_text(f"{password}\n")
    return password, True


def make_office() -> None:
    Office.objects.get_or_create(
        pk=1,
        defaults={
            "name": "Breede Valley Vehicle Assessors",
            "registration": "Reg. 2014/118204/07 \u00b7 VAT 4 810 266 117",
            "address": "18 Durban Street\nWorcester, 6850",
            "phone": "023 555 0118",
            "email": "office@breedevalley.example",
        },
    )


def missing(count: int) -> list[int]:
    """Return the numbers, from 0 on, of the demo assessments that are not there."""
    claims = {claim_number(number): number for number in range(count)}
    there = set(Assessment.objects.filter(claim_number__startswith="DEMO-").values_list("claim_number", flat=True))
    return [number for claim, number in claims.items() if claim not in there]


def look_at_photos() -> None:
    demo = Photo.objects.filter(assessment__claim_number__startswith="DEMO-")
    while photo := demo.claim():
        photos.look_at(photo)
