"""The people of the demo, who share one password."""

import os
import secrets
from pathlib import Path

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Permission, User

from . import CONTENT


def make_people() -> str:
    password, is_new = demo_password()
    hashed = ""
    for username, facts in CONTENT["people"].items():
        person, made = User.objects.get_or_create(username=username, defaults={**facts, "password": "!"})
        if made or is_new:
            # Hashing is slow for good reason. All people share one password, so they may share its hash, too.
            person.password = hashed = hashed or make_password(password)
            person.save(update_fields=["password"])
    staff = User.objects.get(username="staff")
    staff.user_permissions.add(*Permission.objects.filter(content_type__app_label="assessments").exclude(user=staff))
    return password


def demo_password() -> tuple[str, bool]:
    """Return the demo password, and whether it has changed since the last time.

    The password is $DEMO_PASSWORD, else the kept one, else a new one. The data folder keeps it, for its owner's eyes.
    """
    path = Path(settings.DATA_DIR) / "demo-password"
    kept = path.read_text().strip() if path.exists() else ""
    password = os.environ.get("DEMO_PASSWORD", "").strip() or kept or secrets.token_urlsafe(9)
    if password == kept:
        return password, False
    path.touch(mode=0o600)
    path.write_text(f"{password}\n")
    return password, True
