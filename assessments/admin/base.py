"""The base classes of the admins, for editable and for read-only rows, and their links."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import LogEntry
from django.contrib.admin.options import BaseModelAdmin
from django.contrib.admin.widgets import AdminTextareaWidget
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import BadRequest
from django.db import IntegrityError, connection, models
from django.db.models import Q, QuerySet
from django.forms import ModelForm
from django.forms.utils import pretty_name
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import localize
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from assessments import usual
from assessments.models.fields import is_money

from .dates import NO_DATE, DateInWords
from .figures import FigureField
from .people import full_name
from .shown import ShownForm, ShownFormSet, save_changed

FIELDS: dict[type[models.Field[Any, Any]], dict[str, Any]] = {
    # Most notes are short; the corner of the field enlarges the field.
    models.TextField: {"widget": AdminTextareaWidget(attrs={"rows": 3})},
    models.DateField: {"widget": DateInWords, "error_messages": {"invalid": NO_DATE}},
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


def faults_of(form: Any) -> list[tuple[str, str]]:
    """Return the place of each error in a form or a set of forms: the id of an element, and its words."""
    if not form.is_bound:
        return []
    if hasattr(form, "forms"):
        own = [(f"{form.prefix}-heading", capfirst(form.model._meta.verbose_name_plural))]
        kept = [row for row in form.forms if not (form.can_delete and form._should_delete_form(row))]
        return [*(own if form.non_form_errors() else []), *(fault for row in kept for fault in faults_of(row))]
    row = f", {form._meta.model._meta.verbose_name} {int(form.prefix.rpartition('-')[2]) + 1}" if form.prefix else ""
    found = []
    for name in form.errors:
        if name in form.fields:
            found.append((form[name].id_for_label, f"{form[name].label}{row}"))
        # The errors of the whole page stand below this list.
        elif form.prefix:
            found.append((form.prefix, f"{capfirst(form._meta.model._meta.verbose_name)}{row}"))
    return found


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


class InOrderFormSet(RowFormSet):
    """Rows with a position. A new row without a position comes last."""

    def add_fields(self, form: ModelForm, index: int | None) -> None:  # type: ignore[type-arg]
        super().add_fields(form, index)
        if form.instance._state.adding and (position := form.fields.get("position")):
            position.required, position.initial = False, None
            form.initial.pop("position", None)

    def save_new(self, form: Any, commit: bool = True) -> Any:
        if form.instance.position is None:
            taken = [each.instance.position for each in self.forms if each.instance.position is not None]
            form.instance.position = max(taken, default=0) + 1
        return super().save_new(form, commit)


class Tabular(admin.TabularInline):  # type: ignore[type-arg]
    template = "admin/assessments/rows.html"
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

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        forms = [context["adminform"].form, *(part.formset for part in context["inline_admin_formsets"])]
        context["faults"] = [fault for form in forms for fault in faults_of(form)]
        if context["faults"] and (row := context["original"]):
            context["last_saved"] = self.last_saved(request, row)
        return super().render_change_form(request, context, *args, **options)

    def last_saved(self, request: HttpRequest, row: models.Model) -> str:
        """Return who saved the row, or all of it that is on another page, and when."""
        saves = [Q(content_type=ContentType.objects.get_for_model(each), object_id=each.pk) for each in self.whole(row)]
        last = LogEntry.objects.filter(Q(*saves, _connector=Q.OR)).select_related("user").first()
        if last is None:
            return ""
        who = "you" if last.user == request.user else full_name(last.user)
        return f"Last saved in the office by {who} on {localize(timezone.localtime(last.action_time))}."

    def whole(self, row: Any) -> list[models.Model]:
        """Return the rows whose pages show parts of this row."""
        return [row]

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
