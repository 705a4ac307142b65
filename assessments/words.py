"""Numbers as people say them."""

from django.contrib.humanize.templatetags import humanize

ORDINALS = ("First", "Second", "Third", "Fourth", "Fifth", "Sixth", "Seventh", "Eighth", "Ninth", "Tenth")


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, such as "1 photo" and "3 photos"."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def missing_photos(number: int) -> str:
    """Return how many photos a document leaves out, such as "3 photos missing"; empty for none."""
    return f"{counted(number, 'photo')} missing" if number else ""


def ready(made: int, documents: int, failed: int = 0, active: int = 0, outdated: int = 0, missing: int = 0) -> str:
    """Return the progress of documents, such as "3 of 4 documents ready, 1 out of date, 1 failed"."""
    words = [f"{made} of {documents} documents ready"]
    if missing:
        words.append(missing_photos(missing))
    if outdated:
        words.append(f"{outdated} out of date")
    if failed:
        words.append(f"{failed} failed")
    if active:
        words.append(f"{active} waiting or being made")
    return ", ".join(words)


def ordinal(place: int) -> str:
    """Return a place, from 1 on, as a word such as "Second"; in figures above ten."""
    return ORDINALS[place - 1] if place <= len(ORDINALS) else str(humanize.ordinal(place))
