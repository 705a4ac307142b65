"""The base classes of the admins, for editable and for read-only rows, and their links."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import BaseModelAdmin
from django.contrib.admin.widgets import AdminTextareaWidget
from django.core.exceptions import BadRequest
from django.db import IntegrityError, connection, models
from django.db.models import QuerySet
from django.forms import ModelForm
from django.forms.utils import pretty_name
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from assessments import usual
from assessments.models.fields import is_money

from .dates import DateInWords
from .figures import FigureField
from .shown import ShownForm, ShownFormSet, save_changed

FIELDS: dict[type[models.Field[Any, Any]], dict[str, Any]] = {
    # Most notes are short; the corner of the field enlarges the field.
    models.TextField: {"widget": AdminTextareaWidget(attrs={"rows": 3})},
    models.DateField: {"widget": DateInWords},
    models.DecimalField: {"form_class": FigureField},
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


class Stacked(admin.StackedInline):  # type: ignore[type-arg]
    formfield_overrides = FIELDS
    form = ShownForm
    formset = ShownFormSet


class RowFormSet(ShownFormSet):
    """The rows of a table. A row has no visible labels, so each field names its column and its row."""

    def add_fields(self, form: ModelForm, index: int | None) -> None:  # type: ignore[type-arg]
        super().add_fields(form, index)
        noun = form._meta.model._meta.verbose_name
        row = f"new {noun}" if index is None else f"{noun} {index + 1}"
        for name, field in form.fields.items():
            field.widget.attrs.setdefault("aria-label", f"{capfirst(field.label or pretty_name(name))}, {row}")


class Tabular(admin.TabularInline):  # type: ignore[type-arg]
    formfield_overrides = FIELDS
    form = ShownForm
    formset = RowFormSet


class InCurrency(BaseModelAdmin):  # type: ignore[type-arg]
    """Names the currency in the label of each amount."""

    def get_form(
        self, request: HttpRequest, obj: models.Model | None = None, change: bool = False, **options: Any
    ) -> Any:
        return super().get_form(request, obj, change, labels=self.labels(obj), **options)  # type: ignore[misc]

    def get_formset(self, request: HttpRequest, obj: models.Model | None = None, **options: Any) -> Any:
        return super().get_formset(request, obj, labels=self.labels(obj), **options)  # type: ignore[misc]

    def labels(self, found: models.Model | None) -> dict[str, str]:
        """Return the labels of the amounts; ``found`` is the assessment or the estimate of the page."""
        estimate = getattr(found, "estimate", found)
        currency = getattr(estimate, "currency", usual.CURRENCY)
        amounts = filter(is_money, self.model._meta.concrete_fields)
        return {field.name: f"{capfirst(field.verbose_name)} ({currency})" for field in amounts}


class Editable(admin.ModelAdmin):  # type: ignore[type-arg]
    formfield_overrides = FIELDS
    form = ShownForm

    def owner(self, row: Any) -> models.Model:
        """Return the row that is locked while this one is saved: whoever saves a part of it, locks the same."""
        return row  # type: ignore[no-any-return]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> models.Model | None:
        """Return the row. A form that was sent is compared with the row under a lock: two people save one by one."""
        row = super().get_object(request, object_id, from_field)
        # Pages that save nothing, such as the history, have no transaction, and PostgreSQL locks nothing without one.
        if row is None or request.method != "POST" or not connection.in_atomic_block:
            return row
        owner = self.owner(row)
        list(type(owner)._default_manager.select_for_update(no_key=True).filter(pk=owner.pk).values_list("pk"))
        return super().get_object(request, object_id, from_field)

    def save_model(self, request: HttpRequest, obj: models.Model, form: Any, change: bool) -> None:
        if change:
            save_changed(form)
        else:
            super().save_model(request, obj, form, change)

    def changeform_view(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        """Show the form; when the database refuses a valid form because two people saved at once, show a message."""
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
        """Reject selection values that are not primary keys, and a malformed "all": Django would take it for all."""
        if not {"0", "1", ""}.issuperset(request.POST.getlist("select_across")):
            raise BadRequest("Whether all rows are chosen is 0 or 1.")
        for key in request.POST.getlist(ACTION_CHECKBOX_NAME):
            row_key(key)
        return super().response_action(request, *args, **options)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Return the rows to delete, and no lacking permissions if a row is protected: the page then names that row."""
        gone, counts, permissions_lacking, protected = super().get_deleted_objects(objs, request)
        return gone, counts, set() if protected else permissions_lacking, protected


class ReadOnly(BaseModelAdmin):  # type: ignore[type-arg]
    """Rows that the application writes itself: people may view them, and not add, change or delete them."""

    # The related rows that lists and forms show; one query reads all of them.
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


class ReadOnlyAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """A list of read-only rows, and a page for each row."""
