"""The damaged vehicle: what it is, what state it is in, what it is worth."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from .assessment import Assessment
from .fields import ChoiceField, money, not_negative, quantity, signed_money


class Vehicle(models.Model):
    class Condition(models.TextChoices):
        EXCELLENT = "excellent", "Excellent"
        VERY_GOOD = "very_good", "Very good"
        GOOD = "good", "Good"
        FAIR = "fair", "Fair"
        POOR = "poor", "Poor"
        VERY_POOR = "very_poor", "Very poor"

    class Transmission(models.TextChoices):
        AUTOMATIC = "automatic", "Automatic"
        MANUAL = "manual", "Manual"

    class Airbags(models.TextChoices):
        OPERATIONAL = "operational", "Operational"
        WARNING_LIGHT = "warning_light", "Warning light"
        NOT_WORKING = "not_working", "Not working"
        DEPLOYED = "deployed", "Deployed"

    class Working(models.TextChoices):
        WORKING = "working", "Working"
        NOT_WORKING = "not_working", "Not working"
        ISSUES = "issues", "Issues"
        WARNING_LIGHT = "warning_light", "Warning light"
        NOT_APPLICABLE = "not_applicable", "Not applicable"

    class ServiceHistory(models.TextChoices):
        CHECKED = "checked", "Checked"
        NOT_CHECKED = "not_checked", "Not checked"
        INCOMPLETE = "incomplete", "Incomplete"
        UP_TO_DATE = "up_to_date", "Up to date"
        OVERDUE = "overdue", "Overdue"
        UNKNOWN = "unknown", "Unknown"

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
    transmission = ChoiceField(choices=Transmission, blank=True)
    licence_expires_on = models.DateField("licence expiry date", null=True, blank=True)

    condition = ChoiceField(choices=Condition, blank=True)
    condition_notes = models.TextField(blank=True)
    service_history = ChoiceField(choices=ServiceHistory, default=ServiceHistory.UNKNOWN)
    last_service_on = models.DateField("last service date", null=True, blank=True)
    last_service_odometer = models.PositiveIntegerField("odometer at last service (km)", null=True, blank=True)

    interior_condition = ChoiceField(choices=Condition, blank=True)
    interior_notes = models.TextField(blank=True)
    srs = ChoiceField("SRS (airbags)", choices=Airbags, blank=True)
    steering = ChoiceField(choices=Working, blank=True)
    brakes = ChoiceField(choices=Working, blank=True)
    handbrake = ChoiceField(choices=Working, blank=True)
    mechanical_notes = models.TextField(blank=True)

    def __str__(self) -> str:
        return " ".join(str(part) for part in (self.year, self.make, self.model, self.variant) if part)


class Tyre(models.Model):
    class Position(models.TextChoices):
        RIGHT_FRONT = "right_front", "Right front"
        RIGHT_REAR = "right_rear", "Right rear"
        LEFT_REAR = "left_rear", "Left rear"
        LEFT_FRONT = "left_front", "Left front"
        SPARE = "spare", "Spare"

    class Condition(models.TextChoices):
        EXCELLENT = "excellent", "Excellent"
        GOOD = "good", "Good"
        FAIR = "fair", "Fair"
        POOR = "poor", "Poor"
        REPLACE = "replace", "Replace"

    assessment = models.ForeignKey(Assessment, models.CASCADE, related_name="tyres")
    position = ChoiceField(choices=Position)
    make = models.CharField(max_length=60, blank=True)
    size = models.CharField(max_length=30, blank=True, help_text="As on the wall, such as 205/55 R16 91V.")
    tread = quantity("tread depth (mm)", null=True, blank=True)
    condition = ChoiceField(choices=Condition, blank=True)
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
    class Kind(models.TextChoices):
        MAGS = "mags", "Mags"
        SPOTLIGHTS = "spotlights", "Spotlights"
        PARK_SENSORS = "park_sensors", "Park sensors"
        TOW_BAR = "tow_bar", "Tow bar"
        BULL_BAR = "bull_bar", "Bull bar"
        ROOF_RACK = "roof_rack", "Roof rack"
        SIDE_STEPS = "side_steps", "Side steps"
        CANOPY = "canopy", "Canopy"
        TONNEAU_COVER = "tonneau_cover", "Tonneau cover"
        NUDGE_BAR = "nudge_bar", "Nudge bar"
        WINCH = "winch", "Winch"
        SNORKEL = "snorkel", "Snorkel"
        CUSTOM = "custom", "Custom"

    class Condition(models.TextChoices):
        EXCELLENT = "excellent", "Excellent"
        GOOD = "good", "Good"
        FAIR = "fair", "Fair"
        POOR = "poor", "Poor"
        DAMAGED = "damaged", "Damaged"

    assessment = models.ForeignKey(Assessment, models.CASCADE, related_name="accessories")
    kind = ChoiceField(choices=Kind)
    name = models.CharField(max_length=80, blank=True, help_text="What it is, when the kind is custom.")
    condition = ChoiceField(choices=Condition, blank=True)
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


class Damage(models.Model):
    class Area(models.TextChoices):
        STRUCTURAL = "structural", "Structural"
        NON_STRUCTURAL = "non_structural", "Non-structural"

    class Kind(models.TextChoices):
        COLLISION = "collision", "Collision"
        FIRE = "fire", "Fire"
        HAIL = "hail", "Hail"
        THEFT = "theft", "Theft"
        VANDALISM = "vandalism", "Vandalism"
        WEATHER = "weather", "Weather"
        MECHANICAL = "mechanical", "Mechanical"
        OTHER = "other", "Other"

    class Severity(models.TextChoices):
        MINOR = "minor", "Minor"
        MODERATE = "moderate", "Moderate"
        SEVERE = "severe", "Severe"
        TOTAL_LOSS = "total_loss", "Total loss"

    assessment = models.ForeignKey(Assessment, models.CASCADE, related_name="damage")
    area = ChoiceField(choices=Area)
    kind = ChoiceField("type", choices=Kind)
    severity = ChoiceField(choices=Severity)
    location = models.CharField(max_length=120, blank=True)
    description = models.TextField(blank=True)

    class Meta:
        ordering = ["pk"]
        verbose_name_plural = "damage"

    def __str__(self) -> str:
        return f"{self.get_severity_display()} {self.get_kind_display().lower()} damage"


class Valuation(models.Model):
    """Warranty and values. The adjustments hold for all three values; see estimating.value()."""

    class Warranty(models.TextChoices):
        ACTIVE = "active", "Active"
        EXPIRED = "expired", "Expired"
        VOID = "void", "Void"
        TRANSFERRED = "transferred", "Transferred"
        UNKNOWN = "unknown", "Unknown"

    assessment = models.OneToOneField(Assessment, models.CASCADE, related_name="valuation")
    warranty = ChoiceField(choices=Warranty, default=Warranty.UNKNOWN)
    warranty_expires_on = models.DateField("warranty expiry date", null=True, blank=True)
    warranty_odometer = models.PositiveIntegerField("warranty limit (km)", null=True, blank=True)
    source = models.CharField(max_length=120, blank=True, help_text="The published guide the base values are from.")
    valued_on = models.DateField("valuation date", null=True, blank=True)
    trade = money("base trade value")
    market = money("base market value")
    retail = money("base retail value")
    adjustment = signed_money("fixed adjustment")
    adjustment_percent = models.DecimalField("adjustment %", max_digits=5, decimal_places=2, default=0)
    condition_amount = signed_money("condition adjustment")
    extras = money("extras")
    notes = models.TextField(blank=True)

    class Meta:
        constraints = [
            *not_negative("valuation", "trade", "market", "retail", "extras"),
        ]

    def __str__(self) -> str:
        return f"Values of {self.assessment}"
