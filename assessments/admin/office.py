"""The one row of the office."""

from django.contrib import admin
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from assessments.models import (
    Office,
)

from .base import Editable, change_page


@admin.register(Office)
class OfficeAdmin(Editable):
    """The one row of settings. Its list would be a detour, so the list redirects to the form."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, str] | None = None) -> HttpResponse:
        office, _ = Office.objects.get_or_create(pk=1)
        return redirect(change_page(office))
