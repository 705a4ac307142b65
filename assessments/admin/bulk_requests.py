"""The bulk requests, with links to their live pages."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db import models
from django.http import HttpRequest
from django.utils.safestring import SafeString

from assessments.documents import progress
from assessments.models import (
    Assessment,
    BulkRequest,
)

from .base import ReadOnlyAdmin, link
from .filters import ByName
from .live_page import live_page_of
from .people import found_by_name, person


class BulkRequestList(ChangeList):
    """A page of bulk requests with the progress of each, and with links to their live pages."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        counts = progress.totals(self.result_list)
        for bulk_request in self.result_list:
            bulk_request.totals = counts[bulk_request.pk]

    def url_for_result(self, result: Any) -> str:
        return live_page_of(result)


@admin.register(BulkRequest)
class BulkRequestAdmin(ReadOnlyAdmin):
    list_display = ["requested_at", person("requested_by"), "action", "chosen", "documents"]
    list_filter = ["action", ("requested_by", ByName)]
    list_per_page = 20
    fields = ["requested_at", person("requested_by"), "action", "live_page"]
    search_fields = ["assessments__number", *found_by_name("requested_by")]
    search_help_text = "Number of a chosen assessment, or name of a person"
    date_hierarchy = "requested_at"
    related = ["requested_by"]

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return BulkRequestList

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Let people who may view assessments find their live pages again."""
        return admin.site.get_model_admin(Assessment).has_view_or_change_permission(request)

    def live_page(self, bulk_request: BulkRequest) -> SafeString:
        return link(live_page_of(bulk_request), "Its assessments and their documents, live")

    @admin.display(description="assessments")
    def chosen(self, bulk_request: BulkRequest) -> int:
        return int(bulk_request.totals.assessments)  # type: ignore[attr-defined]

    @admin.display(description="documents")
    def documents(self, bulk_request: BulkRequest) -> str:
        return str(bulk_request.totals.in_words)  # type: ignore[attr-defined]
