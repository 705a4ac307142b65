"""A person whose requested documents failed gets one mail, with the reasons and with advice."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.db import connections
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from assessments.documents import mails, queue, tasks
from assessments.models import Assessment, Batch, BulkRequest
from assessments.models.lease import MAX_ATTEMPTS
from tests.cast import make_assessment, make_person
from tests.office import visitor_of

NO_PHOTOS = "This assessment has no photos. Add photos, then retry."


# A port on which no mail server listens, and the mailbox of the tests.
NOBODY = {
    "default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": {"host": "127.0.0.1", "port": 1}}
}
MAILBOX = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}


@pytest.fixture(autouse=True)
def site(settings: Settings) -> None:
    settings.SITE_URL = "https://documents.example.org"


def ask(assessment: Assessment, *kinds: str, by: User | None) -> Batch:
    batch, _ = queue.request(assessment, kinds or None, by=by, origin="page")
    assert batch is not None
    return batch


def run(assessment: Assessment, **errors: str) -> None:
    """Make all pending documents; a kind with an error in ``errors`` fails with that error."""
    while attempt := queue.claim(assessment.pk):
        error = errors.get(attempt.document.kind.replace("-", "_"))
        if error:
            attempt.fail(error)
        else:
            attempt.finish(size=3, sha256="0" * 64, message="1 page", pages=1)


def failed_batch(assessment: Assessment, by: User | None, **errors: str) -> Batch:
    batch = ask(assessment, by=by)
    run(assessment, **(errors or {"photos_pdf": NO_PHOTOS}))
    return batch


def the_mail() -> EmailMessage:
    assert len(mail.outbox) == 1
    message: EmailMessage = mail.outbox[0].message()
    return message


def bodies(message: EmailMessage) -> tuple[str, str]:
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    return plain.get_content(), html.get_content()


def test_the_mail_names_the_failed_document_and_the_reason_with_links_to_retry_and_to_the_page(
    assessment: Assessment, assessor: User
) -> None:
    failed_batch(assessment, assessor)
    assert mails.report_failures() == 1
    message = the_mail()
    assert message["Subject"] == f"{assessment.number}: 1 document failed, 3 of 4 ready"
    assert message["To"] == "assessor@example.org"
    # Absence notices and the like do not answer a mail with this header (RFC 3834).
    assert message["Auto-Submitted"] == "auto-generated"
    page = f"https://documents.example.org/assessments/{assessment.number}/"
    for body in bodies(message):
        assert "Photos PDF failed" in body
        assert NO_PHOTOS in body
        assert body.count(f"{page}documents/photos-pdf/retry/") == 1
        assert body.count("/retry/") == 1
        assert body.replace(f"{page}documents/", "").count(page) == 1


def test_each_failed_document_has_its_reason_and_its_retry_link(assessment: Assessment, assessor: User) -> None:
    failed_batch(assessment, assessor, report="The report broke.", photos_zip="A photo is missing.")
    assert mails.report_failures() == 1
    message = the_mail()
    assert message["Subject"] == f"{assessment.number}: 2 documents failed, 2 of 4 ready"
    for body in bodies(message):
        assert "The report broke." in body
        assert "A photo is missing." in body
        assert "/documents/report/retry/" in body
        assert "/documents/photos-zip/retry/" in body
        assert body.count("/retry/") == 2


def test_the_mail_has_the_reference_that_support_asks_for(assessment: Assessment, assessor: User) -> None:
    failed_batch(assessment, assessor)
    reference = assessment.documents.get(kind="photos-pdf").reference
    mails.report_failures()
    assert all(f"Reference for support: {reference}" in body for body in bodies(the_mail()))


def test_no_mail_is_sent_while_the_batch_runs(assessment: Assessment, assessor: User) -> None:
    ask(assessment, by=assessor)
    attempt = queue.claim(assessment.pk)
    assert attempt is not None
    attempt.fail("The report broke.")
    assert mails.report_failures() == 0
    assert mail.outbox == []
    run(assessment)
    assert mails.report_failures() == 1


def test_no_mail_is_sent_when_no_document_failed(assessment: Assessment, assessor: User) -> None:
    ask(assessment, by=assessor)
    run(assessment)
    assert mails.report_failures() == 0
    assert mail.outbox == []


def test_a_batch_is_reported_once(assessment: Assessment, assessor: User) -> None:
    batch = failed_batch(assessment, assessor)
    assert [mails.report_failures() for _ in range(3)] == [1, 0, 0]
    assert len(mail.outbox) == 1
    batch.refresh_from_db()
    assert batch.mailed_at is not None


@pytest.mark.django_db(transaction=True)
def test_one_of_several_reports_at_the_same_time_sends_the_mail() -> None:
    assessor = make_person("assessor")
    failed_batch(make_assessment(assessor, photos=0), assessor)
    assert sorted(at_once(6, mails.report_failures)) == [0] * 5 + [1]
    assert len(mail.outbox) == 1


def at_once(times: int, report: Callable[[], int]) -> list[int]:
    together = threading.Barrier(times)

    def begin(_: int) -> int:
        try:
            together.wait()
            return report()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(begin, range(times)))


def test_a_retry_that_fails_again_is_reported_again(assessment: Assessment, assessor: User) -> None:
    failed_batch(assessment, assessor)
    mails.report_failures()
    ask(assessment, "photos-pdf", by=assessor)
    run(assessment, photos_pdf=NO_PHOTOS)
    assert mails.report_failures() == 1
    assert [message.subject for message in mail.outbox] == [f"{assessment.number}: 1 document failed, 3 of 4 ready"] * 2


def test_a_retry_that_succeeds_is_not_reported(assessment: Assessment, assessor: User) -> None:
    failed_batch(assessment, assessor)
    mails.report_failures()
    ask(assessment, "photos-pdf", by=assessor)
    run(assessment)
    assert mails.report_failures() == 0
    assert len(mail.outbox) == 1


def test_a_failure_before_a_cancel_is_reported(assessment: Assessment, assessor: User) -> None:
    ask(assessment, by=assessor)
    attempt = queue.claim(assessment.pk)
    assert attempt is not None
    attempt.fail("The report broke.")
    queue.cancel_many([assessment.pk])
    assert mails.report_failures() == 1
    assert the_mail()["Subject"] == f"{assessment.number}: 1 document failed, 0 of 4 ready"


@pytest.mark.parametrize("address", ["", None])
def test_a_request_without_an_address_sends_no_mail_and_the_log_says_so(
    assessment: Assessment, assessor: User, address: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """``None`` stands for a request without a person, as from the command line."""
    if address is not None:
        User.objects.filter(pk=assessor.pk).update(email=address)
    failed_batch(assessment, None if address is None else assessor)
    with caplog.at_level(logging.INFO, "assessments.documents.mails"):
        assert mails.report_failures() == 0
    assert "no mail address" in caplog.text
    assert mail.outbox == []


@pytest.mark.parametrize(
    "lose_sight",
    [
        lambda assessment, assessor: User.objects.filter(pk=assessor.pk).update(is_active=False),
        lambda assessment, assessor: Assessment.objects.filter(pk=assessment.pk).update(assessor=make_person("heir")),
    ],
    ids=["left", "handed over"],
)
def test_a_person_who_may_no_longer_see_the_assessment_gets_no_mail(
    assessment: Assessment, assessor: User, lose_sight: Callable[[Assessment, User], Any]
) -> None:
    failed_batch(assessment, assessor)
    lose_sight(assessment, assessor)
    assert mails.report_failures() == 0
    assert mails.report_failures() == 0
    assert mail.outbox == []


def test_a_text_of_users_is_plain_in_plain_text_and_escaped_in_html(assessment: Assessment, assessor: User) -> None:
    failed_batch(assessment, assessor, report="<b>Tom & Co's.jpg</b>\nis damaged.")
    mails.report_failures()
    plain, html = bodies(the_mail())
    assert "<b>Tom & Co's.jpg</b>\nis damaged." in plain
    assert "<b>" not in html
    assert "&lt;b&gt;Tom &amp; Co&#x27;s.jpg&lt;/b&gt;<br>is damaged." in html


def test_a_line_break_in_the_number_makes_no_header(assessment: Assessment, assessor: User) -> None:
    failed_batch(assessment, assessor)
    Assessment.objects.filter(pk=assessment.pk).update(number="ASM-1\nBcc: x@y.z")
    assert mails.report_failures() == 1
    message = the_mail()
    assert message["Bcc"] is None
    assert message["Subject"] == "ASM-1 Bcc: x@y.z: 1 document failed, 3 of 4 ready"


def test_an_address_that_could_make_a_header_is_refused_and_logged(
    assessment: Assessment, assessor: User, caplog: pytest.LogCaptureFixture
) -> None:
    User.objects.filter(pk=assessor.pk).update(email="a@example.org\nBcc: x@y.z")
    failed_batch(assessment, assessor)
    assert mails.report_failures() == 0
    assert "could not be sent" in caplog.text
    assert mail.outbox == []


def test_a_mail_server_that_fails_is_logged_and_breaks_nothing_and_the_mail_goes_out_later(
    assessment: Assessment, assessor: User, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    batch = failed_batch(assessment, assessor)
    settings.MAILERS = NOBODY
    assert mails.report_failures() == 0
    assert "could not be sent" in caplog.text
    batch.refresh_from_db()
    assert batch.mailed_at is None
    settings.MAILERS = MAILBOX
    assert mails.report_failures() == 0
    let_pauses_end()
    assert mails.report_failures() == 1
    assert the_mail()["Subject"] == f"{assessment.number}: 1 document failed, 3 of 4 ready"
    assert mails.report_failures() == 0


def test_a_round_calls_a_broken_mail_server_once(
    assessment: Assessment, assessor: User, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    failed_batch(assessment, assessor)
    failed_batch(make_assessment(assessor, photos=0), assessor)
    settings.MAILERS = NOBODY
    assert mails.report_failures() == 0
    assert caplog.text.count("could not be sent") == 1
    settings.MAILERS = MAILBOX
    let_pauses_end()
    assert mails.report_failures() == 2


def let_pauses_end() -> None:
    Batch.objects.exclude(mail_due_at=None).update(mail_due_at=timezone.now() - timedelta(seconds=1))


def test_a_mail_that_is_refused_again_and_again_is_tried_after_longer_pauses_and_given_up_in_words(
    assessment: Assessment, assessor: User, admin_user: User, caplog: pytest.LogCaptureFixture
) -> None:
    User.objects.filter(pk=assessor.pk).update(email="a@example.org\nBcc: x@y.z")
    batch = failed_batch(assessment, assessor)
    pauses = []
    for number in range(1, 11):
        assert mails.report_failures() == 0
        # No round tries it again before its pause is over.
        assert mails.report_failures() == 0
        assert caplog.text.count("the mail about its failures could not be sent") == number
        batch.refresh_from_db()
        assert batch.mail_due_at
        pauses.append(round((batch.mail_due_at - timezone.now()) / timedelta(minutes=1)))
        assert "Not mailed" not in batch_page(admin_user)
        let_pauses_end()
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    mails.report_failures()
    let_pauses_end()
    mails.report_failures()
    assert caplog.text.count("the mail about its failures could not be sent") == 11
    assert "Not mailed: the mail server did not take the mail in 11 tries" in batch_page(admin_user)
    batch.refresh_from_db()
    assert batch.mailed_at is None


def batch_page(person: User) -> str:
    return visitor_of(person).get("/admin/assessments/batch/").content.decode()


@pytest.mark.parametrize("kind", ["batch", "bulk request"])
def test_the_admin_says_who_could_not_be_mailed(
    assessment: Assessment, staff: User, admin_user: User, kind: str
) -> None:
    User.objects.filter(pk=staff.pk).update(email="")
    if kind == "batch":
        failed_batch(assessment, staff)
    else:
        run_of(staff, [assessment])
        run(assessment, photos_pdf=NO_PHOTOS)
    assert mails.report_failures() == 0
    batch = Batch.objects.get()
    assert (batch.mailed_at, batch.mail_problem) == (None, mails.NOBODY)
    assert "Not mailed: whoever asked has no mail address" in batch_page(admin_user)


def test_a_mail_that_cannot_be_sent_does_not_stop_the_others(assessment: Assessment, assessor: User) -> None:
    refused = make_person("refused")
    User.objects.filter(pk=refused.pk).update(email="a@example.org\nBcc: x@y.z")
    failed_batch(make_assessment(refused, photos=0), refused)
    failed_batch(assessment, assessor)
    assert mails.report_failures() == 1
    assert the_mail()["To"] == "assessor@example.org"


def test_a_round_sends_a_limited_number_of_mails_and_the_next_round_sends_the_rest(
    assessment: Assessment, assessor: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mails, "ROUND", 2)
    for each in (assessment, make_assessment(assessor, photos=0), make_assessment(assessor, photos=0)):
        failed_batch(each, assessor)
    assert [mails.report_failures() for _ in range(3)] == [2, 1, 0]


def test_a_mail_that_failed_a_while_ago_is_not_tried_in_every_round(assessment: Assessment, assessor: User) -> None:
    failed_batch(assessment, assessor)
    assessment.documents.update(ended_at=timezone.now() - timedelta(minutes=2))
    assert mails.report_failures(mails.FRESH) == 0
    assert mails.report_failures() == 1


def test_a_failure_of_yesterday_is_not_reported_any_more(assessment: Assessment, assessor: User) -> None:
    failed_batch(assessment, assessor)
    assessment.documents.update(ended_at=timezone.now() - timedelta(hours=25))
    assert mails.report_failures() == 0


def test_a_document_that_failed_with_its_dead_workers_is_reported(assessment: Assessment, assessor: User) -> None:
    ask(assessment, "report", by=assessor)
    for _ in range(MAX_ATTEMPTS):
        assert queue.claim(assessment.pk) is not None
        assessment.documents.processing().update(lease_expires_at=timezone.now() - timedelta(hours=1))
        queue.recover()
    assert mails.report_failures() == 1
    assert "The worker stopped 3 times" in bodies(the_mail())[0]


# Bulk requests --------------------------------------------------------------------------------------------------------


def run_of(staff: User, assessments: list[Assessment]) -> BulkRequest:
    """Request the documents of some assessments with one action of the office."""
    bulk_request = BulkRequest.begin(BulkRequest.Action.GENERATE, assessments, by=staff)
    tasks.request_many(assessments, by=staff, origin="admin", bulk_request=bulk_request)
    return bulk_request


def live_page_of(bulk_request: BulkRequest) -> str:
    return "https://documents.example.org" + reverse("admin:assessments_assessment_progress", args=[bulk_request.pk])


def test_a_bulk_request_is_reported_in_one_mail_with_the_reasons_and_its_live_page(assessor: User, staff: User) -> None:
    assessments = [make_assessment(assessor, photos=0) for _ in range(8)]
    bulk_request = run_of(staff, assessments)
    for each in assessments[:7]:
        run(each, photos_pdf=NO_PHOTOS, photos_zip=NO_PHOTOS)
    assert mails.report_failures() == 0
    run(assessments[7])
    assert [mails.report_failures() for _ in range(2)] == [1, 0]
    message = the_mail()
    assert message["To"] == "staff@example.org"
    assert message["Subject"] == "14 documents failed in 7 of 8 assessments"
    assert message["Auto-Submitted"] == "auto-generated"
    named = ", ".join(f"{each.number} (CA 123-456)" for each in assessments[:5])
    for body in bodies(message):
        assert body.count(NO_PHOTOS) == 2
        assert "Photos PDF failed in 7 assessments" in body
        assert "Photos ZIP failed in 7 assessments" in body
        assert body.count(f": {named} and 2 more") == 2
        assert body.count(live_page_of(bulk_request)) == 1
    assert not Batch.objects.filter(bulk_request=bulk_request, mailed_at=None, documents__status="error").exists()


@pytest.mark.parametrize("first", ["the joined", "the begun"])
def test_a_bulk_request_that_joined_a_batch_is_reported_in_one_mail_when_all_have_ended(
    assessor: User, staff: User, first: str
) -> None:
    joined, begun = (make_assessment(assessor, photos=0) for _ in range(2))
    ask(joined, by=assessor)
    run_of(staff, [joined, begun])
    mine, other = (joined, begun) if first == "the joined" else (begun, joined)
    run(mine, photos_pdf=NO_PHOTOS)
    mails.report_failures()
    assert [message.to for message in mail.outbox] == ([[assessor.email]] if mine == joined else [])
    run(other, photos_pdf=NO_PHOTOS)
    mails.report_failures()
    to_staff = [message for message in mail.outbox if message.to == [staff.email]]
    assert [message.subject for message in to_staff] == ["2 documents failed in 2 of 2 assessments"]
    assert len(mail.outbox) == 2


def test_reasons_that_differ_in_their_references_are_one_reason_and_the_frequent_reason_comes_first(
    assessor: User, staff: User
) -> None:
    assessments = [make_assessment(assessor, photos=0) for _ in range(3)]
    run_of(staff, assessments)
    run(assessments[0], report="<b>A tyre</b> has no size.")
    for each in assessments[1:]:
        while attempt := queue.claim(each.pk):
            if attempt.document.kind == "report":
                attempt.fail(f"It broke. Give support the reference {attempt.reference}.")
            else:
                attempt.finish(size=3, sha256="0" * 64)
    assert mails.report_failures() == 1
    plain, html = bodies(the_mail())
    assert plain.count("It broke.") == 1
    assert plain.index("Report failed in 2 assessments") < plain.index("Report failed in 1 assessment:")
    assert "<b>A tyre</b> has no size." in plain
    assert "&lt;b&gt;A tyre&lt;/b&gt; has no size." in html


def test_a_retry_of_a_bulk_request_that_fails_again_is_reported_again_and_alone(assessor: User, staff: User) -> None:
    assessments = [make_assessment(assessor, photos=0) for _ in range(2)]
    bulk_request = run_of(staff, assessments)
    for each in assessments:
        run(each, photos_pdf=NO_PHOTOS)
    mails.report_failures()
    tasks.retry_many(assessments[:1], by=staff, origin="admin", bulk_request=bulk_request)
    run(assessments[0], photos_pdf=NO_PHOTOS)
    assert mails.report_failures() == 1
    assert mail.outbox[-1].subject == "1 document failed in 1 of 2 assessments"


def test_a_bulk_request_whose_mail_cannot_be_sent_is_reported_later(
    assessor: User, staff: User, settings: Settings
) -> None:
    assessments = [make_assessment(assessor, photos=0) for _ in range(2)]
    run_of(staff, assessments)
    for each in assessments:
        run(each, photos_pdf=NO_PHOTOS)
    settings.MAILERS = NOBODY
    assert mails.report_failures() == 0
    settings.MAILERS = MAILBOX
    let_pauses_end()
    assert mails.report_failures() == 1
    assert the_mail()["Subject"] == "2 documents failed in 2 of 2 assessments"


def test_a_person_who_may_no_longer_see_a_bulk_request_gets_no_mail(assessor: User, staff: User) -> None:
    assessments = [make_assessment(assessor, photos=0) for _ in range(2)]
    run_of(staff, assessments)
    for each in assessments:
        run(each, photos_pdf=NO_PHOTOS)
    User.objects.filter(pk=staff.pk).update(is_staff=False)
    assert [mails.report_failures() for _ in range(2)] == [0, 0]
    assert mail.outbox == []


@pytest.mark.django_db(transaction=True)
def test_one_of_several_reports_at_the_same_time_sends_the_mail_about_a_bulk_request() -> None:
    staff = make_person("staff", is_staff=True)
    assessments = [make_assessment(staff, photos=0) for _ in range(3)]
    run_of(staff, assessments)
    for each in assessments:
        run(each, photos_pdf=NO_PHOTOS)
    assert sum(at_once(6, mails.report_failures)) == 1
    assert the_mail()["Subject"] == "3 documents failed in 3 of 3 assessments"


def test_the_text_names_the_vehicle_and_the_claim_and_the_subject_no_person(
    assessment: Assessment, assessor: User, staff: User
) -> None:
    failed_batch(assessment, assessor)
    assert mails.report_failures() == 1
    message = the_mail()
    for body in bodies(message):
        assert "2021 Toyota Corolla 1.8 XS, CA 123-456" in body
        assert "Client Karoo Insurance, claim KI-88123, insured Thandi Mokoena" in body
    assert "Mokoena" not in message["Subject"]
    assert "CA 123-456" not in message["Subject"]
    mail.outbox.clear()
    bulk_request = BulkRequest.begin(BulkRequest.Action.GENERATE, [assessment], by=staff)
    tasks.request_many([assessment], by=staff, origin="admin", bulk_request=bulk_request)
    run(assessment, photos_pdf=NO_PHOTOS)
    assert mails.report_failures() == 1
    for body in bodies(the_mail()):
        assert f"{assessment.number} (CA 123-456)" in body
