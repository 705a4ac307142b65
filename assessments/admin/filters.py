"""The filters of lists by related rows."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import mark_safe

from .people import full_name


class Used(admin.RelatedFieldListFilter):
    """Offers the related rows that are used; Django's RelatedOnlyFieldListFilter reads the whole table to find them."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        used = Exists(model_admin.model._default_manager.filter(**{self.field_path: OuterRef("pk")}))
        ordering = self.field_admin_ordering(field, request, model_admin)
        return field.get_choices(include_blank=False, ordering=ordering, limit_choices_to=Q(used))


class OrNone(Used):
    """The choice of rows without a related one has words."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.empty_value_display = format_html("No {}", self.title)


class ByName(Used):
    """The filter by a person. The choice of rows without one has words."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.empty_value_display = mark_safe("Nobody")

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        found = dict(super().field_choices(field, request, model_admin))
        people = User.objects.filter(pk__in=found).order_by("first_name", "last_name", "username")
        return [(str(user.pk), full_name(user)) for user in people]
