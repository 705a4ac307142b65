"""The steps that the state of an assessment allows, on the page, the command, the mails' links, the admin."""

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client as Visitor

from assessments.models import Assessment
from tests.cast import make_assessment, picture
from tests.office import act, change_page, live_page, statuses, told, visitor_of, with_history

CLOSED = ["archived", "cancelled"]
BACK = "The office can set it back to in progress."


@pytest.fixture
def visitor(assessment: Assessment) -> Visitor:
    return visitor_of(assessment.assessor)


def close(assessment: Assessment, status: str) -> str:
    """Set the state of an assessment; return the address of its page."""
    Assessment.objects.filter(pk=assessment.pk).update(status=status)
    return f"/assessments/{assessment.number}/"


@pytest.mark.parametrize("status", CLOSED)
def test_a_closed_assessment_offers_no_documents_and_no_photos_and_says_why(
    visitor: Visitor, assessment: Assessment, status: str
) -> None:
    with_history(assessment)
    page = visitor.get(close(assessment, status)).content.decode()
    assert f"This assessment is {status}, so no documents can be made. {BACK}" in page
    assert f"This assessment is {status}, so no photos can be added. {BACK}" in page
    for offer in ("Generate all documents", "Retry", "Make again", "Add photos"):
        assert offer not in page
    assert "Download" in page


def test_a_submitted_assessment_offers_documents_and_no_photos(visitor: Visitor, assessment: Assessment) -> None:
    address = close(assessment, "submitted")
    page = visitor.get(address).content.decode()
    assert "Generate all documents" in page
    assert f"This assessment is submitted, so no photos can be added. {BACK}" in page
    assert "Add photos" not in page
    visitor.post(f"{address}documents/generate/")
    assert statuses(assessment) == ["pending"] * 4


@pytest.mark.parametrize("status", ["submitted", *CLOSED])
def test_an_upload_is_refused_with_the_reason(visitor: Visitor, assessment: Assessment, status: str) -> None:
    address = f"{close(assessment, status)}photos/"

    def form() -> dict[str, object]:
        return {"photos": SimpleUploadedFile("new.jpg", picture(90), "image/jpeg"), "section": "damage"}

    why = f"This assessment is {status}, so no photos can be added. {BACK}"
    assert why in visitor.post(address, form(), follow=True).content.decode()
    assert visitor.post(address, form(), headers={"X-Requested-With": "XMLHttpRequest"}).json()["refused"] == [why]
    assert assessment.photos.count() == 3


@pytest.mark.parametrize("status", CLOSED)
def test_every_door_refuses_documents_of_a_closed_assessment(
    visitor: Visitor, office: Visitor, assessment: Assessment, status: str
) -> None:
    address = close(assessment, status)
    why = f"This assessment is {status}, so no documents can be made. {BACK}"
    for button in ("generate/", "generate/?only=failed", "report/retry/"):
        assert why in visitor.post(f"{address}documents/{button}", follow=True).content.decode()
        answer = visitor.post(f"{address}documents/{button}", headers={"HX-Request": "true"})
        assert (answer.status_code, answer.content.decode()) == (409, f"{why}\n")
    # The link of a mail leads here.
    page = visitor.get(f"{address}documents/report/retry/").content.decode()
    assert why in page
    assert "Make it" not in page
    with pytest.raises(CommandError, match="no documents can be made") as refused:
        call_command("generate_documents", assessment.number)
    assert refused.value.returncode == 2
    skipped = f"Skipped, because their state allows no new documents: 1 assessment ({assessment.number})."
    for action in ("generate_documents", "retry_failed"):
        response = act(office, action, assessment)
        assert told(office.get(response.headers["Location"])) == [skipped]  # type: ignore[arg-type]
    live = live_page(assessment)
    assert 'name="generate"' not in office.get(live).content.decode()
    office.post(live, {"generate": assessment.pk})
    assert statuses(assessment) == ["idle"] * 4


def test_a_refusal_is_told_on_the_page_whose_button_was_pressed_and_once(
    visitor: Visitor, assessor: User, assessment: Assessment
) -> None:
    other = make_assessment(assessor, photos=0)
    address = close(assessment, "archived")
    words = '<li data-level="error" role="alert">This assessment is archived, so no documents can be made.'
    assert visitor.post(f"{address}documents/generate/").status_code == 302
    for page in ("/assessments/", f"/assessments/{other.number}/"):
        assert "archived, so no" not in visitor.get(page).content.decode()
    assert words in visitor.get(address).content.decode()
    assert words not in visitor.get(address).content.decode()


@pytest.mark.parametrize("status", CLOSED)
def test_what_runs_already_can_be_cancelled_and_files_stay_readable(
    visitor: Visitor, assessment: Assessment, status: str
) -> None:
    visitor.post(f"/assessments/{assessment.number}/documents/generate/")
    address = close(assessment, status)
    assert "Cancel" in visitor.get(address).content.decode()
    visitor.post(f"{address}documents/cancel/")
    assert statuses(assessment) == ["idle"] * 4


def test_the_admin_says_why_a_closed_assessment_takes_no_photos(office: Visitor, assessment: Assessment) -> None:
    assert "Upload photos" in office.get(change_page(assessment)).content.decode()
    close(assessment, "archived")
    page = office.get(change_page(assessment)).content.decode()
    assert "This assessment is archived, so no photos can be added." in page
    assert "Upload photos" not in page
