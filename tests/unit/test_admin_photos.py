"""The office lists, moves and removes photos in the admin; photos are uploaded on the page of the assessment."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client as Visitor

from assessments.models import (
    Assessment,
    Photo,
)
from tests.cast import add_photo, look_at, make_assessment, make_person, picture
from tests.office import change_page, fields_of, visitor_of


def stored_files() -> set[Path]:
    return {path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()}


def test_the_form_takes_no_photos_and_links_to_the_page_for_uploads(office: Visitor, assessment: Assessment) -> None:
    page = office.get(change_page(assessment)).content.decode()
    assert f'<a href="/assessments/{assessment.number}/#photos">Upload photos</a>' in page
    assert 'type="file"' not in page
    values = fields_of(office, change_page(assessment)) | {
        "photos-TOTAL_FORMS": 4,
        "photos-3-section": "damage",
        "photos-3-original": SimpleUploadedFile("IMG_1.jpg", picture(1)),
    }
    files = stored_files()
    assert office.post(change_page(assessment), values).status_code == 302
    assert assessment.photos.count() == 3
    assert stored_files() == files


def test_the_form_shows_the_state_of_each_photo_and_the_fault_of_an_unreadable_one(
    office: Visitor, assessment: Assessment
) -> None:
    new, ready, unreadable = assessment.photos.all()
    look_at(ready)
    unreadable.original.delete(save=False)
    look_at(unreadable)
    page = office.get(change_page(assessment)).content.decode()
    assert page.count("Being looked at") == 1
    assert f'src="/assessments/{assessment.number}/photos/{ready.pk}/thumbnail/"' in page
    assert f"{ready.name}, 320 x 240 px, " in page
    assert "The file is missing. Upload the photo to this section again, or ask the office to remove it." in page
    assert f"{new.name}, 320 x 240 px, " in page


@pytest.mark.django_db(transaction=True)
def test_removing_a_photo_removes_its_files() -> None:
    assessment = make_assessment(make_person("assessor"), photos=1)
    office = visitor_of(make_person("staff", is_staff=True))
    look_at(assessment.photos.get())
    assert len(stored_files()) == 3
    values = fields_of(office, change_page(assessment)) | {"photos-0-DELETE": "on"}
    assert office.post(change_page(assessment), values).status_code == 302
    assert not assessment.photos.exists()
    assert stored_files() == set()


def test_a_photo_is_moved_and_gets_a_caption_without_touching_its_file(office: Visitor, assessment: Assessment) -> None:
    before = assessment.photos.values("original", "sha256", "name", "size").first()
    moved = {"photos-0-caption": "The bonnet", "photos-0-position": "7", "photos-0-section": "additionals"}
    values = fields_of(office, change_page(assessment)) | moved
    assert office.post(change_page(assessment), values).status_code == 302
    photo = assessment.photos.get(caption="The bonnet")
    assert (photo.position, photo.section) == (7, "additionals")
    assert {name: str(getattr(photo, name)) for name in before or {}} == {k: str(v) for k, v in (before or {}).items()}


def test_photos_stand_section_by_section_in_the_order_of_the_page(office: Visitor, assessment: Assessment) -> None:
    Photo.objects.all().delete()
    for section, position in (("additionals", 1), ("damage", 2), ("damage", 1), ("vehicle_identification", 3)):
        add_photo(assessment, picture(position), f"{section}-{position}.jpg", section, position)
    page = office.get(change_page(assessment)).content.decode()
    shown = re.findall(r"([a-z_]+-\d)\.jpg, ", page)
    assert shown == ["vehicle_identification-3", "damage-1", "damage-2", "additionals-1"]
