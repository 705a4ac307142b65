"""The rules that the models and the database enforce by themselves."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, connections, transaction
from django.db.migrations import AddField
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from assessments.models import (
    Accessory,
    Assessment,
    Client,
    Counter,
    Damage,
    Document,
    Estimate,
    EstimateLine,
    Office,
    Photo,
    Tyre,
    Valuation,
    Vehicle,
)
from tests.cast import make_person

WORKERS = 8
# The figures of an estimate that an assessor agrees on with the insurer.
RATES = [
    *("labour_rate", "paint_rate", "markup_oem", "markup_aftermarket", "markup_second_hand", "markup_outwork"),
    *("sundries_percent", "vat_percent"),
]


@pytest.fixture
def bare(assessor: User) -> Assessment:
    """Return an assessment without any data."""
    return Assessment.objects.create(assessor=assessor)


def in_threads(times: int, work: Callable[[int], Any]) -> list[Any]:
    """Do the work ``times`` times at once, each time in a thread with a database connection of its own."""

    def alone(index: int) -> Any:
        try:
            return work(index)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(alone, range(times)))


# A program that allots numbers in a process of its own, on the database of the test.
COUNTING = """
import json, sys, django
django.setup()
from django.db import connections
connections.databases["default"].update(json.loads(sys.argv[1]))
from assessments.models import Counter
print(*(Counter.allot("TEST") for _ in range(50)))
"""


# Numbers


def test_the_first_numbers_of_a_year_have_three_digits_and_count_from_one(assessor: User) -> None:
    year = timezone.localdate().year
    numbers = [Assessment.objects.create(assessor=assessor).number for _ in range(2)]
    assert numbers == [f"ASM-{year}-001", f"ASM-{year}-002"]


def test_the_number_grows_a_digit_after_999(assessor: User) -> None:
    year = timezone.localdate().year
    Counter.objects.create(series=f"ASM-{year}", last=999)
    assert Assessment.objects.create(assessor=assessor).number == f"ASM-{year}-1000"


@pytest.mark.django_db(transaction=True)
def test_assessments_made_at_the_same_time_all_get_numbers_of_their_own() -> None:
    assessor = User.objects.create_user("nkosi")
    numbers = in_threads(40, lambda _: Assessment.objects.create(assessor=assessor).number)
    assert sorted(int(number.rpartition("-")[2]) for number in numbers) == list(range(1, 41))
    assert Document.objects.count() == 160


@pytest.mark.django_db(transaction=True)
def test_processes_that_count_at_the_same_time_never_get_the_same_number() -> None:
    database = {key: str(connection.settings_dict[key]) for key in ("NAME", "HOST", "PORT", "USER", "PASSWORD")}
    command = [sys.executable, "-c", COUNTING, json.dumps(database)]
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings"}
    counting = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    numbers = [int(number) for process in counting for number in process.communicate(timeout=120)[0].split()]
    assert sorted(numbers) == list(range(1, 201))


@pytest.mark.django_db(transaction=True)
def test_a_number_is_given_back_when_its_assessment_is_not_saved() -> None:
    assessor = User.objects.create_user("nkosi")
    with transaction.atomic():
        Assessment.objects.create(assessor=assessor)
        transaction.set_rollback(True)
    assert Assessment.objects.create(assessor=assessor).number.endswith("-001")


@pytest.mark.django_db(transaction=True)
def test_all_requests_at_the_same_time_for_a_report_number_get_the_same_number() -> None:
    assessment = Assessment.objects.create(assessor=User.objects.create_user("nkosi"))
    given = in_threads(16, lambda _: Assessment.objects.get(pk=assessment.pk).allot_report_number())
    assert len(set(given)) == 1
    assert re.fullmatch(r"REP-\d{4}-00001", given[0])
    assert Counter.objects.get(series=given[0][:8]).last == 1


def test_a_report_number_is_kept_for_good(bare: Assessment) -> None:
    first = bare.allot_report_number()
    bare.refresh_from_db()
    assert bare.allot_report_number() == first == bare.report_number


# Slots


def test_a_new_assessment_has_four_empty_documents_in_order(bare: Assessment) -> None:
    slots = list(bare.documents.values_list("kind", "status", "position"))
    assert slots == [
        ("report", "idle", 0),
        ("estimate", "idle", 1),
        ("photos-pdf", "idle", 2),
        ("photos-zip", "idle", 3),
    ]


def test_saving_an_assessment_again_opens_no_more_slots(bare: Assessment) -> None:
    bare.notes = "Seen again."
    bare.save()
    assert bare.documents.count() == 4


def test_saving_an_old_instance_does_not_undo_the_changes_of_workers(bare: Assessment) -> None:
    bare.documents.filter(kind="report").change(bare.pk, message="Next")
    bare.save()
    bare.refresh_from_db()
    assert bare.revision == 1


# Visibility


def test_an_assessor_sees_own_assessments_and_staff_see_all_and_a_stranger_sees_none(bare: Assessment) -> None:
    other = User.objects.create_user("other")
    staff, gone = make_person("staff", is_staff=True), make_person("gone", is_staff=True)
    gone.is_active = False
    seen_by = [bare.assessor, staff, other, gone, AnonymousUser()]
    assert [Assessment.objects.visible_to(user).count() for user in seen_by] == [1, 1, 0, 0, 0]  # type: ignore[arg-type]


# The database refuses


def photo(assessment: Assessment, **values: Any) -> Photo:
    plain = {"original": "x.jpg", "name": "x.jpg", "extension": "jpg", "size": 1, "width": 1, "height": 1}
    return Photo(assessment=assessment, sha256="0" * 64, **{**plain, **values})


REFUSED: dict[str, Callable[[Assessment], Any]] = {
    "a negative excess": lambda a: Assessment(assessor=a.assessor, excess=-1),
    "an unknown status": lambda a: Assessment(assessor=a.assessor, status="lost"),
    "a second office": lambda a: Office(pk=2),
    "a client with 101 %": lambda a: Client(name="Insurer", total_percent=101),
    "a client below 0 %": lambda a: Client(name="Insurer", salvage_percent=-1),
    "an unknown gearbox": lambda a: Vehicle(assessment=a, make="VW", model="Polo", transmission="cvt"),
    "a negative value": lambda a: Valuation(assessment=a, retail=-1),
    "negative extras": lambda a: Valuation(assessment=a, extras=-1),
    "a tyre in an unknown place": lambda a: Tyre(assessment=a, position="roof"),
    "a negative tread": lambda a: Tyre(assessment=a, position="spare", tread=-1),
    "a custom accessory without a name": lambda a: Accessory(assessment=a, kind="custom"),
    "a negative accessory": lambda a: Accessory(assessment=a, kind="winch", value=-1),
    "unknown damage": lambda a: Damage(assessment=a, area="structural", kind="rust", severity="minor"),
    "a negative rate": lambda a: Estimate(assessment=a, labour_rate=-1),
    "a markup over 100 %": lambda a: Estimate(assessment=a, markup_oem=Decimal("100.01")),
    "a negative VAT": lambda a: Estimate(assessment=a, vat_percent=-1),
    "a photo in an unknown section": lambda a: photo(a, section="selfies"),
    "a photo of negative size": lambda a: photo(a, size=-1),
    "a second document of a kind": lambda a: Document(assessment=a, kind="report", position=4),
    "a document of an unknown kind": lambda a: Document(assessment=a, kind="invoice", position=4),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED.keys())
def test_the_database_refuses_a_wrong_row(bare: Assessment, make: Callable[[Assessment], Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        make(bare).save()


REFUSED_LINES: dict[str, dict[str, Any]] = {
    "a new part without a part type": {"process_type": "N"},
    "a repair with a part type": {"process_type": "R", "part_type": "OEM"},
    "an unknown process": {"process_type": "X"},
    "a negative part price": {"part_price": -1},
    "negative hours": {"labour_hours": -1},
    "negative strip hours": {"strip_hours": -1},
    "negative panels": {"paint_panels": -1},
    "negative outwork": {"outwork": -1},
    "a betterment over 100 %": {"betterment_paint": 101},
    "a negative betterment": {"betterment_part": -1},
}


@pytest.mark.parametrize("values", REFUSED_LINES.values(), ids=REFUSED_LINES.keys())
def test_the_database_refuses_a_wrong_line(bare: Assessment, values: dict[str, Any]) -> None:
    estimate = Estimate.objects.create(assessment=bare)
    with pytest.raises(IntegrityError), transaction.atomic():
        EstimateLine.objects.create(estimate=estimate, **{"process_type": "R", "description": "Bonnet", **values})


def test_the_database_refuses_a_second_tyre_in_the_same_place(bare: Assessment) -> None:
    Tyre.objects.create(assessment=bare, position="spare")
    with pytest.raises(IntegrityError), transaction.atomic():
        Tyre.objects.create(assessment=bare, position="spare")


@pytest.mark.parametrize(
    "values",
    [
        {"status": "processing"},
        {"lease_token": "12345678123456781234567812345678"},
        {"progress": 101},
        {"status": "finished"},
    ],
    ids=lambda values: "-".join(map(str, values.items())),
)
def test_the_database_refuses_a_wrong_document(bare: Assessment, values: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        bare.documents.filter(kind="report").update(**values)


def test_the_database_refuses_two_documents_of_an_assessment_in_processing(bare: Assessment) -> None:
    leased = {"status": "processing", "lease_token": "12345678123456781234567812345678"}
    bare.documents.filter(kind="report").update(**leased, lease_expires_at=timezone.now())
    with pytest.raises(IntegrityError), transaction.atomic():
        bare.documents.filter(kind="estimate").update(**leased, lease_expires_at=timezone.now())


def test_a_rate_may_be_zero(bare: Assessment) -> None:
    estimate = Estimate(assessment=bare, **dict.fromkeys(RATES, Decimal(0)))
    estimate.full_clean()
    estimate.save()
    estimate.refresh_from_db()
    assert {getattr(estimate, rate) for rate in RATES} == {Decimal(0)}


# Rates


@pytest.mark.parametrize("status", ["submitted", "archived", "cancelled"])
@pytest.mark.parametrize("rate", RATES)
def test_rates_are_frozen_from_submission_on(bare: Assessment, rate: str, status: str) -> None:
    estimate = Estimate.objects.create(assessment=bare)
    bare.status = status
    bare.save()
    setattr(estimate, rate, Decimal("7.00"))
    with pytest.raises(ValidationError, match="frozen"):
        estimate.full_clean()


@pytest.mark.parametrize("rate", RATES)
def test_rates_are_open_while_in_progress(bare: Assessment, rate: str) -> None:
    estimate = Estimate.objects.create(assessment=bare)
    setattr(estimate, rate, Decimal("7.00"))
    estimate.full_clean()


def test_other_fields_than_rates_can_change_after_submission(bare: Assessment) -> None:
    estimate = Estimate.objects.create(assessment=bare)
    bare.status = Assessment.Status.SUBMITTED
    bare.save()
    estimate.notes = "The insurer called."
    estimate.full_clean()


def test_the_test_database_is_a_file_that_several_processes_can_open(db: None) -> None:
    """The tests of concurrency above would prove nothing with a database in memory."""
    if connection.vendor == "sqlite":
        assert Path(str(connection.settings_dict["NAME"])).is_file()


def test_an_older_version_can_add_rows_while_an_update_runs() -> None:
    migrations = MigrationLoader(None).disk_migrations
    added = [
        operation
        for (application, _), migration in migrations.items()
        for operation in migration.operations
        if application == "assessments" and isinstance(operation, AddField)
    ]
    assert len(added) > 5
    for operation in added:
        field = operation.field
        assert field.null or field.has_db_default() or field.many_to_many or field.generated, (
            f"{operation.describe()}: an older version does not know this column, so the database must fill it"
        )
