"""Words that a person reads once, on the next page of one assessment, such as the outcome of an upload.

Django's messages would appear on whichever page comes next, and their cookie has no room for the names of many photos.
"""

from django.http import HttpRequest

# The place in the session.
NOTES = "notes"

# The level, "success", "info" or "error", and the words.
type Note = tuple[str, str]


def leave(request: HttpRequest, number: str, notes: list[Note]) -> None:
    """Keep notes for the page of an assessment. A long request may have read its session minutes ago."""
    fresh = type(request.session)(request.session.session_key)
    kept = fresh.get(NOTES, {})
    fresh[NOTES] = kept | {number: [*kept.get(number, []), *notes]}
    fresh.save()


def take(request: HttpRequest, number: str) -> list[Note]:
    """Return the notes for the page of an assessment, and forget them."""
    kept = request.session.get(NOTES, {})
    if number not in kept:
        return []
    notes: list[Note] = kept.pop(number)
    request.session[NOTES] = kept
    return notes
