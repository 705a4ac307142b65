"""The vehicle and its tyres, accessories, damage and values."""

from assessments.models import (
    Accessory,
    Damage,
    Tyre,
    Valuation,
    Vehicle,
)

from .base import InCurrency, Stacked, Tabular, section
from .dates import ValuationForm, VehicleForm


class VehicleInline(Stacked):
    model = Vehicle
    form = VehicleForm
    fieldsets = [
        section(
            None,
            ("make", "model", "variant"),
            ("year", "colour", "transmission"),
            ("registration", "licence_expires_on"),
            ("vin", "engine_number", "odometer"),
        ),
        section(
            "Condition and service history",
            "condition",
            "condition_notes",
            ("service_history", "last_service_on", "last_service_odometer"),
        ),
        section(
            "Interior and mechanical",
            "interior_condition",
            "interior_notes",
            ("srs", "steering", "brakes", "handbrake"),
            "mechanical_notes",
        ),
    ]


class ValuationInline(InCurrency, Stacked):
    model = Valuation
    form = ValuationForm
    verbose_name = "warranty and values"
    fields = [
        ("warranty", "warranty_expires_on", "warranty_odometer"),
        ("source", "valued_on"),
        ("trade", "market", "retail"),
        ("adjustment", "adjustment_percent", "condition_amount", "extras"),
        "notes",
    ]


class TyreInline(Tabular):
    model = Tyre
    extra = 0
    max_num = len(Tyre.Position)


class AccessoryInline(InCurrency, Tabular):
    model = Accessory
    extra = 0


class DamageInline(Stacked):
    model = Damage
    extra = 0
    fields = [("area", "kind", "severity", "location"), "description"]
