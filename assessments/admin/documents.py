"""The documents with their versions, attempts and batches, all read-only."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.safestring import SafeString

from assessments.documents.panel_words import seconds_words
from assessments.models import (
    Attempt,
    Batch,
    Document,
    DocumentVersion,
)
from assessments.models.slots import DocumentQuerySet

from .base import ReadOnly, ReadOnlyAdmin, Tabular, link
from .people import found_by_name, person


def download(document: Document, version: DocumentVersion) -> SafeString:
    address = reverse(
        "assessments:file",
        args=[document.assessment.number, document.kind],
        query={"version": version.number, "download": 1},
    )
    return link(address, f"Version {version.number}")


class DocumentRows(ReadOnly):
    """The present state of documents. People ask for documents on the assessment's own page, or in the list."""

    related = ["assessment", "current", "requested_by"]

    @admin.display(description="status", ordering="status")
    def state(self, document: Document) -> str:
        return document.status_words

    @admin.display(description="newest file")
    def newest_file(self, document: Document) -> SafeString | str:
        return download(document, document.current) if document.current else "-"

    @admin.display(description="message", ordering="error")
    def said(self, document: Document) -> str:
        """Return the error with its reference, or how far the document is."""
        if not document.failure:
            progress = f" ({document.progress} %)" if document.status == document.Status.PROCESSING else ""
            return f"{document.message or '-'}{progress if document.progress is not None else ''}"
        return (
            f"{document.failure} Reference for support: {document.reference}"
            if document.reference
            else document.failure
        )

    @admin.display(description="out of date", empty_value="-")
    def changed(self, document: Document) -> str:
        return f"{document.outdated_by} changed" if document.outdated else ""


class DocumentInline(DocumentRows, admin.TabularInline):  # type: ignore[type-arg]
    model = Document
    template = Tabular.template
    fields = ["state", "newest_file", "changed", "said"]
    readonly_fields = ["state", "newest_file", "changed", "said"]


class OutdatedFilter(admin.SimpleListFilter):
    title = "out of date"
    parameter_name = "outdated"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Out of date")]

    def queryset(self, request: HttpRequest, queryset: Any) -> DocumentQuerySet:
        return queryset.outdated() if self.value() == "yes" else queryset  # type: ignore[no-any-return]


@admin.register(Document)
class DocumentAdmin(DocumentRows, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["assessment", "kind", "state", "newest_file", "changed", "said", person("requested_by")]
    fields = [
        ("assessment", "kind", "state"),
        ("newest_file", "changed"),
        "said",
        (person("requested_by"), "requested_at", "started_at", "ended_at"),
    ]
    list_filter = ["status", OutdatedFilter, "kind"]
    search_fields = ["assessment__number", "reference"]
    date_hierarchy = "ended_at"


@admin.register(DocumentVersion)
class DocumentVersionAdmin(ReadOnlyAdmin):
    list_display = ["document", "number", "made_at", person("made_by"), "file_size", "message", "file_link"]
    list_filter = ["document__kind"]
    search_fields = ["document__assessment__number", "sha256"]
    date_hierarchy = "made_at"
    ordering = ["-made_at"]
    fields = [
        ("document", "number", "file_link"),
        ("made_at", person("made_by")),
        ("file_size", "sha256", "pages", "photos", "missing"),
        ("message", "duration"),
        ("attempt", "batch"),
    ]
    related = ["document__assessment", "made_by", "attempt__document__assessment", "batch__assessment"]

    @admin.display(description="file")
    def file_link(self, version: DocumentVersion) -> SafeString:
        return download(version.document, version)

    @admin.display(description="size", ordering="size")
    def file_size(self, version: DocumentVersion) -> str:
        return filesizeformat(version.size)

    @admin.display(description="made in")
    def duration(self, version: DocumentVersion) -> str:
        return seconds_words(version.seconds)


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    list_display = ["reference", "document", "outcome", "worker", "started_at", "duration", "error"]
    list_filter = ["outcome", "document__kind"]
    search_fields = ["document__assessment__number", "token", "worker"]
    search_help_text = "Number of the assessment, reference of an error, or worker"
    date_hierarchy = "started_at"
    fields = [
        ("document", "reference", "batch"),
        ("outcome", "error"),
        ("started_at", "ended_at", "duration", "processor_time"),
        ("worker", "memory", "units"),
    ]
    related = ["document__assessment", "batch__assessment"]

    @admin.display(description="took", ordering="seconds")
    def duration(self, attempt: Attempt) -> str:
        return "-" if attempt.seconds is None else seconds_words(attempt.seconds)

    @admin.display(description="processor time")
    def processor_time(self, attempt: Attempt) -> str:
        return "-" if attempt.cpu_seconds is None else seconds_words(attempt.cpu_seconds)

    @admin.display(description="peak memory")
    def memory(self, attempt: Attempt) -> str:
        return "-" if attempt.peak_memory is None else filesizeformat(attempt.peak_memory)


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    list_display = ["id", "assessment", "requested_at", person("requested_by"), "origin", "mailed_at", "mail_problem"]
    list_filter = ["origin"]
    search_fields = ["assessment__number", *found_by_name("requested_by")]
    fields = ["assessment", "requested_at", person("requested_by"), "origin", "bulk_request", "mailed_at"]
    date_hierarchy = "requested_at"
    related = ["assessment", "requested_by", "bulk_request"]
