"""The office's side: all data of an assessment on one page, and documents asked for by the hundred."""

import re
from collections.abc import Iterable
from functools import partial
from itertools import groupby
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.widgets import AdminTextareaWidget
from django.contrib.auth import get_user_model
from django.core.exceptions import BadRequest, PermissionDenied
from django.core.paginator import Paginator
from django.db import IntegrityError, models, transaction
from django.db.models import Count, QuerySet
from django.forms import BaseInlineFormSet, ModelChoiceField, ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django_htmx.http import HttpResponseClientRefresh

from . import panel, progress, snapshot, tasks
from .documents.kinds import ESTIMATE, KINDS
from .generators import facts
from .generators.contract import DocumentError
from .generators.filters import money
from .models import (
    Accessory,
    Assessment,
    Attempt,
    AuditEntry,
    Batch,
    Client,
    Counter,
    Damage,
    Document,
    DocumentVersion,
    Estimate,
    EstimateLine,
    Heartbeat,
    Office,
    Photo,
    Repairer,
    Tyre,
    Valuation,
    Vehicle,
)

admin.site.site_header = admin.site.site_title = "Vehicle damage assessments"

# Notes are short more often than long; the corner of the field enlarges it.
SHORT: dict[type[models.Field[Any, Any]], dict[str, Any]] = {
    models.TextField: {"widget": AdminTextareaWidget(attrs={"rows": 3})}
}
# The primary key of a row, as a form sends it.
ROW_KEY = re.compile(r"[0-9]{1,18}")
# Names in a message before it only counts the rest.
NAMED = 5
# Assessments on one page of the live page, and what its filters show.
PAGE = 50
SHOWN: dict[str, tuple[str, ...]] = {"all": (), "failed": (Document.Status.ERROR,), "running": Document.ACTIVE}


def link(address: str, words: object) -> SafeString:
    return format_html('<a href="{}">{}</a>', address, words)


def change_page(instance: models.Model) -> str:
    return reverse(f"admin:{instance._meta.label_lower.replace('.', '_')}_change", args=[instance.pk])


class Editable(admin.ModelAdmin):  # type: ignore[type-arg]
    def changeform_view(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        """The form; where the database refuses what the form had found good, two people saved at once."""
        try:
            return super().changeform_view(request, *args, **options)
        except IntegrityError:
            self.message_user(
                request,
                "Nothing was saved, because somebody else changed this at the same moment. "
                "This is how it is now: please make your changes again.",
                messages.ERROR,
            )
            return redirect(request.get_full_path())

    def response_action(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse | None:
        """Django looks for whatever is said to be selected, which only our own boxes say right."""
        if not all(map(ROW_KEY.fullmatch, request.POST.getlist(ACTION_CHECKBOX_NAME))):
            raise BadRequest("The selection names what is no row.")
        return super().response_action(request, *args, **options)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """What would go, too. Where something is protected no permission would help, so the page had better name it."""
        gone, counts, permissions_lacking, protected = super().get_deleted_objects(objs, request)
        return gone, counts, set() if protected else permissions_lacking, protected


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """What the application writes itself: to be looked at, never added, changed or deleted by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


# The parts of an assessment -------------------------------------------------------------------------------------------


class VehicleInline(admin.StackedInline):  # type: ignore[type-arg]
    model = Vehicle
    formfield_overrides = SHORT
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("make", "model", "variant"),
                    ("year", "colour", "transmission"),
                    ("registration", "licence_expires_on"),
                    ("vin", "engine_number", "odometer"),
                ]
            },
        ),
        (
            "Condition and service history",
            {
                "fields": [
                    "condition",
                    "condition_notes",
                    ("service_history", "last_service_on", "last_service_odometer"),
                ]
            },
        ),
        (
            "Interior and mechanical",
            {
                "fields": [
                    "interior_condition",
                    "interior_notes",
                    ("srs", "steering", "brakes", "handbrake"),
                    "mechanical_notes",
                ]
            },
        ),
    ]


class ValuationInline(admin.StackedInline):  # type: ignore[type-arg]
    model = Valuation
    formfield_overrides = SHORT
    verbose_name = "warranty and values"
    fields = [
        ("warranty", "warranty_expires_on", "warranty_odometer"),
        ("source", "valued_on"),
        ("trade", "market", "retail"),
        ("adjustment", "adjustment_percent", "condition_amount", "extras"),
        "notes",
    ]


class EstimateInline(admin.StackedInline):  # type: ignore[type-arg]
    """The rates. The lines have a page of their own, as they are many and have many columns."""

    model = Estimate
    formfield_overrides = SHORT
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

    def get_queryset(self, request: HttpRequest) -> QuerySet[Estimate]:
        estimates: QuerySet[Estimate] = super().get_queryset(request)
        return estimates.select_related("assessment").annotate(line_count=Count("lines"))

    def lines(self, estimate: Estimate) -> SafeString | str:
        if estimate.pk:
            return link(change_page(estimate), f"{getattr(estimate, 'line_count', 0)} lines: open them to edit them")
        if estimate.assessment_id:
            address = reverse("admin:assessments_estimate_add", query={"assessment": estimate.assessment_id})
            return link(address, "Add the estimate with its lines")
        return "Save the assessment first; then its estimate can be given lines."


class TyreInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Tyre
    extra = 0
    max_num = len(Tyre.Position)


class AccessoryInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Accessory
    extra = 0


class DamageInline(admin.StackedInline):  # type: ignore[type-arg]
    model = Damage
    formfield_overrides = SHORT
    extra = 0
    fields = [("area", "kind", "severity", "location"), "description"]


class PhotoFormSet(BaseInlineFormSet):  # type: ignore[type-arg]
    def delete_existing(self, obj: Photo, commit: bool = True) -> None:
        super().delete_existing(obj, commit=commit)
        for file in (obj.original, obj.print_image, obj.thumbnail):
            if file:
                # The row is gone by then, whatever becomes of the file.
                transaction.on_commit(partial(file.storage.delete, str(file.name)), robust=True)


class PhotoInline(admin.TabularInline):  # type: ignore[type-arg]
    """The photos there are; new ones are uploaded on the assessment's own page."""

    model = Photo
    formset = PhotoFormSet
    fields = ["picture", "section", "position", "caption", "facts"]
    readonly_fields = ["picture", "facts"]

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Photo]:
        return super().get_queryset(request).select_related("assessment")

    def picture(self, photo: Photo) -> SafeString | str:
        if not photo.thumbnail:
            return photo.get_state_display()
        address = reverse("assessments:thumbnail", args=[photo.assessment.number, photo.pk])
        return format_html('<img src="{}" alt="" loading="lazy" height="64">', address)

    @admin.display(description="file name")
    def facts(self, photo: Photo) -> str:
        pixels = f"{photo.width} x {photo.height} px" if photo.width else ""
        return ", ".join(filter(None, [photo.name, pixels, filesizeformat(photo.size), photo.problem]))


class DocumentInline(admin.TabularInline):  # type: ignore[type-arg]
    """The documents as they are now; to ask for them, see the progress page."""

    model = Document
    fields = ["status_in_words", "file", "error"]
    readonly_fields = ["status_in_words", "file", "error"]
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Document]:
        return super().get_queryset(request).select_related("assessment", "current")

    @admin.display(description="status")
    def status_in_words(self, document: Document) -> str:
        return document.get_status_display()

    @admin.display(description="newest file")
    def file(self, document: Document) -> SafeString | str:
        return download(document, document.current) if document.current else "-"


def download(document: Document, version: DocumentVersion) -> SafeString:
    address = reverse(
        "assessments:file",
        args=[document.assessment.number, document.kind],
        query={"version": version.number, "download": 1},
    )
    return link(address, f"Version {version.number}")


# Assessments ----------------------------------------------------------------------------------------------------------


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
        match self.value():
            case "failed":
                return progress.having(queryset, Document.Status.ERROR)
            case "running":
                return progress.having(queryset, *Document.ACTIVE)
            case "missing":
                return progress.having(queryset, Document.Status.IDLE)
            case "ready":
                unready = set(Document.Status) - {Document.Status.SUCCESS}
                return queryset.exclude(pk__in=progress.having(queryset, *unready).values("pk"))
        return queryset


@admin.register(Assessment)
class AssessmentAdmin(Editable):
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
        (
            None,
            {
                "fields": [
                    ("number", "report_number", "created_at", "documents_in_words", "upload"),
                    ("assessor", "client", "status"),
                    "notes",
                ]
            },
        ),
        ("Claim", {"fields": [("claim_number", "policy_number"), ("instructed_on", "excess")]}),
        ("Insured", {"fields": [("insured_name", "insured_phone", "insured_email"), "insured_address"]}),
        (
            "Incident",
            {
                "fields": [
                    ("incident_on", "incident_place"),
                    ("driver_name", "police_reference"),
                    "incident_description",
                ]
            },
        ),
        ("Inspection", {"fields": [("inspected_on", "inspection_place")]}),
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
        """Nobody deletes one here: its documents may have been sent. One made by mistake is set to cancelled."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Assessment]:
        return super().get_queryset(request).prefetch_related("documents")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"assessor": request.user.pk, **super().get_changeform_initial_data(request)}

    def formfield_for_foreignkey(
        self, db_field: models.ForeignKey[Any, Any], request: HttpRequest, **options: Any
    ) -> "ModelChoiceField[Any] | None":
        if db_field.name == "assessor":
            # A plain list: the autocomplete would ask for a permission on users, which the office need not have.
            options["queryset"] = get_user_model().objects.order_by("username")
        return super().formfield_for_foreignkey(db_field, request, **options)

    def save_model(self, request: HttpRequest, obj: Assessment, form: "ModelForm[Assessment]", change: bool) -> None:
        # Without a change there is nothing to save, and its documents stay up to date.
        if form.has_changed() or not change:
            super().save_model(request, obj, form, change)

    @admin.display(description="vehicle", ordering="vehicle__make")
    def vehicle_in_words(self, assessment: Assessment) -> str:
        vehicle = getattr(assessment, "vehicle", None)
        return " ".join(filter(None, [str(vehicle), vehicle.registration])) if vehicle else "-"

    @admin.display(description="documents")
    def documents_in_words(self, assessment: Assessment) -> SafeString | str:
        if not assessment.pk:
            return "-"
        states = sorted(assessment.documents.all(), key=lambda document: list(Document.Status).index(document.status))
        counted = [(status, len(list(group))) for status, group in groupby(states, Document.get_status_display)]
        words = ", ".join(f"{number} {status.lower()}" for status, number in reversed(counted))
        return link(live_page([assessment.pk]), words)

    @admin.display(description="photos")
    def upload(self, assessment: Assessment) -> SafeString | str:
        if not assessment.pk:
            return "Save the assessment first; then it can be given photos."
        return link(reverse("assessments:detail", args=[assessment.number]) + "#photos", "Upload photos")

    # Documents by the hundred.

    @admin.action(description="Generate the documents of selected %(verbose_name_plural)s", permissions=["change"])
    def generate_documents(self, request: HttpRequest, queryset: QuerySet[Assessment]) -> HttpResponse:
        self.generate(request, queryset)
        return self.follow(queryset)

    @admin.action(description="Retry the failed documents of selected %(verbose_name_plural)s", permissions=["change"])
    def retry_failed(self, request: HttpRequest, queryset: QuerySet[Assessment]) -> HttpResponse:
        self.retry(request, queryset)
        return self.follow(queryset)

    @admin.action(description="Cancel the documents of selected %(verbose_name_plural)s", permissions=["change"])
    def cancel_documents(self, request: HttpRequest, queryset: QuerySet[Assessment]) -> HttpResponse:
        self.cancel(request, queryset)
        return self.follow(queryset)

    def generate(self, request: HttpRequest, chosen: QuerySet[Assessment]) -> None:
        assessments = list(by_number(chosen))
        running = list(progress.having(by_number(chosen), *Document.ACTIVE))
        begun = tasks.request_many(assessments, by=request.user, origin="admin")  # type: ignore[arg-type]
        self.tell(request, messages.SUCCESS, "Documents asked for: {}.", len(begun))
        self.tell(request, messages.INFO, "Some were being made already, which this joined: {}.", running)

    def retry(self, request: HttpRequest, chosen: QuerySet[Assessment]) -> None:
        assessments = list(by_number(chosen))
        retried = tasks.retry_many(assessments, by=request.user, origin="admin")  # type: ignore[arg-type]
        skipped = without(assessments, retried)
        self.tell(request, messages.SUCCESS, "Failed documents asked for again: {}.", retried)
        self.tell(request, messages.WARNING, "Skipped, because no document failed: {}.", skipped)

    def cancel(self, request: HttpRequest, chosen: QuerySet[Assessment]) -> None:
        assessments = list(by_number(chosen))
        cancelled = tasks.cancel_many(assessments, by=request.user, origin="admin")  # type: ignore[arg-type]
        skipped = without(assessments, cancelled)
        self.tell(request, messages.SUCCESS, "Documents cancelled: {}.", cancelled)
        self.tell(request, messages.WARNING, "Skipped, because nothing was waiting or being made: {}.", skipped)

    def tell(self, request: HttpRequest, level: int, words: str, about: int | list[Assessment]) -> None:
        """Say of how many assessments something is true, and of which when they are known; nothing when of none."""
        number, names = (about, "") if isinstance(about, int) else (len(about), named(about))
        if number:
            assessments = self.opts.verbose_name if number == 1 else self.opts.verbose_name_plural
            self.message_user(request, words.format(f"{number} {assessments}{names}"), level)

    # The live page of what was started.

    def get_urls(self) -> list[URLPattern]:
        live = path("progress/", self.live_page, name="assessments_assessment_progress")
        return [live, *super().get_urls()]

    def follow(self, chosen: QuerySet[Assessment]) -> HttpResponse:
        return redirect(live_page(chosen.values_list("pk", flat=True)))

    def live_page(self, request: HttpRequest) -> HttpResponseBase:
        if request.htmx and not self.admin_site.has_permission(request):  # type: ignore[attr-defined]
            # The login form has no place in the middle of the page that asked; the whole page goes there.
            return HttpResponseClientRefresh()
        return self.admin_site.admin_view(self.show_progress)(request)

    def show_progress(self, request: HttpRequest) -> HttpResponse:
        """The documents of the assessments that the address names (``ids``, ``show``, ``page``)."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        try:
            chosen = self.get_queryset(request).filter(pk__in=progress.read(request.GET.get("ids", "")))
        except ValueError as error:
            raise Http404(str(error)) from None
        if request.method == "POST":
            return self.take_step(request, chosen)
        show = request.GET.get("show", "all")
        shown = progress.having(chosen, *SHOWN[show]) if SHOWN.get(show) else chosen
        shown = shown.select_related("assessor", "vehicle").prefetch_related(None)
        page = Paginator(shown, PAGE).get_page(request.GET.get("page"))
        panels = panel.load(assessment.pk for assessment in page)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Documents",
            "headings": [kind.label for kind in KINDS.values()],
            "totals": progress.totals(chosen),
            "page": page,
            "rows": [(assessment, panels[assessment.pk]) for assessment in page],
            "show": show,
            "left_out": request.GET.get("left_out", ""),
            "may_change": self.has_change_permission(request),
        }
        template = "admin/assessments/assessment/progress.html"
        return TemplateResponse(request, f"{template}#now" if request.htmx else template, context)  # type: ignore[attr-defined]

    def take_step(self, request: HttpRequest, chosen: QuerySet[Assessment]) -> HttpResponse:
        """Do what a button of the page says, for one of its assessments or ``all``, and show the page again."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        steps = {"generate": self.generate, "retry": self.retry, "cancel": self.cancel}
        for name in steps.keys() & request.POST.keys():
            which = request.POST[name]
            steps[name](request, chosen.filter(pk=int(which)) if ROW_KEY.fullmatch(which) else chosen)
        return redirect(request.get_full_path())


def by_number(chosen: QuerySet[Assessment]) -> QuerySet[Assessment]:
    """The assessments with no more than their numbers: there may be hundreds of them."""
    return chosen.select_related(None).prefetch_related(None).only("number")


def without(assessments: list[Assessment], some: list[Assessment]) -> list[Assessment]:
    gone = {assessment.pk for assessment in some}
    return [assessment for assessment in assessments if assessment.pk not in gone]


def named(assessments: list[Assessment]) -> str:
    """Their numbers, as a message ends: the first few, and how many more."""
    numbers = [str(assessment) for assessment in assessments[:NAMED]]
    if len(assessments) > NAMED:
        numbers.append(f"and {len(assessments) - NAMED} more")
    return f" ({', '.join(numbers)})"


def live_page(ids: Iterable[int]) -> str:
    """The address of the live page of some assessments; what one address cannot hold, the page says."""
    text, left_out = progress.fitting(ids)
    return reverse(
        "admin:assessments_assessment_progress", query={"ids": text, **({"left_out": left_out} if left_out else {})}
    )


# The estimate ---------------------------------------------------------------------------------------------------------


class EstimateLineInline(admin.TabularInline):  # type: ignore[type-arg]
    model = EstimateLine
    extra = 0


@admin.register(Estimate)
class EstimateAdmin(Editable):
    formfield_overrides = SHORT
    list_display = ["assessment", "repairer", "result", "lines_in_all"]
    list_filter = ["result", ("repairer", admin.RelatedOnlyFieldListFilter)]
    search_fields = ["assessment__number", "assessment__claim_number", "repairer__name", "lines__description"]
    autocomplete_fields = ["assessment", "repairer"]
    save_on_top = True
    inlines = [EstimateLineInline]

    class Media:
        css = {"all": ["css/admin.css"]}

    fields = [
        "assessment",
        "total",
        *[field for field in EstimateInline.fields if field != "lines"],
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Estimate]:
        estimates: QuerySet[Estimate] = super().get_queryset(request)
        return estimates.select_related("assessment", "repairer").annotate(line_count=Count("lines"))

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        """An estimate stays with its assessment: the numbers of both may have been sent."""
        return ["total", "assessment"] if obj else ["total"]

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """As its rates are frozen once the assessment is submitted, so is the estimate that holds them."""
        frozen = isinstance(obj, Estimate) and obj.assessment.submitted
        return not frozen and super().has_delete_permission(request, obj)

    @admin.display(description="lines", ordering="line_count")
    def lines_in_all(self, estimate: Estimate) -> int:
        return int(estimate.line_count)  # type: ignore[attr-defined]

    @admin.display(description="total, VAT included")
    def total(self, estimate: Estimate) -> str:
        if not estimate.pk:
            return "-"
        try:
            cost = facts.cost_of(snapshot.of(estimate.assessment, ESTIMATE, Office.current()))
        except DocumentError as error:
            return str(error)
        if cost is None:
            return "-"
        return f"{money(cost.total, estimate.currency)}; net payable {money(cost.net_payable, estimate.currency)}"


# Companies ------------------------------------------------------------------------------------------------------------


@admin.register(Client)
class ClientAdmin(Editable):
    list_display = ["name", "contact", "phone", "email", "borderline_percent", "total_percent", "salvage_percent"]
    search_fields = ["name", "contact", "email"]


@admin.register(Repairer)
class RepairerAdmin(Editable):
    list_display = ["name", "contact", "phone", "email"]
    search_fields = ["name", "contact", "email", "address"]


@admin.register(Office)
class OfficeAdmin(Editable):
    """One row of settings; its list is a detour, so it leads straight to the form."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and not Office.objects.exists()

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Office, form: "ModelForm[Office]", change: bool) -> None:
        obj.pk = 1
        super().save_model(request, obj, form, change)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, str] | None = None) -> HttpResponse:
        if Office.objects.exists():
            return redirect(change_page(Office.current()))
        if self.has_add_permission(request):
            return redirect("admin:assessments_office_add")
        return super().changelist_view(request, extra_context)


# What the application writes itself -----------------------------------------------------------------------------------


@admin.register(Document)
class DocumentAdmin(ReadOnly):
    list_display = ["assessment", "kind", "status", "progress", "message", "error", "reference", "newest_file"]
    list_filter = ["status", "kind"]
    search_fields = ["assessment__number", "reference"]
    date_hierarchy = "ended_at"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Document]:
        return super().get_queryset(request).select_related("assessment", "current")

    @admin.display(description="newest file")
    def newest_file(self, document: Document) -> SafeString | str:
        return download(document, document.current) if document.current else "-"


@admin.register(DocumentVersion)
class DocumentVersionAdmin(ReadOnly):
    list_display = ["document", "number", "made_at", "made_by", "size", "message", "file_link"]
    list_filter = ["document__kind"]
    search_fields = ["document__assessment__number", "sha256"]
    date_hierarchy = "made_at"
    ordering = ["-made_at"]
    fields = [
        "document",
        "number",
        "file_link",
        "made_at",
        "made_by",
        "size",
        "sha256",
        "pages",
        "photos",
        "message",
        "seconds",
        "attempt",
        "batch",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[DocumentVersion]:
        related = ["document__assessment", "made_by", "attempt__document__assessment", "batch__assessment"]
        return super().get_queryset(request).select_related(*related)

    @admin.display(description="file")
    def file_link(self, version: DocumentVersion) -> SafeString:
        return download(version.document, version)


@admin.register(Attempt)
class AttemptAdmin(ReadOnly):
    list_display = ["reference", "document", "outcome", "worker", "started_at", "seconds", "error"]
    list_filter = ["outcome", "document__kind"]
    search_fields = ["document__assessment__number", "token", "worker"]
    search_help_text = "Number of the assessment, reference of an error, or worker"
    date_hierarchy = "started_at"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Attempt]:
        return super().get_queryset(request).select_related("document__assessment", "batch__assessment")


@admin.register(Batch)
class BatchAdmin(ReadOnly):
    list_display = ["id", "assessment", "requested_at", "requested_by", "origin", "mailed_at"]
    list_filter = ["origin"]
    search_fields = ["assessment__number", "requested_by__username"]
    date_hierarchy = "requested_at"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Batch]:
        return super().get_queryset(request).select_related("assessment", "requested_by")


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly):
    list_display = ["at", "username", "action", "number", "documents", "version_number", "origin"]
    list_filter = ["action", "origin"]
    search_fields = ["username", "number"]
    search_help_text = "User name, or number of the assessment"
    date_hierarchy = "at"
    fields = ["at", "username", "user", "action", "number", "assessment", "documents", "version", "origin"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        return super().get_queryset(request).select_related("user", "assessment", "version__document__assessment")

    @admin.display(description="version")
    def version_number(self, entry: AuditEntry) -> int | str:
        return entry.version.number if entry.version else "-"


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnly):
    list_display = ["name", "role", "seen_at", "alive"]
    list_filter = ["role"]

    @admin.display(boolean=True)
    def alive(self, heartbeat: Heartbeat) -> bool:
        return timezone.now() - heartbeat.seen_at < Heartbeat.RECENT


@admin.register(Counter)
class CounterAdmin(ReadOnly):
    list_display = ["series", "last"]
    search_fields = ["series"]
