"""The words of the Documents panel: times, sizes and people as colleagues say them."""

from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from assessments.models import Document, DocumentVersion
from assessments.models.document import CANCELLED
from assessments.words import counted, missing_photos, ordinal


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


def outdated_words(document: Document, version: DocumentVersion) -> str:
    """Return which data changed after a file was made, and how long after; empty when no data changed."""
    if not document.outdated_by or document.outdated_at is None:
        return ""
    return f"{document.outdated_by} changed {elapsed_words(document.outdated_at - version.made_at)} after this was made"


def failed_words(document: Document) -> str:
    """Return when a document failed, and whether data was saved since, which may have ended the cause."""
    saved, assessment = "", document.assessment
    if assessment.facts_revision > document.revision:
        saved = "The assessment was changed since: retry"
    if "photos" in document.entry.prints and assessment.photos_revision > document.revision:
        saved = "Photos were added or removed since: retry"
    if was_set_aside(document):
        return saved or cancelled_words(document)
    when = f"Failed at {timezone.localtime(document.ended_at):%H:%M:%S}" if document.ended_at else ""
    return ". ".join(filter(None, [when, saved]))


def cancelled_words(document: Document) -> str:
    """Return that the last request was cancelled, so that the document is as it was before; empty otherwise."""
    if not was_set_aside(document) or document.message != CANCELLED or document.ended_at is None:
        return ""
    return f"Cancelled at {timezone.localtime(document.ended_at):%H:%M}, so this is from before"


def missing_words(photos: int) -> str:
    return f", {missing_photos(photos)}" if photos else ""


def was_set_aside(document: Document) -> bool:
    """Return whether the last request was cancelled: what the document shows is from an older request, or nothing."""
    return document.batch_id is None
