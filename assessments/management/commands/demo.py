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

from assessments.models import Assessment, Office
from assessments.operations.demo import CONTENT
from assessments.operations.demo.content import claim_number, look_at_photos, make_assessment

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
        Office.objects.get_or_create(pk=1, defaults=CONTENT["office"])
        for number in range(assessments):
            if Assessment.objects.filter(claim_number=claim_number(number)).exists():
                continue
            owner = User.objects.get(username="assessor2" if number % 4 == OTHER_ASSESSOR else "assessor")
            made = make_assessment(owner, 0 if number == WITHOUT_PHOTOS else photos, megapixels, number)
            self.stdout.write(f"{made}: {made.vehicle}, {made.photos.count()} photos, of {owner}")
        look_at_photos()
        self.stdout.write(f"{settings.SITE_URL}/  users {', '.join(CONTENT['people'])}  password {password}")


def make_people() -> str:
    password, is_new = demo_password()
    hashed = ""
    for username, facts in CONTENT["people"].items():
        person, made = User.objects.get_or_create(username=username, defaults={**facts, "password": "!"})
        if made or is_new:
            # Hashing is slow for good reason; the password is everybody's, so its hash may be too.
            person.password = hashed = hashed or make_password(password)
            person.save(update_fields=["password"])
    staff = User.objects.get(username="staff")
    staff.user_permissions.add(*Permission.objects.filter(content_type__app_label="assessments").exclude(user=staff))
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
