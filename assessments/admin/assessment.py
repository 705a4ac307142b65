"""The assessment: all its data on one page."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db import models
from django.db.models import Prefetch, Q, QuerySet
from django.forms import ModelChoiceField
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from assessments.documents import progress
from assessments.models import (
    Assessment,
    Document,
    DocumentVersion,
    Photo,
    Removal,
)
from assessments.models.search import MOST
from assessments.models.states import Step
from assessments.words import missing_photos

from .base import Editable, InCurrency, link, section
from .dates import DatedForm
from .documents import DocumentInline
from .estimate import EstimateInline
from .filters import ByName, OrNone
from .live_page import STATES, BulkActions
from .people import full_name, person
from .photos import PhotoInline
from .vehicle import AccessoryInline, DamageInline, TyreInline, ValuationInline, VehicleInline

# The rows that the page about a removal counts, each with its lookup of the assessment.
COUNTED: dict[Any, str] = {Photo: "assessment", DocumentVersion: "document__assessment"}


class AssessorField(ModelChoiceField):  # type: ignore[type-arg]
    def label_from_instance(self, obj: Any) -> str:
        return f"{full_name(obj)} ({obj.get_username()})" if obj.get_full_name() else str(obj)


class AssessmentForm(DatedForm):
    in_order = ("incident_on", "instructed_on", "inspected_on")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if assessor := self.fields.get("assessor"):
            # The one who is set stays, even after leaving the office.
            here = Q(is_active=True) | Q(pk=self.instance.assessor_id)
            assessor.queryset = assessor.queryset.filter(here)  # type: ignore[attr-defined]


class DocumentsFilter(admin.SimpleListFilter):
    title = "documents"
    parameter_name = "documents"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("failed", "Some failed"),
            ("running", "Waiting or being made"),
            ("ready", "All ready and up to date"),
            ("outdated", "Some out of date"),
            ("missing", "Some not made yet"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Assessment]) -> QuerySet[Assessment]:
        if self.value() == "ready":
            unready = set(Document.Status) - {Document.Status.SUCCESS}
            unfit = [progress.having(queryset, *unready), progress.having_outdated(queryset)]
            return queryset.exclude(pk__in=unfit[0].values("pk")).exclude(pk__in=unfit[1].values("pk"))
        if self.value() == "outdated":
            return progress.having_outdated(queryset)
        return progress.having(queryset, *STATES[state]) if (state := self.value()) in STATES else queryset


@admin.register(Assessment)
class AssessmentAdmin(InCurrency, BulkActions, Editable):
    form = AssessmentForm
    list_display = [
        "number",
        "vehicle_in_words",
        "client",
        "claim_number",
        person("assessor"),
        "status",
        "documents_in_words",
    ]
    list_select_related = ["client", "assessor", "vehicle"]
    list_filter = [
        "status",
        DocumentsFilter,
        # A hierarchy of dates would read all assessments, to find their years.
        "created_at",
        ("client", OrNone),
        ("assessor", ByName),
    ]
    list_per_page = 50
    # Two counts for each page are one too many.
    show_full_result_count = False
    # Shows the field of the search, and finds what AssessmentQuerySet.search finds.
    search_fields = ["number"]
    search_help_text = "Number, report, claim, policy, insured, registration, VIN, make, model, client or assessor"
    autocomplete_fields = ["client"]
    readonly_fields = ["number", "report_number", "created_at", "documents_in_words", "upload"]
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
        """Let only administrators remove an assessment: its documents may have been sent.

        An assessment made by mistake is set to cancelled.
        """
        return bool(request.user.is_superuser)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Count what a removal takes along: everything that belongs to the assessments, whoever may edit it."""
        chosen = [assessment.pk for assessment in objs]
        counts = {
            model._meta.verbose_name_plural: model._default_manager.filter(**{f"{path}__in": chosen}).count()
            for model, path in COUNTED.items()
        }
        return list(map(str, objs)), {"assessments": len(chosen), **counts}, set(), []

    def delete_model(self, request: HttpRequest, obj: Assessment) -> None:
        Removal.begin(obj, by=request.user, origin="admin")  # type: ignore[arg-type]

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Assessment]) -> None:
        for assessment in queryset:
            self.delete_model(request, assessment)

    def whole(self, row: Any) -> list[models.Model]:
        return [row, row.estimate] if hasattr(row, "estimate") else [row]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Assessment]:
        return super().get_queryset(request).prefetch_related(Prefetch("documents", Document.objects.for_list()))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        rows: Any = queryset
        found, more = rows.search(search_term)
        # The form of an estimate searches, too, and shows no messages.
        if more and request.method == "GET" and request.path == reverse("admin:assessments_assessment_changelist"):
            told = f"Very many assessments have all of this. Here are the first {MOST}. Add a word, or choose a filter."
            self.message_user(request, told, messages.WARNING)
        return found, False

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"assessor": request.user.pk, **super().get_changeform_initial_data(request)}

    def formfield_for_foreignkey(
        self, db_field: models.ForeignKey[Any, Any], request: HttpRequest, **options: Any
    ) -> "ModelChoiceField[Any] | None":
        if db_field.name == "assessor":
            # A plain list: the autocomplete would need a permission on users, which the office may not have.
            options |= {"queryset": User.objects.order_by("first_name", "username"), "form_class": AssessorField}
        return super().formfield_for_foreignkey(db_field, request, **options)

    @admin.display(description="vehicle", ordering="vehicle__make")
    def vehicle_in_words(self, assessment: Assessment) -> str:
        vehicle = getattr(assessment, "vehicle", None)
        return " ".join(filter(None, [str(vehicle), vehicle.registration])) if vehicle else "-"

    @admin.display(description="documents")
    def documents_in_words(self, assessment: Assessment) -> SafeString | str:
        if not assessment.pk:
            return "-"
        documents = list(assessment.documents.all())
        found = [document.status for document in documents]
        states = [status for status in reversed(Document.Status) if status in found]
        words = ", ".join(f"{found.count(status)} {status.label.lower()}" for status in states)
        if missing := sum(document.missing for document in documents):
            words += f", {missing_photos(missing)}"
        if outdated := sum(document.outdated for document in documents):
            words += f", {outdated} out of date"
        return link(reverse("assessments:detail", args=[assessment.number]), words)

    @admin.display(description="photos")
    def upload(self, assessment: Assessment) -> SafeString | str:
        if not assessment.pk:
            return "Save the assessment first; then it can be given photos."
        if why := assessment.refusal(Step.PHOTOS):
            return why
        return link(reverse("assessments:detail", args=[assessment.number]) + "#photos", "Upload photos")
