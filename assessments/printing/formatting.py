"""The formats of amounts, shares, quantities, days and texts: filters in every document's template."""

import re
import unicodedata
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from itertools import batched

from django.template import Library
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import normalize_newlines

from assessments import estimating, usual
from assessments.currencies import decimals_of

register = Library()

# The no-break space between a number and its unit or currency.
KEEP = "\u00a0"
SYMBOLS = {usual.CURRENCY: "R"}
BREAK = "\u200b"
# A word of up to 2,000 letters may be an address. It stays whole: a copy of it from the PDF leads to the same place.
LONG_WORD = re.compile(r"\S{2001,}")
BLANK_LINES = re.compile(r"\n\s*\n")
# The most characters and the most lines of a paragraph; each makes about a page.
ENDLESS = 5000
MANY_LINES = 60
# The most characters of a paragraph in a narrow column.
ENDLESS_IN_COLUMN = 1000


@register.filter
def amount(value: Decimal, currency: str = "") -> str:
    """Return an amount with the decimals of a currency and without its code, or hours or panels: ``12 345.67``."""
    return estimating.digits(value, decimals_of(currency))


@register.filter
def money(value: Decimal, currency: str) -> str:
    """Return an amount with its currency, such as ``R 12 345.67`` or ``USD 12 345.67``."""
    return f"{SYMBOLS.get(currency, currency)}{KEEP}{amount(value, currency)}"


@register.filter
def negative(value: Decimal) -> Decimal:
    return -value


@register.filter
def share(value: Decimal) -> str:
    """Return a percentage without trailing zeros, such as ``15 %`` or ``12.5 %``."""
    text = amount(value).rstrip("0").rstrip(".")
    return f"{text}{KEEP}%"


@register.filter
def day(value: date) -> str:
    """Return a date, such as ``12 November 2026``."""
    return f"{value.day}{KEEP}{value:%B}{KEEP}{value.year}"


@register.filter
def breakable(text: str) -> str:
    """Return the text with places to break inside endless words.

    Without them the layout of a word takes time by the square of its length: minutes for 100,000 characters.
    """
    return LONG_WORD.sub(lambda word: BREAK.join(word[0][at : at + 40] for at in range(0, len(word[0]), 40)), text)


@register.filter
def direction(text: str) -> str:
    """Return ``rtl`` when the first letter is of a script that is written from right to left, else ``ltr``."""
    first = next((kind for kind in map(unicodedata.bidirectional, text) if kind in ("L", "R", "AL")), "L")
    return "ltr" if first == "L" else "rtl"


@register.filter
def prose(text: str) -> SafeString:
    """Return the text in paragraphs. A blank line begins a new one; a too long one is cut after a sentence or word."""
    blocks = BLANK_LINES.split(normalize_newlines(text))
    paragraphs = (piece for block in blocks for piece in _pieces(block.strip(), ENDLESS))
    return mark_safe("".join(map(_paragraph, paragraphs)))


@register.filter
def lines(text: str) -> SafeString:
    """Return the text line by line, for a narrow column, without blank lines."""
    pieces = _pieces(BLANK_LINES.sub("\n", normalize_newlines(text)).strip(), ENDLESS_IN_COLUMN)
    return mark_safe("".join(f"<div>{escape(breakable(piece))}</div>".replace("\n", "<br>") for piece in pieces))


def _paragraph(text: str) -> str:
    return f'<p dir="{direction(text)}">{escape(breakable(text))}</p>'.replace("\n", "<br>")


def _pieces(paragraph: str, endless: int) -> Iterator[str]:
    """Yield a paragraph in pieces short enough for a layout that takes time by the square of their length."""
    for some in batched(paragraph.split("\n"), MANY_LINES):
        rest = "\n".join(some)
        while len(rest) > endless:
            ends = [rest.rfind(end, 0, endless) + 1 for end in (". ", "\n", " ")]
            # An endless word is cut where its layout still takes little time.
            cut = next((end for end in ends if end > endless // 2), max(ends) + endless // 4)
            yield rest[:cut].rstrip()
            rest = rest[cut:].lstrip()
        if rest:
            yield rest


@register.filter
def colour(value: str) -> str:
    """Return a colour that is safe in a style sheet: ``#rrggbb``, or the default for any other value."""
    return value if re.fullmatch(r"#[0-9a-fA-F]{6}", value) else usual.ACCENT_COLOUR
