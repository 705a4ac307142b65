"""The office's side: all data of an assessment on one page, and bulk requests for documents."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from . import assessment, audit, bulk_requests, companies, documents, estimate, heartbeats, office


def change_own_password(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    """Redirect to the page on which guesses of the old password count as failures to sign in."""
    return redirect("password_change")


admin.site.site_header = admin.site.site_title = "Vehicle damage assessments"
admin.site.password_change = change_own_password  # type: ignore[assignment,method-assign]
