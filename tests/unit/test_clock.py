"""The moments that people see are those of the database's clock, also when the clock of a machine is months off."""

import os
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.contrib.sessions.models import Session
from django.test import Client as Visitor
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from assessments.documents import panel, queue, snapshot
from assessments.live.door import people_of
from assessments.models import Assessment, Attempt, Batch, Heartbeat
from assessments.storage.folder import remove_left_parts
from tests.cast import add_photos, make_assessment, session_of
from tests.life import claimed
from tests.office import change_page, errors_in, fields_of, visitor_of

OFF = [timedelta(days=-400), timedelta(days=400)]


@pytest.fixture(params=OFF, ids=["behind", "ahead"])
def wrong_clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    put_off(request.param, monkeypatch)


def put_off(by: timedelta, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put this machine's clock off. Django asks the machine through ``timezone.now``; SQLite's own clock is right."""
    monkeypatch.setattr(timezone, "now", lambda: datetime.now(UTC) + by)


def is_now(moment: datetime | None) -> bool:
    return moment is not None and abs(datetime.now(UTC) - moment) < timedelta(minutes=5)


def today() -> datetime:
    return datetime.now(UTC).astimezone(timezone.get_current_timezone())


@pytest.mark.usefixtures("wrong_clock")
def test_rows_are_stored_with_the_time_of_the_database(assessor: User) -> None:
    assessment = Assessment.objects.create(assessor=assessor)
    assert is_now(assessment.created_at)
    assert assessment.number == f"ASM-{today().year}-001"
    assert assessment.allot_report_number() == f"REP-{today().year}-00001"
    [photo] = add_photos(assessment, 1)
    assert is_now(photo.uploaded_at)
    batch, _ = queue.request(assessment, by=assessor)
    assert batch
    assert is_now(Batch.objects.get(pk=batch.pk).requested_at)
    attempt = claimed(assessment)
    attempt.fail("It broke.")
    ended = Attempt.objects.get(pk=attempt.pk)
    assert ended.ended_at
    assert is_now(ended.started_at)
    assert ended.started_at <= ended.ended_at


@pytest.mark.usefixtures("wrong_clock")
def test_a_paper_says_the_day_of_the_database(assessor: User) -> None:
    assessment = make_assessment(assessor, photos=0)
    queue.request(assessment, ["report"], by=assessor)
    attempt = claimed(assessment)
    assert snapshot.take(attempt).made_on == today().date()


@pytest.mark.usefixtures("wrong_clock")
def test_the_page_says_when_a_file_was_made_and_how_long_the_next_will_take(assessor: User) -> None:
    assessment = make_assessment(assessor, photos=0)
    queue.request(assessment, ["report"], by=assessor)
    attempt = claimed(assessment)
    attempt.report(None, "Making", expected_seconds=600.0)
    [row] = [row for row in panel.load([assessment.pk])[assessment.pk].rows if row.document.kind == "report"]
    assert row.left == pytest.approx(600, abs=60)
    attempt.finish(size=3, sha256="0" * 64, message="1 page", pages=1)
    html = visitor_of(assessor).get(f"/assessments/{assessment.number}/").content.decode()
    assert re.search(r"made at \d\d:\d\d by", html)


@pytest.mark.django_db
@pytest.mark.usefixtures("wrong_clock")
def test_a_worker_that_gives_signs_of_life_is_alive_in_the_admin() -> None:
    Heartbeat.beat(Heartbeat.Role.WORKER)
    admin = visitor_of(User.objects.create_superuser("admin"))
    assert 'alt="True"' in admin.get("/admin/assessments/heartbeat/").content.decode()


def test_a_session_that_a_web_with_a_wrong_clock_began_lasts_as_long_as_any(assessor: User, wrong_clock: None) -> None:
    key = session_of(assessor)
    left = Session.objects.get(session_key=key).expire_date - datetime.now(UTC)
    assert abs(left - timedelta(hours=12)) < timedelta(minutes=5)


@pytest.mark.parametrize("off", OFF)
def test_a_web_with_a_wrong_clock_knows_who_is_signed_in_and_whose_session_is_over(
    assessor: User, off: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = visitor_of(assessor)
    key = visitor.cookies["sessionid"].value
    put_off(off, monkeypatch)
    assert visitor.get("/assessments/").status_code == 200
    assert people_of([key]) == {key: assessor}
    Session.objects.update(expire_date=datetime.now(UTC) - timedelta(minutes=1))
    assert visitor.get("/assessments/").status_code == 302
    assert people_of([key]) == {}


@pytest.mark.parametrize("off", OFF)
def test_the_admin_asks_about_dates_after_the_day_of_the_database(
    assessment: Assessment, office: Visitor, off: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = change_page(assessment)
    typed = fields_of(office, page) | dict.fromkeys(("incident_on", "instructed_on"), "")
    put_off(off, monkeypatch)
    tomorrow, yesterday = (f"{today() + timedelta(days=days):%d/%m/%Y}" for days in (1, -1))
    answer = office.post(page, typed | {"inspected_on": tomorrow})
    assert "is in the future" in errors_in(answer)
    assert office.post(page, typed | {"inspected_on": yesterday}).status_code == 302


@pytest.mark.parametrize("off", OFF)
def test_a_link_to_reset_a_password_is_good_for_an_hour_of_the_database(
    assessor: User, client: Visitor, off: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = PasswordResetTokenGenerator()
    made = [tokens._num_seconds(datetime.now() - timedelta(minutes=age)) for age in (50, 70)]  # noqa: DTZ005
    fresh, old = (tokens._make_token_with_timestamp(assessor, seconds, tokens.secret) for seconds in made)
    # Django asks the machine here.
    monkeypatch.setattr(PasswordResetTokenGenerator, "_now", lambda self: datetime.now() + off)  # noqa: DTZ005
    address = f"/password/reset/{urlsafe_base64_encode(force_bytes(assessor.pk))}"
    assert 'name="new_password1"' in client.get(f"{address}/{fresh}/", follow=True).content.decode()
    assert "no longer good" in client.get(f"{address}/{old}/", follow=True).content.decode()


def test_half_files_are_as_old_as_their_own_file_system_says(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    media = folders / "media"
    media.mkdir()
    (media / ".part-new").touch()
    (media / ".part-old").touch()
    yesterday = (media / ".part-new").stat().st_mtime - 25 * 3600
    os.utime(media / ".part-old", (yesterday, yesterday))
    monkeypatch.setattr(time, "time", lambda: yesterday + 400 * 86_400)
    remove_left_parts()
    assert [path.name for path in media.iterdir()] == [".part-new"]
