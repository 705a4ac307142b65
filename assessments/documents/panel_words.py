"""The words of the Documents panel: times, sizes and people as colleagues say them."""

from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from assessments.models import DocumentVersion
from assessments.words import counted, ordinal


def place_words(place: int) -> str:
    return "Next" if place == 1 else f"{ordinal(place)} in line"


def made_words(version: DocumentVersion, contents: str, now: datetime) -> str:
    """Return the content and the origin of a file: "7 pages, 1.2 MB, made at 14:02 by P. Nkosi in 3.1 s"."""
    made_at = timezone.localtime(version.made_at)
    today = made_at.date() == timezone.localdate(now)
    when = f"at {made_at:%H:%M}" if today else f"on {day_words(made_at, now)} at {made_at:%H:%M}"
    by = f" by {person_words(version.made_by)}" if version.made_by else ""
    size = filesizeformat(version.size)
    return ", ".join(filter(None, [contents, size, f"made {when}{by} in {seconds_words(version.seconds)}"]))


def about(seconds: float) -> str:
    if seconds < 20:
        return f"about {max(1, round(seconds))} s left"
    if seconds < 90:
        return f"about {5 * round(seconds / 5)} s left"
    return f"about {round(seconds / 60)} min left"


def seconds_words(seconds: float) -> str:
    if seconds < 0.05:
        return "less than 0.1 s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def elapsed_words(elapsed: timedelta) -> str:
    seconds = max(1, round(elapsed.total_seconds()))
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        if seconds >= length:
            return counted(seconds // length, unit)
    raise AssertionError(elapsed)


def day_words(moment: datetime, now: datetime) -> str:
    """Return a day, such as "12 Nov", with the year unless it is the present year."""
    local = timezone.localtime(moment)
    year = "" if local.year == timezone.localdate(now).year else f" {local.year}"
    return f"{local.day} {local:%b}{year}"


def person_words(user: User) -> str:
    """Return the name of a user as colleagues write it: "P. Nkosi", or else the name for the sign-in."""
    if user.first_name and user.last_name:
        return f"{user.first_name[0]}. {user.last_name}"
    return user.last_name or user.first_name or user.get_username()
