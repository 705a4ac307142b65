"""The estimate: the cost of the repair. The arithmetic is in estimating.py."""

from decimal import Decimal

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models

from assessments import estimating, usual
from assessments.currencies import DECIMALS

from .assessment import Assessment, Repairer
from .fields import (
    ChoiceField,
    beyond_units,
    decimals_in_words,
    money,
    not_negative,
    percent,
    quantity,
    require_units,
    within_percent,
)
from .states import Step

# The markup of a new estimate, in per cent.
MARKUP = Decimal("25.00")
RATES = (
    "labour_rate",
    "paint_rate",
    "markup_oem",
    "markup_aftermarket",
    "markup_second_hand",
    "markup_outwork",
    "sundries_percent",
    "vat_percent",
)
# The columns that the state of an assessment can freeze. In another currency, the same amounts are other figures.
FROZEN = ("currency", *RATES)
# The most rows that a message names.
NAMED = 5


class Estimate(models.Model):
    class Result(models.TextChoices):
        REPAIR = "repair", "Repair (economic)"
        CODE_2 = "code_2", "Code 2 (repairable write-off)"
        CODE_3 = "code_3", "Code 3 (non-repairable write-off)"
        TOTAL_LOSS = "total_loss", "Total loss"

    assessment = models.OneToOneField(Assessment, models.CASCADE, related_name="estimate")
    repairer = models.ForeignKey(Repairer, models.PROTECT, null=True, blank=True, related_name="estimates")
    result = ChoiceField("outcome", choices=Result, blank=True)
    currency = models.CharField(
        max_length=3,
        default=usual.CURRENCY,
        validators=[RegexValidator(r"^[A-Z]{3}$", "Write the three-letter currency code.")],
    )
    labour_rate = money("labour rate per hour", default=Decimal("500.00"))
    paint_rate = money("paint rate per panel", default=Decimal("2000.00"))
    markup_oem = percent("OEM parts markup %", MARKUP)
    markup_aftermarket = percent("ALT parts markup %", MARKUP)
    markup_second_hand = percent("2ND parts markup %", MARKUP)
    markup_outwork = percent("outwork markup %", MARKUP)
    sundries_percent = percent("sundries %", Decimal("1.00"))
    vat_percent = percent("VAT %", Decimal("15.00"))
    notes = models.TextField(blank=True)

    class Meta:
        constraints = [
            *not_negative("estimate", "labour_rate", "paint_rate"),
            *within_percent("estimate", *RATES[2:]),
        ]

    def __str__(self) -> str:
        return f"Estimate of {self.assessment}"

    def clean(self) -> None:
        """Raise ValidationError for a currency that ISO 4217 does not know, and for amounts that it cannot have.

        Also for new rates of a submitted assessment: a reprint must show the sent figures.
        """
        if self.currency not in DECIMALS:
            raise ValidationError({"currency": f"ISO 4217 has no currency {self.currency}. Write a code such as ZAR."})
        require_units(self, self.currency)
        kept = Estimate.objects.values(*FROZEN).filter(pk=self.pk).first()
        if kept is None or kept["currency"] != self.currency:
            self.require_units_of_others()
        if kept is None or not self.assessment.refusal(Step.RATES):
            return
        if any(kept[name] != getattr(self, name) for name in FROZEN):
            raise ValidationError(
                f"{self.assessment} is {self.assessment.get_status_display().lower()}, so its rates are frozen. "
                "Set it back to in progress to change them."
            )

    def require_units_of_others(self) -> None:
        """Raise ValidationError when other amounts of the assessment have more decimals than a new currency has."""
        assessment = getattr(self, "assessment", None)
        rows: list[models.Model | None] = [assessment]
        if assessment and assessment.pk:
            rows += [getattr(assessment, "valuation", None), *assessment.accessories.all()]
        if self.pk:
            rows += self.lines.all()
        wrong = [f"{row._meta.verbose_name} {row}" for row in rows if row and beyond_units(row, self.currency)]
        if wrong:
            named = ", ".join([*wrong[:NAMED], *([f"and {len(wrong) - NAMED} more"] if wrong[NAMED:] else [])])
            words = f"{decimals_in_words(self.currency)} Correct these first: {named}."
            raise ValidationError({"currency": words})


class EstimateLine(models.Model):
    class ProcessType(models.TextChoices):
        NEW = "N", "New part"
        REPAIR = "R", "Repair"
        PAINT = "P", "Paint"
        BLEND = "B", "Blend"
        ALIGN = "A", "Align"
        OUTWORK = "O", "Outwork"

    class PartType(models.TextChoices):
        OEM = "OEM", "OEM"
        AFTERMARKET = "ALT", "Aftermarket"
        SECOND_HAND = "2ND", "Second hand"

    estimate = models.ForeignKey(Estimate, models.CASCADE, related_name="lines")
    position = models.PositiveIntegerField(default=0)
    process_type = ChoiceField(choices=ProcessType)
    part_type = ChoiceField(choices=PartType, blank=True, help_text="For new parts only.")
    description = models.CharField(max_length=200)
    part_price = money("nett part price")
    strip_hours = quantity("S&A hours")
    labour_hours = quantity("labour hours")
    paint_panels = quantity("paint panels")
    outwork = money("nett outwork")
    betterment_part = percent("betterment on part %")
    betterment_strip = percent("betterment on S&A %")
    betterment_labour = percent("betterment on labour %")
    betterment_paint = percent("betterment on paint %")
    betterment_outwork = percent("betterment on outwork %")

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=(models.Q(process_type="N") & ~models.Q(part_type=""))
                | (~models.Q(process_type="N") & models.Q(part_type="")),
                name="line_part_type_for_new_parts_only",
                violation_error_message="A new part needs a part type, and only a new part has one.",
            ),
            *not_negative("line", *(amount for amount, _ in estimating.STORED.values())),
            *within_percent("line", *(betterment for _, betterment in estimating.STORED.values())),
        ]

    def __str__(self) -> str:
        return f"{self.process_type} {self.description}"

    def clean(self) -> None:
        require_units(self, self.estimate.currency)
