"""The estimate, with its lines."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from assessments.documents import snapshot
from assessments.documents.kinds import ESTIMATE
from assessments.models import (
    Estimate,
    EstimateLine,
    Office,
)
from assessments.models.states import Step
from assessments.printing import facts
from assessments.printing.contract import DocumentError
from assessments.printing.formatting import money

from .base import Editable, InCurrency, InOrderFormSet, Stacked, Tabular, change_page, link
from .filters import OrNone


class EstimateInline(InCurrency, Stacked):
    """The rates of the estimate. Its lines are many and have many columns, so they have a page of their own."""

    model = Estimate
    can_delete = False
    autocomplete_fields = ["repairer"]
    readonly_fields = ["lines"]
    fields = [
        "lines",
        ("repairer", "result", "currency"),
        ("labour_rate", "paint_rate"),
        ("markup_oem", "markup_aftermarket", "markup_second_hand", "markup_outwork"),
        ("sundries_percent", "vat_percent"),
        "notes",
    ]

    def lines(self, estimate: Estimate) -> SafeString | str:
        if estimate.pk:
            return link(change_page(estimate), f"{estimate.lines.count()} lines: open them to edit them")
        if estimate.assessment_id:
            address = reverse("admin:assessments_estimate_add", query={"assessment": estimate.assessment_id})
            return link(address, "Add the estimate with its lines")
        return "Save the assessment first; then its estimate can be given lines."


class EstimateLineInline(InCurrency, Tabular):
    model = EstimateLine
    formset = InOrderFormSet
    extra = 0


@admin.register(Estimate)
class EstimateAdmin(InCurrency, Editable):
    list_display = ["assessment", "repairer", "result"]
    list_select_related = ["assessment", "repairer"]
    list_filter = ["result", ("repairer", OrNone)]
    search_fields = ["assessment__number", "assessment__claim_number", "repairer__name", "lines__description"]
    autocomplete_fields = ["assessment", "repairer"]
    save_on_top = True
    inlines = [EstimateLineInline]

    fields = ["assessment", "total", *EstimateInline.fields[1:]]

    def owner(self, row: Estimate) -> models.Model:
        return row.assessment

    def whole(self, row: Any) -> list[models.Model]:
        return [row, row.assessment]

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        """Let no saved estimate change its assessment: the numbers of both may have been sent."""
        return ["total", "assessment"] if obj else ["total"]

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Forbid the deletion while the state of the assessment freezes the rates of the estimate."""
        frozen = isinstance(obj, Estimate) and bool(obj.assessment.refusal(Step.RATES))
        return not frozen and super().has_delete_permission(request, obj)

    @admin.display(description="total, VAT included")
    def total(self, estimate: Estimate) -> str:
        if not estimate.pk:
            return "-"
        try:
            content = snapshot.of(estimate.assessment, ESTIMATE, Office.current())
            cost = facts.cost_of(content)
        except DocumentError as error:
            return str(error)
        if cost is None:
            return "-"
        total, payable = (money(figure, estimate.currency) for figure in (cost.total, cost.net_payable))
        against = facts.gauge(content, cost)
        words = f"{against['band'].words}. {against['contradiction']}" if against["contradiction"] else ""
        return f"{total}; net payable {payable}. {words}".removesuffix(". ")
