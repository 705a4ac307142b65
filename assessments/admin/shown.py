"""Forms that save what a person changed, and never what another person saved since the form was shown.

Each field of a saved row carries, as a hidden value, the value that it showed (Django's ``show_hidden_initial``). A
field that only the other person changed keeps the other person's value. A field that both changed is refused, with both
values.
"""

from datetime import date
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.forms import BaseInlineFormSet, BoundField, ChoiceField, ModelChoiceField, ModelForm
from django.utils.text import normalize_newlines

from assessments.printing.formatting import day


class ShownForm(ModelForm):  # type: ignore[type-arg]
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # The fields that another person has changed, and that this form would take back or remove.
        self.theirs: list[str] = []
        if self.instance._state.adding:
            return
        for name, field in self.fields.items():
            field.show_hidden_initial = not self.is_bound or self.add_initial_prefix(name) in self.data

    def _clean_fields(self) -> None:
        super()._clean_fields()  # type: ignore[misc]
        for name, bound in self._bound_items():  # type: ignore[attr-defined]
            if bound.field.show_hidden_initial:
                self.compare(name, bound)

    def compare(self, name: str, bound: BoundField) -> None:
        now = self.initial.get(name)
        if text(bound, now) == normalize_newlines(self.data[bound.html_initial_name]):
            return
        mine = bound._has_changed()  # type: ignore[attr-defined]
        if mine and bound.field.has_changed(now, bound.data):
            self.add_error(
                name,
                f"This was changed to {words(bound, now)} after you had opened the page; "
                f"you wrote {words(bound, self.cleaned_data.get(name, bound.data))}. Save again to keep yours.",
            )
        # The next save is compared with what is shown now.
        data: Any = self.data
        self.data = data = data.copy()
        data[bound.html_initial_name] = text(bound, now)
        if not mine or name in self.errors:
            self.theirs.append(name)
        if not mine:
            self.cleaned_data.pop(name, None)
            data[bound.html_name] = bound.field.widget.format_value(now) if isinstance(now, date) else text(bound, now)

    def validate_constraints(self) -> None:
        """Ask the database about the constraints of a row that has changed: it holds every other row as it is.

        Django asks about each constraint of each row: half of the time in which a long estimate is saved.
        """
        if self.instance._state.adding or self.has_changed():
            super().validate_constraints()

    def save(self, commit: bool = True) -> Any:
        if commit and not self.instance._state.adding:
            super().save(commit=False)
            save_changed(self)
            self.save_m2m()
            return self.instance
        return super().save(commit)


def save_changed(form: ModelForm) -> None:  # type: ignore[type-arg]
    columns = {field.name for field in form.instance._meta.concrete_fields}
    form.instance.save(update_fields=columns.intersection(form.changed_data))


def text(bound: BoundField, value: Any) -> str:
    """Return a value as the hidden input has it."""
    prepared = bound.field.prepare_value(value)
    return "" if prepared is None else normalize_newlines(str(prepared))


def words(bound: BoundField, value: Any) -> str:
    """Return a value as a person reads it."""
    field = bound.field
    if value in field.empty_values:
        return "nothing"
    if isinstance(field, ModelChoiceField):
        value = value if isinstance(value, models.Model) else field.queryset.filter(pk=value).first()  # type: ignore[union-attr]
    elif isinstance(field, ChoiceField):
        value = dict(field.choices).get(value, value)  # type: ignore[arg-type]
    elif isinstance(value, date):
        value = day(value)
    return f"“{value}”"


class ShownFormSet(BaseInlineFormSet):  # type: ignore[type-arg]
    def clean(self) -> None:
        super().clean()
        rows: Any = self.initial_forms
        now = self.get_queryset()
        if self.fk.unique and not rows and (theirs := now.first()):
            self.refuse_second(theirs)
        # The admin shows the forms beside the rows of the query set, as many as there are of both.
        self._queryset = [form.instance for form in rows]
        removed = [form for form in rows if self._should_delete_form(form)]  # type: ignore[attr-defined]
        for form in rows:
            if form.instance._state.adding and form not in removed:
                form.add_error(
                    None,
                    "This row was removed after you had opened the page. "
                    "Mark it for deletion to save without it, or enter it again as a new row.",
                )
        if changed := ", ".join(str(form.instance) for form in removed if form.theirs):
            raise ValidationError(
                f"This was changed after you had opened the page, so it was not removed: {changed}. "
                "Save again to remove it."
            )

    def refuse_second(self, theirs: models.Model) -> None:
        for form in self.extra_forms:
            if form.has_changed():
                form.add_error(
                    None,
                    f"This was entered after you had opened the page: {theirs}. Yours is not saved. "
                    "Open the page in another tab to see theirs and to change it.",
                )
