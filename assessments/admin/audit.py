"""The audit log."""

from django.contrib import admin

from assessments.documents.kinds import CHOICES
from assessments.models import (
    AuditEntry,
)

from .base import ReadOnlyAdmin


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ["at", "username", "action", "number", "kinds", "version_number", "origin"]
    list_filter = ["action", "origin"]
    search_fields = ["username", "number"]
    search_help_text = "User name, or number of the assessment"
    date_hierarchy = "at"
    fields = ["at", "username", "user", "action", "number", "assessment", "kinds", "version", "origin"]
    related = ["user", "assessment", "version__document__assessment"]

    @admin.display(description="documents")
    def kinds(self, entry: AuditEntry) -> str:
        labels = dict(CHOICES)
        return ", ".join(labels.get(slug, slug) for slug in entry.documents.split(", ")) or "-"

    @admin.display(description="version")
    def version_number(self, entry: AuditEntry) -> int | str:
        return entry.version.number if entry.version else "-"
