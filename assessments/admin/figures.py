"""Figures in the admin: typed as offices write them, and refused when they could mean two things."""

import re
from typing import Any

from django.core.exceptions import ValidationError
from django.forms import DecimalField, TextInput

_SPACES = re.compile(r"[\s'\u2019]+")
_PLAIN = re.compile(r"-?(\d+([.,]\d*)?|[.,]\d+)", re.ASCII)
# Thousands with points and decimals with a comma, or the other way round.
_GROUPED = re.compile(r"-?\d{1,3}(,\d{3})+\.\d*|-?\d{1,3}(\.\d{3})+,\d*|-?\d{1,3}([.,])\d{3}(\3\d{3})+", re.ASCII)
_AMBIGUOUS = re.compile(r"-?[1-9]\d{0,2},\d{3}", re.ASCII)


class FigureField(DecimalField):
    """Takes 8000.50, 8000,50, 8 000,50, 8'000.50, 8,000.50 and 8.000,50."""

    # A browser's field for numbers drops a comma without a word: 8000,50 would become 800050.
    widget = TextInput(attrs={"inputmode": "decimal", "class": "figure"})

    def to_python(self, value: Any) -> Any:
        return super().to_python(read(value) if isinstance(value, str) else value)


def read(typed: str) -> str:
    """Return a typed figure with a point before its decimals, and with nothing else. Raises ValidationError."""
    figure = _SPACES.sub("", typed)
    if _AMBIGUOUS.fullmatch(figure):
        whole = figure.replace(",", "")
        raise ValidationError(f"“{typed}” can mean {whole} or {figure.replace(',', '.')}. Enter one of these two.")
    if _GROUPED.fullmatch(figure):
        marks = re.sub(r"[-\d]", "", figure)
        whole, _, decimals = figure.rpartition(marks[-1]) if len(set(marks)) == 2 else (figure, "", "")
        return f"{re.sub('[.,]', '', whole)}.{decimals}"
    if figure and not _PLAIN.fullmatch(figure):
        raise ValidationError(f"“{typed}” is no number. Enter a number like 8000.50 or 8 000,50.")
    return figure.replace(",", ".")
