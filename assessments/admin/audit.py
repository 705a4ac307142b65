"""The audit log."""

from django.contrib import admin

from assessments.documents.kinds import KINDS
from assessments.models import (
    AuditEntry,
)

from .base import ReadOnlyAdmin
from .people import found_by_name, full_name


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ["at", "person", "action", "number", "kinds", "version_number", "origin"]
    list_filter = ["action", "origin"]
    search_fields = [*found_by_name("user"), "username", "number"]
    search_help_text = "Name of a person, or number of the assessment"
    date_hierarchy = "at"
    fields = ["at", "person", "username", "action", "number", "assessment", "kinds", "version", "origin"]
    related = ["user", "assessment", "version__document__assessment"]

    @admin.display(description="by", ordering="username")
    def person(self, entry: AuditEntry) -> str:
        return full_name(entry.user) if entry.user else entry.username or "-"

    @admin.display(description="documents", ordering="documents")
    def kinds(self, entry: AuditEntry) -> str:
        """Return the names of the documents. A kind that this site no longer makes keeps its slug."""
        slugs = filter(None, entry.documents.split(", "))
        return ", ".join(KINDS[slug].label if slug in KINDS else slug for slug in slugs) or "-"

    @admin.display(description="version")
    def version_number(self, entry: AuditEntry) -> int | str:
        return entry.version.number if entry.version else "-"
