"""Clients and repairers."""

from collections.abc import Callable

from django.contrib import admin

from assessments.models import (
    Client,
    Repairer,
)
from assessments.printing.formatting import share

from .base import Editable


def percentage(column: str, label: str) -> Callable[[Client], str]:
    @admin.display(description=label, ordering=column)
    def shown(client: Client) -> str:
        return share(getattr(client, column))

    return shown


@admin.register(Client)
class ClientAdmin(Editable):
    list_display = [
        "name",
        "contact",
        "phone",
        "email",
        percentage("borderline_percent", "borderline write-off"),
        percentage("total_percent", "total write-off"),
        percentage("salvage_percent", "salvage"),
    ]
    search_fields = ["name", "contact", "email"]


@admin.register(Repairer)
class RepairerAdmin(Editable):
    list_display = ["name", "contact", "phone", "email"]
    search_fields = ["name", "contact", "email", "address"]
