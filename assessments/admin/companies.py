"""Clients and repairers."""

from django.contrib import admin

from assessments.models import (
    Client,
    Repairer,
)

from .base import Editable


@admin.register(Client)
class ClientAdmin(Editable):
    list_display = ["name", "contact", "phone", "email", "borderline_percent", "total_percent", "salvage_percent"]
    search_fields = ["name", "contact", "email"]


@admin.register(Repairer)
class RepairerAdmin(Editable):
    list_display = ["name", "contact", "phone", "email"]
    search_fields = ["name", "contact", "email", "address"]
