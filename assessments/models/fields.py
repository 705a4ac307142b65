"""The fields that many models use: choices, amounts, quantities and percentages."""

import re
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import BaseValidator, MaxValueValidator, MinValueValidator
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from assessments.currencies import decimals_of
from assessments.estimating import rounded
from assessments.words import counted

NOT_NEGATIVE = MinValueValidator(Decimal(0))
# The digits of an amount of money; no other number has as many.
MONEY_DIGITS = 12


class ChoiceField(models.CharField):  # type: ignore[type-arg]
    """One of a fixed set of words. The database refuses any other word, too."""

    # Django does not alter the database when choices change. Here the choices are in a constraint of the database.
    non_db_attrs = tuple(name for name in models.CharField.non_db_attrs if name != "choices")

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("max_length", 24)
        super().__init__(*args, **options)

    def db_check(self, connection: BaseDatabaseWrapper) -> str:
        known = [value for value, _ in self.flatchoices] + ([""] if self.blank else [])
        words = ", ".join(f"'{value}'" for value in known)
        return f"{connection.ops.quote_name(str(self.column))} IN ({words})"


class Generated(models.GeneratedField):
    """A column that the database itself keeps, from other columns of the row."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"db_persist": True, "editable": False, **options})

    def _check_supported(self, databases: Any) -> list[Any]:
        """Ask nothing: Django asks PostgreSQL for its version, and without a database no command would start."""
        return []

    def deconstruct(self) -> Any:
        name, _, arguments, options = super().deconstruct()
        return name, "django.db.models.GeneratedField", arguments, options


def differs(one: str, other: str) -> Generated:
    """Return the column that says whether two columns differ: the database knows how rare that is."""
    differ = models.ExpressionWrapper(~models.Q(**{one: models.F(other)}), output_field=models.BooleanField())
    return Generated(expression=differ, output_field=models.BooleanField())


def choices(*labels: str) -> list[tuple[str, str]]:
    """Return choices with these labels. The stored value is the label in small letters, such as ``very_good``."""
    return [(re.sub(r"\W", "_", label.lower()), label) for label in labels]


def figure(label: str, digits: int, *limits: BaseValidator, **options: Any) -> "models.DecimalField[Any, Any]":
    options.setdefault("default", Decimal("0.00"))
    return models.DecimalField(label, max_digits=digits, decimal_places=2, validators=list(limits), **options)


def money(label: str, **options: Any) -> "models.DecimalField[Any, Any]":
    """Return a field for an amount in the estimate's currency, exact to the cent, up to 9,999,999,999.99."""
    return figure(label, MONEY_DIGITS, NOT_NEGATIVE, **options)


def is_money(field: object) -> bool:
    return isinstance(field, models.DecimalField) and field.max_digits == MONEY_DIGITS


def beyond_units(row: models.Model, currency: str) -> list[str]:
    """Return the names of the amounts of a row that have more decimals than the currency has."""
    decimals = decimals_of(currency)
    amounts = {field.name: getattr(row, field.name) for field in row._meta.concrete_fields if is_money(field)}
    return [name for name, found in amounts.items() if found is not None and rounded(found, decimals) != found]


def require_units(row: models.Model, currency: str) -> None:
    """Raise ValidationError for amounts with more decimals than the currency has: paper would show other amounts."""
    if wrong := beyond_units(row, currency):
        raise ValidationError(dict.fromkeys(wrong, decimals_in_words(currency)))


def decimals_in_words(currency: str) -> str:
    decimals = decimals_of(currency)
    return f"Amounts in {currency} have {counted(decimals, 'decimal') if decimals else 'no decimals'}."


def quantity(label: str, **options: Any) -> "models.DecimalField[Any, Any]":
    """Return a field for hours or panels, to two decimals."""
    return figure(label, 7, NOT_NEGATIVE, **options)


def percent(label: str, default: Decimal = Decimal("0.00")) -> "models.DecimalField[Any, Any]":
    """Return a field for a share from 0 to 100 per cent. 0 is a rate, and does not mean "not known"."""
    return figure(label, 5, NOT_NEGATIVE, MaxValueValidator(Decimal(100)), default=default)


def not_negative(model: str, *names: str) -> list[models.BaseConstraint]:
    """Return constraints that keep the named columns at zero or above in the database too."""
    return [
        models.CheckConstraint(condition=models.Q(**{f"{name}__gte": 0}), name=f"{model}_{name}_not_negative")
        for name in names
    ]


def within_percent(model: str, *names: str) -> list[models.BaseConstraint]:
    """Return constraints that keep the named columns between 0 and 100 in the database too."""
    return [
        models.CheckConstraint(
            condition=models.Q(**{f"{name}__gte": 0}) & models.Q(**{f"{name}__lte": 100}),
            name=f"{model}_{name}_percent",
        )
        for name in names
    ]
