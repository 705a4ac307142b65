"""Dates in the admin: typed in the office's order, said in words, and questioned when they are hardly possible."""

from datetime import date
from itertools import pairwise
from typing import Any

from django.conf import settings
from django.contrib.admin.widgets import AdminDateWidget
from django.core.exceptions import ValidationError
from django.forms import DateField
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from assessments.models.lease import database_now
from assessments.printing.formatting import day

from .shown import ShownForm

# As the office types a date in figures, and with the month as a word.
EXAMPLE = {"day": "31/12/2026", "month": "12/31/2026", "year": "2026/12/31"}[settings.DATE_ORDER]
NO_DATE = f"This is no date. Enter a date such as {EXAMPLE} or 31 December 2026."


class DateInWords(AdminDateWidget):
    class Media:
        css = {"all": ["css/admin.css"]}
        js = ["js/dates.js"]

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        field = super().render(name, value, attrs, renderer)
        known = (attrs or {}).get("id", "")
        return format_html(
            '{}<output class="in-words" for="{}" data-order="{}">{}</output>',
            field,
            known,
            settings.DATE_ORDER,
            self.words(value),
        )

    @staticmethod
    def words(value: Any) -> str:
        try:
            found = DateField(required=False).clean(value)
        except ValidationError:
            return ""
        return day(found) if found else ""


class DatedForm(ShownForm):
    """Asks the person who changes dates whether they are right, if they are in an unlikely order or in the future."""

    # The dates that are past, in the order in which they usually come, and those that have no place in an order.
    in_order: tuple[str, ...] = ()
    past: tuple[str, ...] = ()

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not {*self.in_order, *self.past}.intersection(self.changed_data):
            return cleaned
        known = {name: cleaned.get(name, self.initial.get(name)) for name in (*self.in_order, *self.past)}
        dates = {name: found for name, found in known.items() if isinstance(found, date) and name not in self.errors}
        answer = " ".join(map(str, dates.values()))
        if self.data.get(self.add_prefix("dates-are-right")) != answer and (doubts := self.doubts(dates)):
            self.add_error(
                None,
                ValidationError(
                    format_html(
                        "{} Correct the dates, or confirm that they are right, then save again. "
                        '<label><input type="checkbox" name="{}" value="{}"> The dates are right</label>',
                        " ".join(doubts),
                        self.add_prefix("dates-are-right"),
                        answer,
                    )
                ),
            )
        return cleaned

    def doubts(self, dates: dict[str, date]) -> list[str]:
        today = timezone.localdate(database_now())
        said = {name: f"{str(self.fields[name].label).lower()}, {day(found)}," for name, found in dates.items()}
        ordered = [name for name in self.in_order if name in dates]
        return [
            *(f"The {said[name]} is in the future." for name in dates if dates[name] > today),
            *(
                f"The {said[second]} is before the {said[first].rstrip(',')}."
                for first, second in pairwise(ordered)
                if dates[second] < dates[first]
            ),
        ]


class VehicleForm(DatedForm):
    past = ("last_service_on",)


class ValuationForm(DatedForm):
    past = ("valued_on",)
