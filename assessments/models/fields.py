"""The kinds of value that an assessment is full of."""

from decimal import Decimal
from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class ChoiceField(models.CharField):  # type: ignore[type-arg]
    """One of a fixed set of words; the database refuses any other, too."""

    # Django leaves the database alone when choices change; here they are in its constraint.
    non_db_attrs = tuple(name for name in models.CharField.non_db_attrs if name != "choices")

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("max_length", 24)
        super().__init__(*args, **options)

    def db_check(self, connection: BaseDatabaseWrapper) -> str:
        known = [value for value, _ in self.flatchoices] + ([""] if self.blank else [])
        words = ", ".join(f"'{value}'" for value in known)
        return f"{connection.ops.quote_name(str(self.column))} IN ({words})"


def money(label: str, **options: Any) -> "models.DecimalField[Any, Any]":
    """An amount in the estimate's currency, in cents exactly, up to 9,999,999,999.99."""
    options.setdefault("default", Decimal("0.00"))
    return models.DecimalField(
        label, max_digits=12, decimal_places=2, validators=[MinValueValidator(Decimal(0))], **options
    )


def signed_money(label: str, **options: Any) -> "models.DecimalField[Any, Any]":
    """An adjustment: an amount that may lower a value as well as raise it."""
    options.setdefault("default", Decimal("0.00"))
    return models.DecimalField(label, max_digits=12, decimal_places=2, **options)


def quantity(label: str, **options: Any) -> "models.DecimalField[Any, Any]":
    """Hours or panels, to two decimals."""
    options.setdefault("default", Decimal("0.00"))
    return models.DecimalField(
        label, max_digits=7, decimal_places=2, validators=[MinValueValidator(Decimal(0))], **options
    )


def percent(label: str, default: Decimal = Decimal("0.00"), **options: Any) -> "models.DecimalField[Any, Any]":
    """A share from 0 to 100 per cent; 0 is a rate like any other."""
    validators = [MinValueValidator(Decimal(0)), MaxValueValidator(Decimal(100))]
    return models.DecimalField(label, max_digits=5, decimal_places=2, default=default, validators=validators, **options)


def not_negative(model: str, *names: str) -> list[models.BaseConstraint]:
    """Constraints that keep the named columns at zero or above in the database too."""
    return [
        models.CheckConstraint(condition=models.Q(**{f"{name}__gte": 0}), name=f"{model}_{name}_not_negative")
        for name in names
    ]


def within_percent(model: str, *names: str) -> list[models.BaseConstraint]:
    """Constraints that keep the named columns between 0 and 100 in the database too."""
    return [
        models.CheckConstraint(
            condition=models.Q(**{f"{name}__gte": 0}) & models.Q(**{f"{name}__lte": 100}),
            name=f"{model}_{name}_percent",
        )
        for name in names
    ]
