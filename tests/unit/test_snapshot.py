"""The snapshot that a generator gets: rows as plain values, choices in words."""

import pickle
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from assessments.documents import queue, snapshot
from assessments.models import Accessory, Assessment, Attempt, Client, EstimateLine, Office, Photo, Tyre
from tests import cast

REPORT, ESTIMATE, PHOTOS_PDF, PHOTOS_ZIP = cast.KINDS


def attempt_at(assessment: Assessment, kind: str) -> Attempt:
    queue.request(assessment, [kind])
    attempt = queue.claim(assessment.pk)
    assert attempt is not None
    return attempt


@pytest.mark.parametrize("kind", cast.KINDS)
def test_a_snapshot_survives_the_way_into_another_process(assessment: Assessment, kind: str) -> None:
    content = snapshot.take(attempt_at(assessment, kind))
    assert pickle.loads(pickle.dumps(content)) == content


def test_a_snapshot_names_the_document_the_assessment_and_the_people(assessment: Assessment, assessor: User) -> None:
    User.objects.filter(pk=assessor.pk).update(first_name="Priya", last_name="Nkosi")
    Office.objects.create(pk=1, name="Bay Assessors", accent_colour="#123456")
    content = snapshot.take(attempt_at(assessment, ESTIMATE))
    assert (content.kind, content.title, content.number) == ("estimate", "Estimate", assessment.number)
    assert content.made_on == timezone.localdate()
    assert (content.office.name, content.office.accent_colour) == ("Bay Assessors", "#123456")
    assert content.client is not None
    assert content.client.name == "Karoo Insurance"
    assert (content.inspection.assessor, content.inspection.status) == ("Priya Nkosi", "In progress")
    assert content.insured.name == "Thandi Mokoena"
    assert content.incident.happened_on == date(2026, 2, 27)
    assert content.claim.excess == Decimal("3500.00")


def test_choices_are_in_words_and_lines_keep_their_codes(assessment: Assessment) -> None:
    Accessory.objects.create(assessment=assessment, kind="custom", name="Dash camera", condition="good")
    content = snapshot.take(attempt_at(assessment, REPORT))
    assert content.vehicle is not None
    assert content.vehicle.title == "2021 Toyota Corolla 1.8 XS"
    assert (content.vehicle.condition, content.vehicle.srs) == ("Good", "Operational")
    assert (content.damage[0].area, content.damage[0].severity) == ("Non-structural", "Moderate")
    assert [(one.name, one.condition) for one in content.accessories] == [("Tow bar", ""), ("Dash camera", "Good")]
    assert content.estimate is not None
    assert (content.estimate.result, content.estimate.result_key) == ("Repair (economic)", "repair")
    assert [one.process_type for one in content.estimate.lines] == list("NRPBAO")
    assert content.estimate.lines[0].part_type == "OEM"


def test_tyres_come_in_the_order_of_the_document_and_not_of_their_entry(assessment: Assessment) -> None:
    assessment.tyres.all().delete()
    for position in ("spare", "left_front", "right_front"):
        Tyre.objects.create(assessment=assessment, position=position)
    tyres = snapshot.take(attempt_at(assessment, REPORT)).tyres
    assert [tyre.position for tyre in tyres] == ["Right front", "Left front", "Spare"]


def test_the_first_report_is_given_a_number_and_keeps_it(assessment: Assessment) -> None:
    first = attempt_at(assessment, REPORT)
    number = snapshot.take(first).report_number
    assert number == f"REP-{timezone.localdate().year}-00001"
    assert snapshot.take(first).report_number == number
    assessment.refresh_from_db()
    assert assessment.report_number == number


def test_an_estimate_uses_up_no_report_number(assessment: Assessment) -> None:
    assert snapshot.take(attempt_at(assessment, ESTIMATE)).report_number == ""
    assessment.refresh_from_db()
    assert assessment.report_number is None


def test_a_snapshot_has_the_number_of_the_version_to_be_made(assessment: Assessment) -> None:
    attempt = attempt_at(assessment, ESTIMATE)
    assert snapshot.take(attempt).version == 1
    version = attempt.finish(size=1, sha256="0" * 64)
    assert version.number == 1
    assert snapshot.take(attempt_at(assessment, ESTIMATE)).version == 2


def test_the_snapshot_of_an_empty_assessment_has_empty_parts(assessor: User) -> None:
    content = snapshot.take(attempt_at(Assessment.objects.create(assessor=assessor), REPORT))
    assert (content.vehicle, content.client, content.valuation, content.estimate) == (None, None, None, None)
    assert (content.tyres, content.accessories, content.damage, content.photos) == ((), (), (), ())
    assert content.currency == "ZAR"
    assert content.inspection.assessor == "assessor"


def test_a_client_without_changes_has_the_usual_limits(assessment: Assessment) -> None:
    Client.objects.update(salvage_percent=Decimal("30.00"))
    client = snapshot.take(attempt_at(assessment, REPORT)).client
    assert client is not None
    limits = (client.borderline_percent, client.total_percent, client.salvage_percent)
    assert limits == (Decimal(65), Decimal(70), Decimal(30))


# Photos -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [PHOTOS_PDF, PHOTOS_ZIP])
def test_photos_come_by_section_and_then_by_position(assessor: User, kind: str) -> None:
    assessment = cast.make_assessment(assessor, photos=0)
    for section, position in [("accessories", 1), ("damage", 2), ("damage", 1), ("vehicle_identification", 9)]:
        cast.add_photo(assessment, cast.picture(position), "IMG.jpg", section, position)
    photos = snapshot.take(attempt_at(assessment, kind)).photos
    assert [(photo.folder, photo.position) for photo in photos] == [
        ("01_Vehicle_Identification", 9),
        ("05_Damage", 1),
        ("05_Damage", 2),
        ("08_Accessories", 1),
    ]


def test_every_section_of_photos_has_its_folder() -> None:
    assert [section.folder for section in Photo.Section] == [
        "01_Vehicle_Identification",
        "02_Exterior_360",
        "03_Interior_Mechanical",
        "04_Tyres_and_Rims",
        "05_Damage",
        "06_Pre_Incident",
        "07_Additionals",
        "08_Accessories",
    ]


def test_a_photo_leads_to_its_files(assessment: Assessment) -> None:
    row = assessment.photos.first()
    assert row is not None
    row.print_image.name = f"photos/{assessment.number}/print/small.jpg"
    row.problem = ""
    row.save()
    (photo, *_) = snapshot.take(attempt_at(assessment, PHOTOS_PDF)).photos
    assert photo.original.read_bytes() == cast.picture(1)
    assert photo.print_image == Path(row.print_image.path)
    assert (photo.section, photo.section_label) == ("vehicle_identification", "Vehicle identification")
    assert (photo.name, photo.extension, photo.size) == ("IMG_0001.jpg", "jpg", len(cast.picture(1)))


def test_a_report_shows_six_photos_of_the_damage(assessor: User) -> None:
    assessment = cast.make_assessment(assessor, photos=2)
    for position in range(1, 9):
        cast.add_photo(assessment, cast.picture(position), f"{position}.jpg", "damage", position)
    Photo.objects.filter(name="2.jpg").update(state="unreadable", problem="The file is damaged.")
    photos = snapshot.take(attempt_at(assessment, REPORT)).photos
    assert [photo.name for photo in photos] == ["1.jpg", "3.jpg", "4.jpg", "5.jpg", "6.jpg", "7.jpg"]


def test_a_report_without_photos_of_the_damage_shows_the_outside(assessor: User) -> None:
    assessment = cast.make_assessment(assessor, photos=2)
    assert [photo.section for photo in snapshot.take(attempt_at(assessment, REPORT)).photos] == ["exterior_360"]


def test_an_estimate_shows_no_photos(assessment: Assessment) -> None:
    assert snapshot.take(attempt_at(assessment, ESTIMATE)).photos == ()


# The work -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "units"), [(REPORT, 1), (ESTIMATE, 6), (PHOTOS_PDF, 3), (PHOTOS_ZIP, 3)])
def test_the_work_is_counted_in_photos_or_lines(assessment: Assessment, kind: str, units: int) -> None:
    assert snapshot.take(attempt_at(assessment, kind)).units == units


@pytest.mark.parametrize(("kind", "queries"), [(REPORT, 8), (ESTIMATE, 5), (PHOTOS_PDF, 4), (PHOTOS_ZIP, 4)])
def test_a_snapshot_takes_few_queries_however_many_rows_there_are(
    assessment: Assessment, kind: str, queries: int, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    cast.add_photos(assessment, 12)
    estimate = assessment.estimate
    EstimateLine.objects.bulk_create(
        EstimateLine(estimate=estimate, process_type="A", description=f"Line {number}") for number in range(50)
    )
    assessment.allot_report_number()
    attempt = attempt_at(assessment, kind)
    with django_assert_max_num_queries(queries):
        snapshot.take(attempt)
