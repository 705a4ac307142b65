"""The assessment: one damaged vehicle, inspected by one assessor for one claim."""

import re
from collections import defaultdict
from typing import Any, Self

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.core.validators import RegexValidator
from django.db import models, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from assessments import usual

from . import states
from .fields import ChoiceField, money, not_negative, percent, within_percent
from .lease import database_now
from .rights import changes_all, reads_all
from .search import bare, holding, rarity, search_column, words
from .states import NotAllowed, Step

DEFAULT_TERMS = (
    "This document reports what was visible and accessible at the time of the inspection, without dismantling. "
    "Damage found during the repair must be reported to the assessor, with photographs, before that work begins.\n"
    "The estimate is not an authority to repair. Repairs begin only on the written instruction of the insurer.\n"
    "Prices are those known on the day of the estimate. Parts are quoted subject to availability.\n"
    "Values are taken from the published guide named in this document and adjusted for the vehicle's condition.\n"
    "The document is made for the client named in it and may not be relied on by anybody else."
)

# The number of an assessment, and the id of an event: the assessment's number and the revision after the event.
NUMBER = re.compile(r"[A-Z]{3}-\d{4}-\d{3,9}", re.ASCII)
EVENT_ID = re.compile(rf"({NUMBER.pattern}):(\d{{1,18}})", re.ASCII)


class Counter(models.Model):
    """The last number given out in one series, such as ``ASM-2026``."""

    series = models.CharField(max_length=20, primary_key=True)
    last = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.series}: {self.last}"

    @classmethod
    def allot(cls, series: str) -> int:
        """Return the next number of a series, from 1 on. Two callers never get the same number.

        The update locks the row until the surrounding transaction ends; a rollback makes the number free again.
        """
        with transaction.atomic():
            cls.objects.get_or_create(series=series)
            cls.objects.filter(series=series).update(last=F("last") + 1)
            return int(cls.objects.values_list("last", flat=True).get(series=series))


def next_number(prefix: str, digits: int) -> str:
    """Return the next number of this year's series, such as ``ASM-2026-001``."""
    series = f"{prefix}-{timezone.localdate(database_now()).year}"
    return f"{series}-{Counter.allot(series):0{digits}}"


class Office(models.Model):
    """The assessors' office: the one row of site settings that the documents print."""

    name = models.CharField(max_length=120, default="Vehicle Damage Assessors")
    registration = models.CharField(max_length=120, blank=True, help_text="Company and VAT registration, as printed.")
    address = models.TextField(blank=True)
    phone = models.CharField(max_length=40, blank=True)
    email = models.EmailField(blank=True)
    accent_colour = models.CharField(
        max_length=7,
        default=usual.ACCENT_COLOUR,
        validators=[RegexValidator(r"^#[0-9a-fA-F]{6}$", "Write a colour as # and six hexadecimal digits.")],
        help_text="The one accent colour of the documents, as #rrggbb.",
    )
    terms = models.TextField("terms and conditions", default=DEFAULT_TERMS)

    class Meta:
        verbose_name = verbose_name_plural = "office"
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="office_is_one_row")]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def current(cls) -> Self:
        return cls.objects.filter(pk=1).first() or cls(pk=1)


class Company(models.Model):
    name = models.CharField(max_length=120, unique=True)
    contact = models.CharField(max_length=120, blank=True)
    phone = models.CharField(max_length=40, blank=True)
    email = models.EmailField(blank=True)

    class Meta:
        abstract = True
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Client(Company):
    """The insurer for whom claims are assessed, with the shares of the value at which it writes a vehicle off."""

    borderline_percent = percent("borderline write-off %", usual.BORDERLINE)
    total_percent = percent("total write-off %", usual.TOTAL_WRITE_OFF)
    salvage_percent = percent("salvage %", usual.SALVAGE)

    class Meta(Company.Meta):
        constraints = within_percent("client", "borderline_percent", "total_percent", "salvage_percent")


class Repairer(Company):
    address = models.TextField(blank=True)


class AssessmentQuerySet(models.QuerySet["Assessment"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Return the assessments a user may see: all, by permission, or an assessor's own; none for a stranger."""
        if not user.is_active or not user.is_authenticated:
            return self.none()
        return self if reads_all(user) else self.filter(assessor_id=user.pk)

    def allowing(self, step: Step) -> Self:
        return self.filter(status__in=states.allowing(step))

    def search(self, text: str) -> Self:
        """Return the assessments that hold every word of a text: in the number, the claim, the vehicle or the client.

        A word may be a part of a fact, and may leave out or add blanks and dashes.
        """
        wanted = words(text)
        if not wanted:
            return self
        # The clients by the words in their names. There are few clients, and a word such as "insurance" is in most
        # assessments: so the other words are looked up first.
        named: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
        for pk, name in Client.objects.order_by().values_list("pk", "name"):
            if held := tuple(place for place, word in enumerate(wanted) if word.lower() in bare(name).lower()):
                named[held].append(pk)
        ways = [with_words(Assessment.objects.all(), wanted)]
        for held, clients in named.items():
            rest = [word for place, word in enumerate(wanted) if place not in held]
            ways.append(with_words(Assessment.objects.filter(client__in=clients), rest))
        return self.filter(pk__in=ways[0].union(*ways[1:]) if ways[1:] else ways[0])

    def lock(self, *pks: int) -> list[int]:
        """Lock assessments' rows until the transaction ends: decisions about their documents then come one by one.

        Return the keys of those rows that the query set finds.
        """
        # All callers lock rows in one order, as otherwise two callers could wait for each other. Rows that refer to
        # the locked rows, such as audit entries, can be added meanwhile.
        rows = self.select_for_update(no_key=True).filter(pk__in=pks).order_by("pk")
        return list(rows.values_list("pk", flat=True))

    def lock_free(self) -> list[int]:
        """Lock the rows of the query set that no other transaction has locked; return their keys. Do not wait."""
        return list(self.select_for_update(no_key=True, skip_locked=True).values_list("pk", flat=True))


def with_words(assessments: AssessmentQuerySet, wanted: list[str]) -> Any:
    """Return the keys of those of the assessments that hold all words themselves, or in their vehicles."""
    # A word with figures finds few rows by the indexes. The other words are compared with these rows alone.
    for place, word in enumerate(sorted(wanted, key=rarity, reverse=True)):
        own, vehicle = holding("searched", word), holding("vehicle__searched", word)
        if place == 0:
            # Each of the two queries uses the index of its table. With OR, the database would read both tables.
            found = [Assessment.objects.filter(each).order_by().values("pk") for each in (own, vehicle)]
            assessments = assessments.filter(pk__in=found[0].union(found[1]))
        else:
            assessments = assessments.filter(own | vehicle)
    return assessments.order_by().values("pk")


class Assessment(models.Model):
    KEPT = {"number", "report_number", "revision", "woken_at", "searched"}

    Status = states.Status

    number = models.CharField(max_length=20, unique=True, editable=False)
    report_number = models.CharField(max_length=20, unique=True, null=True, editable=False)
    assessor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="assessments")
    client = models.ForeignKey(Client, models.PROTECT, null=True, blank=True, related_name="assessments")
    status = ChoiceField(choices=Status, default=Status.IN_PROGRESS)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    notes = models.TextField(blank=True)

    claim_number = models.CharField(max_length=60, blank=True)
    policy_number = models.CharField(max_length=60, blank=True)
    instructed_on = models.DateField("instruction date", null=True, blank=True)
    excess = money("excess")

    insured_name = models.CharField(max_length=120, blank=True)
    insured_phone = models.CharField(max_length=40, blank=True)
    insured_email = models.EmailField(blank=True)
    insured_address = models.TextField(blank=True)

    incident_on = models.DateField("incident date", null=True, blank=True)
    incident_place = models.CharField(max_length=200, blank=True)
    incident_description = models.TextField(blank=True)
    driver_name = models.CharField(max_length=120, blank=True)
    police_reference = models.CharField(max_length=60, blank=True)

    inspected_on = models.DateField("inspection date", null=True, blank=True)
    inspection_place = models.CharField(max_length=200, blank=True)

    # Counts the changes of this assessment's documents; see Document.
    revision = models.PositiveBigIntegerField(default=0, editable=False)
    # When a worker was last woken for pending documents.
    woken_at = models.DateTimeField(null=True, editable=False)

    searched = search_column("number", "report_number", "claim_number", "policy_number", "insured_name")

    objects = AssessmentQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            *not_negative("assessment", "excess"),
        ]

    def __str__(self) -> str:
        return self.number

    def save(self, *args: Any, **options: Any) -> None:
        """Save the assessment; a new one also gets its number and its empty document slots.

        The columns in KEPT are not saved. Only updates of their own change these columns: an instance that was read a
        minute ago would write old values into them.
        """
        if not self._state.adding:
            if options.get("update_fields") is None:
                names = [column.name for column in self._meta.concrete_fields if not column.primary_key]
                options["update_fields"] = [name for name in names if name not in self.KEPT]
            super().save(*args, **options)
            return
        with transaction.atomic():
            if not self.number:
                self.number = next_number("ASM", digits=3)
            super().save(*args, **options)
            self.documents.open_slots(self)

    def allot_report_number(self) -> str:
        """Return the report number, ``REP-YYYY-NNNNN``. The first call allots the number, and later calls return it."""
        with transaction.atomic():
            kept = Assessment.objects.select_for_update().values_list("report_number", flat=True).get(pk=self.pk)
            if kept is None:
                kept = next_number("REP", digits=5)
                Assessment.objects.filter(pk=self.pk).update(report_number=kept)
        self.report_number = kept
        return kept

    def refusal(self, step: Step) -> str:
        """Return why the state does not allow a step; empty when it does."""
        return states.refusal(str(self.status), step)

    def require(self, step: Step) -> None:
        """Raise NotAllowed when the state does not allow a step."""
        if why := self.refusal(step):
            raise NotAllowed(why)

    def may_be_changed_by(self, user: AbstractBaseUser | AnonymousUser) -> bool:
        """Return whether a user who may see the assessment may also change it, and request its documents."""
        return user.pk == self.assessor_id or changes_all(user)
