"""Words that a person reads once, in one part of one assessment's page, such as the outcome of an upload.

Django's messages would appear on whichever page comes next, and their cookie has no room for the names of many photos.
"""

from django.http import HttpRequest

# The place in the session.
NOTES = "told"
# The parts of the page, by their ids.
DOCUMENTS, PHOTOS = "documents", "photos"

# The level, "success", "info" or "error", and the words.
type Note = tuple[str, str]


def leave(request: HttpRequest, number: str, part: str, notes: list[Note]) -> None:
    """Keep notes for a part of an assessment's page. A long request may have read its session minutes ago."""
    fresh = type(request.session)(request.session.session_key)
    kept = fresh.get(NOTES, {})
    parts = kept.get(number, {})
    fresh[NOTES] = kept | {number: parts | {part: [*parts.get(part, []), *notes]}}
    fresh.save()


def take(request: HttpRequest, number: str) -> dict[str, list[Note]]:
    """Return the notes for the page of an assessment, by its parts, and forget them."""
    kept = request.session.get(NOTES, {})
    if number not in kept:
        return {}
    parts: dict[str, list[Note]] = kept.pop(number)
    request.session[NOTES] = kept
    return parts
