"""How the documents write amounts, shares, quantities and days; filters in every document's template."""

import re
import unicodedata
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from django.template import Library
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import normalize_newlines

register = Library()

# Groups of digits keep together and stay narrow; a sign or a unit keeps to its number.
GROUP = "\u202f"
KEEP = "\u00a0"
MINUS = "\u2212"
SYMBOLS = {"ZAR": "R"}
BREAK = "\u200b"
LONG_WORD = re.compile(r"\S{80,}")
BLANK_LINES = re.compile(r"\n\s*\n")
# Characters of a paragraph; about a page.
ENDLESS = 5000
DEFAULT_ACCENT = "#1f5f8b"


@register.filter
def amount(value: Decimal) -> str:
    """An amount without its currency, such as ``12 345.67``."""
    digits = f"{abs(value):,.2f}".replace(",", GROUP)
    return f"{MINUS}{digits}" if value < 0 else digits


@register.filter
def money(value: Decimal, currency: str) -> str:
    """An amount with its currency, such as ``R 12 345.67`` or ``USD 12 345.67``."""
    return f"{SYMBOLS.get(currency, currency)}{KEEP}{amount(value)}"


@register.filter
def negative(value: Decimal) -> Decimal:
    return -value


@register.filter
def share(value: Decimal) -> str:
    """A percentage without idle zeros, such as ``15 %`` or ``12.5 %``."""
    text = f"{value:.2f}".rstrip("0").rstrip(".").replace("-", MINUS)
    return f"{text}{KEEP}%"


@register.filter
def quantity(value: Decimal) -> str:
    """Hours or panels, such as ``2.50``."""
    return f"{value:,.2f}".replace(",", GROUP)


@register.filter
def whole(value: int) -> str:
    """A whole number, such as ``123 456``."""
    return f"{value:,}".replace(",", GROUP)


@register.filter
def day(value: date) -> str:
    """A date, such as ``12 November 2026``."""
    return f"{value.day}{KEEP}{value:%B}{KEEP}{value.year}"


@register.filter
def breakable(text: str) -> str:
    """The text with places to break inside words that no line could hold.

    Without them the layout of a long word takes time by the square of its length: minutes for 100,000 characters.
    """
    return LONG_WORD.sub(lambda word: BREAK.join(word[0][at : at + 40] for at in range(0, len(word[0]), 40)), text)


@register.filter
def direction(text: str) -> str:
    """``rtl`` when the first letter is of a script that is written from right to left, else ``ltr``."""
    first = next((kind for kind in map(unicodedata.bidirectional, text) if kind in ("L", "R", "AL")), "L")
    return "ltr" if first == "L" else "rtl"


@register.filter
def prose(text: str) -> SafeString:
    """The text in paragraphs: a blank line begins one, and so does a sentence or word when one gets endless."""
    paragraphs = (piece for block in BLANK_LINES.split(normalize_newlines(text)) for piece in _pieces(block.strip()))
    return mark_safe("".join(map(_paragraph, paragraphs)))


def _paragraph(text: str) -> str:
    return f'<p dir="{direction(text)}">{escape(breakable(text))}</p>'.replace("\n", "<br>")


def _pieces(paragraph: str) -> Iterator[str]:
    """Yield a paragraph in pieces short enough for a layout that takes time by the square of their length."""
    while len(paragraph) > ENDLESS:
        ends = [paragraph.rfind(end, 0, ENDLESS) + 1 for end in (". ", "\n", " ")]
        cut = next((end for end in ends if end > ENDLESS // 2), ENDLESS)
        yield paragraph[:cut].rstrip()
        paragraph = paragraph[cut:].lstrip()
    yield paragraph


@register.filter
def colour(value: str) -> str:
    """A colour that may stand in a style sheet: ``#rrggbb``, or the default when it is anything else."""
    return value if re.fullmatch(r"#[0-9a-fA-F]{6}", value) else DEFAULT_ACCENT
