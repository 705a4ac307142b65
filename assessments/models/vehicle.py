"""The damaged vehicle: its description, its condition and its value."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from .assessment import Assessment
from .fields import MONEY_DIGITS, ChoiceField, choices, figure, money, not_negative, quantity, require_units
from .search import search_column


class Vehicle(models.Model):
    CONDITION = choices("Excellent", "Very good", "Good", "Fair", "Poor", "Very poor")
    WORKING = choices("Working", "Not working", "Issues", "Warning light", "Not applicable")
    SERVICE_HISTORY = choices("Checked", "Not checked", "Incomplete", "Up to date", "Overdue", "Unknown")

    assessment = models.OneToOneField(Assessment, models.CASCADE, related_name="vehicle")
    make = models.CharField(max_length=60)
    model = models.CharField(max_length=60)
    variant = models.CharField(max_length=80, blank=True)
    year = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1900), MaxValueValidator(2100)]
    )
    registration = models.CharField(max_length=20, blank=True)
    vin = models.CharField("VIN", max_length=20, blank=True)
    engine_number = models.CharField(max_length=40, blank=True)
    colour = models.CharField(max_length=40, blank=True)
    odometer = models.PositiveIntegerField("odometer (km)", null=True, blank=True)
    transmission = ChoiceField(choices=choices("Automatic", "Manual"), blank=True)
    licence_expires_on = models.DateField("licence expiry date", null=True, blank=True)

    condition = ChoiceField(choices=CONDITION, blank=True)
    condition_notes = models.TextField(blank=True)
    service_history = ChoiceField(choices=SERVICE_HISTORY, default="unknown")
    last_service_on = models.DateField("last service date", null=True, blank=True)
    last_service_odometer = models.PositiveIntegerField("odometer at last service (km)", null=True, blank=True)

    interior_condition = ChoiceField(choices=CONDITION, blank=True)
    interior_notes = models.TextField(blank=True)
    srs = ChoiceField(
        "SRS (airbags)", choices=choices("Operational", "Warning light", "Not working", "Deployed"), blank=True
    )
    steering = ChoiceField(choices=WORKING, blank=True)
    brakes = ChoiceField(choices=WORKING, blank=True)
    handbrake = ChoiceField(choices=WORKING, blank=True)
    mechanical_notes = models.TextField(blank=True)
    searched = search_column("registration", "vin", "engine_number", "make", "model", "variant")

    def __str__(self) -> str:
        return " ".join(str(part) for part in (self.year, self.make, self.model, self.variant) if part)


class Tyre(models.Model):
    class Position(models.TextChoices):
        RIGHT_FRONT = "right_front", "Right front"
        RIGHT_REAR = "right_rear", "Right rear"
        LEFT_REAR = "left_rear", "Left rear"
        LEFT_FRONT = "left_front", "Left front"
        SPARE = "spare", "Spare"

    assessment = models.ForeignKey(Assessment, models.CASCADE, related_name="tyres")
    position = ChoiceField(choices=Position)
    make = models.CharField(max_length=60, blank=True)
    size = models.CharField(max_length=30, blank=True, help_text="As on the wall, such as 205/55 R16 91V.")
    tread = quantity("tread depth (mm)", null=True, blank=True)
    condition = ChoiceField(choices=choices("Excellent", "Good", "Fair", "Poor", "Replace"), blank=True)
    notes = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["assessment", "position"], name="tyre_position_once"),
            *not_negative("tyre", "tread"),
        ]

    def __str__(self) -> str:
        return self.get_position_display()


class Accessory(models.Model):
    KIND = choices(
        "Mags",
        "Spotlights",
        "Park sensors",
        "Tow bar",
        "Bull bar",
        "Roof rack",
        "Side steps",
        "Canopy",
        "Tonneau cover",
        "Nudge bar",
        "Winch",
        "Snorkel",
        "Custom",
    )

    assessment = models.ForeignKey(Assessment, models.CASCADE, related_name="accessories")
    kind = ChoiceField(choices=KIND)
    name = models.CharField(max_length=80, blank=True, help_text="What it is, when the kind is custom.")
    condition = ChoiceField(choices=choices("Excellent", "Good", "Fair", "Poor", "Damaged"), blank=True)
    value = money("value")

    class Meta:
        ordering = ["pk"]
        verbose_name_plural = "accessories"
        constraints = [
            *not_negative("accessory", "value"),
            models.CheckConstraint(
                condition=~models.Q(kind="custom") | ~models.Q(name=""),
                name="accessory_custom_has_name",
                violation_error_message="A custom accessory needs a name.",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.get_kind_display()

    def clean(self) -> None:
        require_units(self, self.assessment.currency)


class Damage(models.Model):
    AREA = choices("Structural", "Non-structural")
    KIND = choices("Collision", "Fire", "Hail", "Theft", "Vandalism", "Weather", "Mechanical", "Other")

    assessment = models.ForeignKey(Assessment, models.CASCADE, related_name="damage")
    area = ChoiceField(choices=AREA)
    kind = ChoiceField("type", choices=KIND)
    severity = ChoiceField(choices=choices("Minor", "Moderate", "Severe", "Total loss"))
    location = models.CharField(max_length=120, blank=True)
    description = models.TextField(blank=True)

    class Meta:
        ordering = ["pk"]
        verbose_name_plural = "damage"

    def __str__(self) -> str:
        return f"{self.get_severity_display()} {self.get_kind_display().lower()} damage"


class Valuation(models.Model):
    """Warranty and values. The adjustments apply to all three values; see estimating.values()."""

    assessment = models.OneToOneField(Assessment, models.CASCADE, related_name="valuation")
    warranty = ChoiceField(choices=choices("Active", "Expired", "Void", "Transferred", "Unknown"), default="unknown")
    warranty_expires_on = models.DateField("warranty expiry date", null=True, blank=True)
    warranty_odometer = models.PositiveIntegerField("warranty limit (km)", null=True, blank=True)
    source = models.CharField(max_length=120, blank=True, help_text="The published guide the base values are from.")
    valued_on = models.DateField("valuation date", null=True, blank=True)
    trade = money("base trade value")
    market = money("base market value")
    retail = money("base retail value")
    adjustment = figure("fixed adjustment", MONEY_DIGITS)
    adjustment_percent = models.DecimalField("adjustment %", max_digits=5, decimal_places=2, default=0)
    condition_amount = figure("condition adjustment", MONEY_DIGITS)
    extras = money("extras")
    notes = models.TextField(blank=True)

    class Meta:
        constraints = [
            *not_negative("valuation", "trade", "market", "retail", "extras"),
        ]

    def __str__(self) -> str:
        return f"Values of {self.assessment}"

    def clean(self) -> None:
        require_units(self, self.assessment.currency)
