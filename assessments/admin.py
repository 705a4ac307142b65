"""The office's side: all data of an assessment on one page, and documents asked for by the hundred."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import BaseModelAdmin
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AdminTextareaWidget
from django.contrib.auth import get_user_model
from django.core.exceptions import BadRequest, PermissionDenied
from django.core.paginator import Paginator
from django.db import IntegrityError, models, transaction
from django.db.models import QuerySet
from django.forms import BaseInlineFormSet, ModelChoiceField
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

from .documents import panel, progress, snapshot, tasks
from .documents.kinds import ESTIMATE, KINDS
from .models import (
    Accessory,
    Assessment,
    Attempt,
    AuditEntry,
    Batch,
    BulkRequest,
    Client,
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
from .printing import facts
from .printing.contract import DocumentError
from .printing.formatting import money

admin.site.site_header = admin.site.site_title = "Vehicle damage assessments"

# Notes are short more often than long; the corner of the field enlarges it.
SHORT: dict[type[models.Field[Any, Any]], dict[str, Any]] = {
    models.TextField: {"widget": AdminTextareaWidget(attrs={"rows": 3})}
}
# Names in a message before it only counts the rest.
NAMED = 5
# Assessments on one page of the live page.
PAGE = 50
# Each filter finds the assessments that have a document in one of these states.
STATES: dict[str, tuple[str, ...]] = {
    "failed": (Document.Status.ERROR,),
    "running": Document.ACTIVE,
    "missing": (Document.Status.IDLE,),
}
# The function of each action, and its messages: about the assessments that it changed, and about the others.
STEPS: dict[str, tuple[Any, ...]] = {
    BulkRequest.Action.GENERATE: (
        tasks.request_many,
        (messages.SUCCESS, "Documents asked for: {count}."),
        (messages.INFO, "Some were being made already, which this joined: {count}{names}."),
    ),
    BulkRequest.Action.RETRY: (
        tasks.retry_many,
        (messages.SUCCESS, "Failed documents asked for again: {count}{names}."),
        (messages.WARNING, "Skipped, because no document failed: {count}{names}."),
    ),
    BulkRequest.Action.CANCEL: (
        tasks.cancel_many,
        (messages.SUCCESS, "Documents cancelled: {count}{names}."),
        (messages.WARNING, "Skipped, because nothing was waiting or being made: {count}{names}."),
    ),
}


def row_key(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise BadRequest("A value that was chosen is not a primary key.")
    return int(text)


def link(address: str, words: object) -> SafeString:
    return format_html('<a href="{}">{}</a>', address, words)


def section(title: str | None, *rows: str | tuple[str, ...]) -> Any:
    return title, {"fields": rows}


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
        """Rejects selection values that are not primary keys: Django would look for them in the database."""
        for key in request.POST.getlist(ACTION_CHECKBOX_NAME):
            row_key(key)
        return super().response_action(request, *args, **options)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """What would go, too. Where something is protected no permission would help, so the page had better name it."""
        gone, counts, permissions_lacking, protected = super().get_deleted_objects(objs, request)
        return gone, counts, set() if protected else permissions_lacking, protected


class ReadOnly(BaseModelAdmin):  # type: ignore[type-arg]
    """What the application writes itself: to be looked at, never added, changed or deleted by hand."""

    # The related rows that lists and forms name; they are read together.
    related: Sequence[str] = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        return rows.select_related(*self.related) if self.related else rows

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
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

    def lines(self, estimate: Estimate) -> SafeString | str:
        if estimate.pk:
            return link(change_page(estimate), f"{estimate.lines.count()} lines: open them to edit them")
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


def download(document: Document, version: DocumentVersion) -> SafeString:
    address = reverse(
        "assessments:file",
        args=[document.assessment.number, document.kind],
        query={"version": version.number, "download": 1},
    )
    return link(address, f"Version {version.number}")


class DocumentRows(ReadOnly):
    """The documents as they are now; they are asked for on the assessment's own page, or in the list."""

    related = ["assessment", "current"]

    @admin.display(description="newest file")
    def newest_file(self, document: Document) -> SafeString | str:
        return download(document, document.current) if document.current else "-"


class DocumentInline(DocumentRows, admin.TabularInline):  # type: ignore[type-arg]
    model = Document
    fields = ["status", "newest_file", "error"]
    readonly_fields = ["newest_file"]


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
        if self.value() == "ready":
            unready = set(Document.Status) - {Document.Status.SUCCESS}
            return queryset.exclude(pk__in=progress.having(queryset, *unready).values("pk"))
        return progress.having(queryset, *STATES[state]) if (state := self.value()) in STATES else queryset


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

    # Documents by the hundred.

    @admin.action(description="Generate the documents of selected %(verbose_name_plural)s", permissions=["change"])
    def generate_documents(self, request: HttpRequest, queryset: QuerySet[Assessment]) -> HttpResponse:
        return self.begin(request, BulkRequest.Action.GENERATE, queryset)

    @admin.action(description="Retry the failed documents of selected %(verbose_name_plural)s", permissions=["change"])
    def retry_failed(self, request: HttpRequest, queryset: QuerySet[Assessment]) -> HttpResponse:
        return self.begin(request, BulkRequest.Action.RETRY, queryset)

    @admin.action(description="Cancel the documents of selected %(verbose_name_plural)s", permissions=["change"])
    def cancel_documents(self, request: HttpRequest, queryset: QuerySet[Assessment]) -> HttpResponse:
        return self.begin(request, BulkRequest.Action.CANCEL, queryset)

    def begin(self, request: HttpRequest, action: BulkRequest.Action, chosen: QuerySet[Assessment]) -> HttpResponse:
        assessments = by_number(chosen)
        bulk_request = BulkRequest.begin(action, assessments, by=request.user)  # type: ignore[arg-type]
        self.take_step(request, bulk_request, action, assessments)
        return redirect(live_page_of(bulk_request))

    def take_step(
        self, request: HttpRequest, bulk_request: BulkRequest, action: BulkRequest.Action, assessments: list[Assessment]
    ) -> None:
        """Do with the assessments what the action says, and tell with how many there was anything to do."""
        step, *told = STEPS[action]
        done = step(assessments, by=request.user, origin="admin", bulk_request=bulk_request)
        changed = set(done)
        rest = [assessment for assessment in assessments if assessment not in changed]
        for (level, words), about in zip(told, (done, rest), strict=True):
            if about:
                noun = self.opts.verbose_name if len(about) == 1 else self.opts.verbose_name_plural
                self.message_user(request, words.format(count=f"{len(about)} {noun}", names=named(about)), level)

    # The live page of what was chosen.

    def get_urls(self) -> list[URLPattern]:
        live = path("progress/<str:key>/", self.live_page, name="assessments_assessment_progress")
        return [live, *super().get_urls()]

    def live_page(self, request: HttpRequest, key: str) -> HttpResponseBase:
        if request.htmx and not self.admin_site.has_permission(request):  # type: ignore[attr-defined]
            # The login form has no place in the middle of the page that asked; the whole page goes there.
            return HttpResponseClientRefresh()
        return self.admin_site.admin_view(self.show_progress)(request, key)

    def show_progress(self, request: HttpRequest, key: str) -> HttpResponse:
        """The documents of what a bulk request chose. The address may add a filter (``show``) and a ``page``."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        bulk_request = self.admin_site.get_model_admin(BulkRequest).get_object(request, key)
        if bulk_request is None:
            raise Http404("There is no such bulk request.")
        if request.method == "POST":
            return self.press_button(request, bulk_request)
        show, chosen = request.GET.get("show", "all"), bulk_request.assessments.all()
        shown = progress.having(chosen, *STATES[show]) if show in STATES else chosen
        page = Paginator(shown.select_related("assessor", "vehicle"), PAGE).get_page(request.GET.get("page"))
        panels = panel.load(assessment.pk for assessment in page)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Documents",
            "bulk_request": bulk_request,
            "headings": [kind.label for kind in KINDS.values()],
            "totals": progress.totals([bulk_request])[bulk_request.pk],
            "page": page,
            "rows": [(assessment, panels[assessment.pk]) for assessment in page],
            "show": show,
            "may_change": self.has_change_permission(request),
        }
        template = "admin/assessments/assessment/progress.html"
        return TemplateResponse(request, f"{template}#now" if request.htmx else template, context)  # type: ignore[attr-defined]

    def press_button(self, request: HttpRequest, bulk_request: BulkRequest) -> HttpResponse:
        """Do what a button of the page says, for one of its assessments or ``all``, and show the page again."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        for action in BulkRequest.Action:
            if which := request.POST.get(action):
                chosen = bulk_request.assessments.all()
                some = chosen if which == "all" else chosen.filter(pk=row_key(which))
                self.take_step(request, bulk_request, action, by_number(some))
        return redirect(request.get_full_path())


def by_number(chosen: QuerySet[Assessment]) -> list[Assessment]:
    """The assessments with no more than their numbers: there may be hundreds of them."""
    return list(chosen.select_related(None).prefetch_related(None).only("number"))


def named(assessments: list[Assessment]) -> str:
    """Their numbers, as a message ends: the first few, and how many more."""
    numbers = [str(assessment) for assessment in assessments[:NAMED]]
    if len(assessments) > NAMED:
        numbers.append(f"and {len(assessments) - NAMED} more")
    return f" ({', '.join(numbers)})"


def live_page_of(bulk_request: BulkRequest) -> str:
    return reverse("admin:assessments_assessment_progress", args=[bulk_request.pk])


# The estimate ---------------------------------------------------------------------------------------------------------


class EstimateLineInline(admin.TabularInline):  # type: ignore[type-arg]
    model = EstimateLine
    extra = 0


@admin.register(Estimate)
class EstimateAdmin(Editable):
    formfield_overrides = SHORT
    list_display = ["assessment", "repairer", "result"]
    list_select_related = ["assessment", "repairer"]
    list_filter = ["result", ("repairer", admin.RelatedOnlyFieldListFilter)]
    search_fields = ["assessment__number", "assessment__claim_number", "repairer__name", "lines__description"]
    autocomplete_fields = ["assessment", "repairer"]
    save_on_top = True
    inlines = [EstimateLineInline]

    class Media:
        css = {"all": ["css/admin.css"]}

    fields = ["assessment", "total", *EstimateInline.fields[1:]]

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        """An estimate stays with its assessment: the numbers of both may have been sent."""
        return ["total", "assessment"] if obj else ["total"]

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """As its rates are frozen once the assessment is submitted, so is the estimate that holds them."""
        frozen = isinstance(obj, Estimate) and obj.assessment.submitted
        return not frozen and super().has_delete_permission(request, obj)

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
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, str] | None = None) -> HttpResponse:
        office, _ = Office.objects.get_or_create(pk=1)
        return redirect(change_page(office))


# What the application writes itself -----------------------------------------------------------------------------------


class ReadOnlyAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """A list of such rows, and a page for each."""


@admin.register(Document)
class DocumentAdmin(DocumentRows, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["assessment", "kind", "status", "progress", "message", "error", "reference", "newest_file"]
    list_filter = ["status", "kind"]
    search_fields = ["assessment__number", "reference"]
    date_hierarchy = "ended_at"


@admin.register(DocumentVersion)
class DocumentVersionAdmin(ReadOnlyAdmin):
    list_display = ["document", "number", "made_at", "made_by", "size", "message", "file_link"]
    list_filter = ["document__kind"]
    search_fields = ["document__assessment__number", "sha256"]
    date_hierarchy = "made_at"
    ordering = ["-made_at"]
    fields = [
        ("document", "number", "file_link"),
        ("made_at", "made_by"),
        ("size", "sha256", "pages", "photos"),
        ("message", "seconds"),
        ("attempt", "batch"),
    ]
    related = ["document__assessment", "made_by", "attempt__document__assessment", "batch__assessment"]

    @admin.display(description="file")
    def file_link(self, version: DocumentVersion) -> SafeString:
        return download(version.document, version)


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    list_display = ["reference", "document", "outcome", "worker", "started_at", "seconds", "error"]
    list_filter = ["outcome", "document__kind"]
    search_fields = ["document__assessment__number", "token", "worker"]
    search_help_text = "Number of the assessment, reference of an error, or worker"
    date_hierarchy = "started_at"
    related = ["document__assessment", "batch__assessment"]


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    list_display = ["id", "assessment", "requested_at", "requested_by", "origin", "mailed_at"]
    list_filter = ["origin"]
    search_fields = ["assessment__number", "requested_by__username"]
    date_hierarchy = "requested_at"
    related = ["assessment", "requested_by", "bulk_request"]


class BulkRequestList(ChangeList):
    """A page of bulk requests with how far each is; they lead to their live pages."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        counts = progress.totals(self.result_list)
        for bulk_request in self.result_list:
            bulk_request.totals = counts[bulk_request.pk]

    def url_for_result(self, result: Any) -> str:
        return live_page_of(result)


@admin.register(BulkRequest)
class BulkRequestAdmin(ReadOnlyAdmin):
    list_display = ["requested_at", "requested_by", "action", "chosen", "documents"]
    list_filter = ["action", ("requested_by", admin.RelatedOnlyFieldListFilter)]
    list_per_page = 20
    fields = ["requested_at", "requested_by", "action", "live_page"]
    search_fields = ["assessments__number", "requested_by__username"]
    search_help_text = "Number of a chosen assessment, or user name"
    date_hierarchy = "requested_at"
    related = ["requested_by"]

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return BulkRequestList

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """People who may look at assessments may find their live pages again."""
        return admin.site.get_model_admin(Assessment).has_view_or_change_permission(request)

    def live_page(self, bulk_request: BulkRequest) -> SafeString:
        return link(live_page_of(bulk_request), "Its assessments and their documents, live")

    @admin.display(description="assessments")
    def chosen(self, bulk_request: BulkRequest) -> int:
        return int(bulk_request.totals.assessments)  # type: ignore[attr-defined]

    @admin.display(description="documents")
    def documents(self, bulk_request: BulkRequest) -> str:
        return str(bulk_request.totals.in_words)  # type: ignore[attr-defined]


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ["at", "username", "action", "number", "documents", "version_number", "origin"]
    list_filter = ["action", "origin"]
    search_fields = ["username", "number"]
    search_help_text = "User name, or number of the assessment"
    date_hierarchy = "at"
    fields = ["at", "username", "user", "action", "number", "assessment", "documents", "version", "origin"]
    related = ["user", "assessment", "version__document__assessment"]

    @admin.display(description="version")
    def version_number(self, entry: AuditEntry) -> int | str:
        return entry.version.number if entry.version else "-"


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    list_display = ["name", "role", "seen_at", "alive"]
    list_filter = ["role"]

    @admin.display(boolean=True)
    def alive(self, heartbeat: Heartbeat) -> bool:
        return timezone.now() - heartbeat.seen_at < Heartbeat.RECENT
