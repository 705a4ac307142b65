"""How the documents write amounts, shares, quantities and days; filters in every document's template."""

import re
from datetime import date
from decimal import Decimal

from django.template import Library

register = Library()

# Groups of digits keep together and stay narrow; a sign or a unit keeps to its number.
GROUP = "\u202f"
KEEP = "\u00a0"
MINUS = "\u2212"
SYMBOLS = {"ZAR": "R"}
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
def colour(value: str) -> str:
    """A colour that may stand in a style sheet: ``#rrggbb``, or the default when it is anything else."""
    return value if re.fullmatch(r"#[0-9a-fA-F]{6}", value) else DEFAULT_ACCENT
