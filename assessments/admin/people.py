"""People in the admin: shown by their names, and what the office enters about a user."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.forms import Form
from django.http import HttpRequest
from django.utils.safestring import mark_safe


def full_name(user: User | None) -> str:
    return (user.get_full_name() or user.get_username()) if user else "-"


def person(column: str) -> Any:
    """Return the column of a list, or the field of a form, that shows a user by name."""

    @admin.display(description=column.replace("_", " "), ordering=f"{column}__first_name")
    def shown(row: Any) -> str:
        return full_name(getattr(row, column))

    # The admin makes the class of the cell from this name.
    shown.__name__ = column
    return shown


def found_by_name(column: str) -> list[str]:
    """Return the lookups by which a search finds a user."""
    return [f"{column}__{part}" for part in ("username", "first_name", "last_name")]


def by_name(choices: Any) -> list[tuple[str, Any]]:
    """Return a filter's choices of users with their names, in the order of the names."""
    people = User.objects.filter(pk__in=dict(choices)).order_by("first_name", "last_name", "username")
    return [(str(user.pk), full_name(user)) for user in people]


class ByName(admin.RelatedOnlyFieldListFilter):
    """The filter by a person. The choice of rows without one has words."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.empty_value_display = mark_safe("Nobody")

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return by_name(super().field_choices(field, request, model_admin))


class OneAddressEach(Form):
    def clean_email(self) -> str:
        """Refuse another person's address: a mail that resets a password would name two accounts."""
        address: str = self.cleaned_data["email"]
        others = User.objects.exclude(pk=self.instance.pk).filter(email__iexact=address)  # type: ignore[attr-defined]
        if address and (other := others.first()):
            raise ValidationError(f"{full_name(other)} ({other.get_username()}) has this address.")
        return address


class NewPersonForm(OneAddressEach, AdminUserCreationForm):  # type: ignore[type-arg]
    pass


class PersonForm(OneAddressEach, UserChangeForm):  # type: ignore[type-arg]
    pass


admin.site.unregister(User)


@admin.register(User)
class PersonAdmin(UserAdmin):  # type: ignore[type-arg]
    form = PersonForm
    add_form = NewPersonForm
    list_display = ["username", "first_name", "last_name", "email", "is_active", "is_staff"]
    add_fieldsets = [
        (
            None,
            {
                "classes": ["wide"],
                "fields": ["username", "first_name", "last_name", "email", "usable_password", "password1", "password2"],
                "description": "The address gets the mails about failed documents and about a forgotten password. "
                "An assessor needs no more than this; a colleague of the office is made staff on the next page, "
                "and gets a group.",
            },
        )
    ]
