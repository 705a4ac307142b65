"""The people of the demo, who share one password."""

import os
import secrets
from pathlib import Path

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError

from . import CONTENT


def refuse_public(confirmed: bool) -> None:
    """Raise CommandError on a site that others can reach, unless the operator has confirmed that the demo is meant."""
    if not (settings.ON_LOOPBACK or confirmed):
        names = ", ".join(settings.ALLOWED_HOSTS)
        raise CommandError(
            f"The demo makes people who can change everything, with one password, and this site is public ({names}). "
            "If you mean it, add --yes. Without the demo, a site is prepared by: manage.py prepare",
            returncode=2,
        )


def make_people() -> tuple[str, list[str]]:
    """Make the people who are not there yet; people who are there stay as they are.

    Return the demo password, and the names of the people who have it.
    """
    there = dict(User.objects.filter(username__in=CONTENT["people"]).values_list("username", "password"))
    missing = {username: facts for username, facts in CONTENT["people"].items() if username not in there}
    password = demo_password(keep=bool(missing))
    if missing:
        # Hashing is slow for good reason. All people share one password, so they may share its hash, too.
        hashed = make_password(password)
        for username, facts in missing.items():
            person = User.objects.create(username=username, password=hashed, **facts)
            if username == "staff":
                person.user_permissions.set(Permission.objects.filter(content_type__app_label="assessments"))
    shared = {each for each in set(there.values()) if check_password(password, each)}
    return password, [name for name in CONTENT["people"] if name in missing or there[name] in shared]


def demo_password(keep: bool) -> str:
    """Return $DEMO_PASSWORD, else the kept password, else a new one; ``keep`` it in the data folder, for its owner."""
    path = Path(settings.DATA_DIR) / "demo-password"
    kept = path.read_text().strip() if path.exists() else ""
    password = os.environ.get("DEMO_PASSWORD", "").strip() or kept or secrets.token_urlsafe(9)
    if keep and password != kept:
        path.touch(mode=0o600)
        path.write_text(f"{password}\n")
    return password
