"""The assessment: all its data on one page."""

from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db import models
from django.db.models import QuerySet
from django.forms import ModelChoiceField
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from assessments.documents import progress
from assessments.models import (
    Assessment,
    Document,
)

from .base import SHORT, Editable, link, section
from .dates import AssessmentForm
from .documents import DocumentInline
from .estimate import EstimateInline
from .live_page import STATES, BulkActions
from .photos import PhotoInline
from .vehicle import AccessoryInline, DamageInline, TyreInline, ValuationInline, VehicleInline


class DocumentsFilter(admin.SimpleListFilter):
    title = "documents"
    parameter_name = "documents"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("failed", "Some failed"),
            ("running", "Waiting or being made"),
            ("ready", "All ready"),
            ("missing", "Some not made yet"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Assessment]) -> QuerySet[Assessment]:
        if self.value() == "ready":
            unready = set(Document.Status) - {Document.Status.SUCCESS}
            return queryset.exclude(pk__in=progress.having(queryset, *unready).values("pk"))
        return progress.having(queryset, *STATES[state]) if (state := self.value()) in STATES else queryset


@admin.register(Assessment)
class AssessmentAdmin(BulkActions, Editable):
    form = AssessmentForm
    list_display = ["number", "vehicle_in_words", "client", "claim_number", "assessor", "status", "documents_in_words"]
    list_select_related = ["client", "assessor", "vehicle"]
    list_filter = [
        "status",
        DocumentsFilter,
        ("client", admin.RelatedOnlyFieldListFilter),
        ("assessor", admin.RelatedOnlyFieldListFilter),
    ]
    list_per_page = 50
    date_hierarchy = "created_at"
    search_fields = [
        "number",
        "report_number",
        "claim_number",
        "policy_number",
        "insured_name",
        "vehicle__registration",
        "vehicle__vin",
        "vehicle__make",
        "vehicle__model",
        "client__name",
    ]
    search_help_text = "Number, claim, policy, insured, registration, VIN, make, model or client"
    autocomplete_fields = ["client"]
    readonly_fields = ["number", "report_number", "created_at", "documents_in_words", "upload"]
    formfield_overrides = SHORT
    actions = ["generate_documents", "retry_failed", "cancel_documents"]
    save_on_top = True
    fieldsets = [
        section(
            None,
            ("number", "report_number", "created_at", "documents_in_words", "upload"),
            ("assessor", "client", "status"),
            "notes",
        ),
        section("Claim", ("claim_number", "policy_number"), ("instructed_on", "excess")),
        section("Insured", ("insured_name", "insured_phone", "insured_email"), "insured_address"),
        section(
            "Incident",
            ("incident_on", "incident_place"),
            ("driver_name", "police_reference"),
            "incident_description",
        ),
        section("Inspection", ("inspected_on", "inspection_place")),
    ]
    inlines = [
        VehicleInline,
        TyreInline,
        AccessoryInline,
        DamageInline,
        ValuationInline,
        EstimateInline,
        PhotoInline,
        DocumentInline,
    ]

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Return False: the documents may have been sent. An assessment made by mistake is set to cancelled."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Assessment]:
        return super().get_queryset(request).prefetch_related("documents")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"assessor": request.user.pk, **super().get_changeform_initial_data(request)}

    def formfield_for_foreignkey(
        self, db_field: models.ForeignKey[Any, Any], request: HttpRequest, **options: Any
    ) -> "ModelChoiceField[Any] | None":
        if db_field.name == "assessor":
            # A plain list: the autocomplete would need a permission on users, which the office may not have.
            options["queryset"] = get_user_model().objects.order_by("username")
        return super().formfield_for_foreignkey(db_field, request, **options)

    @admin.display(description="vehicle", ordering="vehicle__make")
    def vehicle_in_words(self, assessment: Assessment) -> str:
        vehicle = getattr(assessment, "vehicle", None)
        return " ".join(filter(None, [str(vehicle), vehicle.registration])) if vehicle else "-"

    @admin.display(description="documents")
    def documents_in_words(self, assessment: Assessment) -> SafeString | str:
        if not assessment.pk:
            return "-"
        found = [document.status for document in assessment.documents.all()]
        states = [status for status in reversed(Document.Status) if status in found]
        words = ", ".join(f"{found.count(status)} {status.label.lower()}" for status in states)
        return link(reverse("assessments:detail", args=[assessment.number]), words)

    @admin.display(description="photos")
    def upload(self, assessment: Assessment) -> SafeString | str:
        if not assessment.pk:
            return "Save the assessment first; then it can be given photos."
        return link(reverse("assessments:detail", args=[assessment.number]) + "#photos", "Upload photos")
