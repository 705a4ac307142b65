"""A photo enters an assessment whole or not at all, and its small pictures are made once."""

import hashlib
import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile, UploadedFile
from django.db import IntegrityError, connection
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from PIL import Image
from pytest_django import Settings

from assessments import photos
from assessments.demo.pictures import picture
from assessments.models import Assessment, Photo
from assessments.storage import remove_left_parts
from assessments.views import pages

from . import cast
from .test_print_image import encoded, endless_png

pytestmark = pytest.mark.django_db

DAMAGE = Photo.Section.DAMAGE


@pytest.fixture
def bare(assessor: User) -> Assessment:
    """An assessment without photos."""
    return cast.make_assessment(assessor, photos=0)


def accept(assessment: Assessment, content: bytes, name: str = "IMG_0001.jpg", section: str = DAMAGE) -> Photo:
    upload = SimpleUploadedFile(name, content, "application/octet-stream")
    return photos.Intake().accept(assessment, upload, section, "Left rear door", assessment.assessor)


def reason(assessment: Assessment, content: bytes, name: str = "IMG_0001.jpg") -> str:
    """Why the upload is refused; nothing of it may stay."""
    with pytest.raises(photos.PhotoRefused) as refused:
        accept(assessment, content, name)
    assert not Photo.objects.filter(assessment=assessment).exists()
    assert stored_files() == []
    return str(refused.value)


def stored_files() -> list[str]:
    root = Path(django_settings.MEDIA_ROOT)
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


# Accepting ----------------------------------------------------------------------------------------------------------


def test_the_original_is_kept_byte_for_byte(bare: Assessment) -> None:
    content = picture(900, 1200, seed=3, orientation=6)
    photo = accept(bare, content)
    kept = Photo.objects.get(pk=photo.pk)
    assert Path(kept.original.path).read_bytes() == content
    assert kept.sha256 == hashlib.sha256(content).hexdigest()
    assert (kept.size, kept.extension, kept.name) == (len(content), "jpg", "IMG_0001.jpg")
    assert (kept.caption, kept.uploaded_by) == ("Left rear door", bare.assessor)
    assert not kept.print_image


@pytest.mark.parametrize("orientation", range(1, 9))
def test_width_and_height_are_those_of_the_upright_photo(orientation: int, bare: Assessment) -> None:
    photo = accept(bare, picture(640, 480, seed=1, orientation=orientation))
    assert (photo.width, photo.height) == (640, 480)


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tiff", "heic"])
def test_each_format_is_told_by_its_content_not_by_its_name(ending: str, bare: Assessment) -> None:
    photo = accept(bare, encoded(ending), "photo.bin")
    assert photo.extension == ending
    assert photo.original.name.endswith(f".{ending}")
    assert (photo.width, photo.height) == (640, 480)


def test_an_upload_that_went_to_disk_is_kept_too_and_stays_its_owners(bare: Assessment) -> None:
    content = cast.picture(1)
    upload = TemporaryUploadedFile("IMG_7.jpg", "image/jpeg", len(content), None)
    upload.write(content)
    photo = photos.Intake().accept(bare, upload, DAMAGE, "", None)
    assert Path(photo.original.path).read_bytes() == content
    upload.seek(0)
    assert upload.read() == content
    upload.close()


def test_a_photo_goes_to_the_end_of_its_section(bare: Assessment) -> None:
    order = [("exterior_360", 1), ("damage", 1), ("damage", 2), ("exterior_360", 2), ("damage", 3)]
    for number, (section, position) in enumerate(order):
        assert accept(bare, cast.picture(number), section=section).position == position


def test_the_same_photo_twice_has_two_files(bare: Assessment) -> None:
    first, second = accept(bare, cast.picture(1)), accept(bare, cast.picture(1), section="exterior_360")
    assert first.sha256 == second.sha256
    for photo in (first, second):
        photos.prepare(photo.pk)
        photo.refresh_from_db()
    for column in ("original", "print_image", "thumbnail"):
        assert getattr(first, column).name != getattr(second, column).name
        getattr(first, column).delete(save=False)
        assert Path(getattr(second, column).path).read_bytes()


def test_a_name_with_folders_or_of_any_length_is_only_shown(bare: Assessment) -> None:
    upload = UploadedFile(io.BytesIO(cast.picture(1)), "x.jpg", "image/jpeg", len(cast.picture(1)))
    upload._name = "..\\..\\DCIM\\" + "long " * 80 + ".jpg"  # type: ignore[attr-defined]
    photo = photos.Intake().accept(bare, upload, DAMAGE, "", None)
    assert len(photo.name) == 255
    assert photo.name.startswith("long long")
    assert photo.name.endswith(".jpg")
    assert photo.original.name == f"photos/{bare.number}/{photo.sha256[:16]}.jpg"


def test_an_added_photo_makes_the_photo_documents_out_of_date(bare: Assessment) -> None:
    before = timezone.now()
    accept(bare, cast.picture(1))
    bare.refresh_from_db()
    assert bare.photos_changed_at > before


# Refusing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.txt", b"Inspected on Tuesday"),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"),
        ("IMG_2.jpg", b"%PDF-1.7 in disguise"),
        ("IMG_3.jpg", b"\xff\xd8\xff"),
    ],
)
def test_what_is_no_photo_is_refused(name: str, content: bytes, bare: Assessment) -> None:
    assert reason(bare, content, name) == (
        f"{name} is not a photo that can be read. Upload JPEG, PNG, WebP, HEIC or TIFF."
    )


def test_a_gif_is_refused(bare: Assessment) -> None:
    file = io.BytesIO()
    Image.new("P", (20, 20)).save(file, "GIF")
    assert reason(bare, file.getvalue(), "fun.gif").startswith("fun.gif is not a photo that can be read.")


def test_an_empty_upload_is_refused(bare: Assessment) -> None:
    assert reason(bare, b"") == "IMG_0001.jpg is empty. Upload the photo again."


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tiff", "heic"])
@pytest.mark.parametrize("share", [0.5, 0.98])
def test_a_photo_of_which_only_a_part_arrived_is_refused(ending: str, share: float, bare: Assessment) -> None:
    content = encoded(ending)
    text = reason(bare, content[: int(len(content) * share)], f"IMG_9.{ending}")
    assert text.startswith("IMG_9.")
    assert "damaged or incomplete" in text or "not a photo that can be read" in text


def test_a_large_photo_of_which_the_end_is_missing_is_refused(bare: Assessment) -> None:
    content = picture(4032, 3024, seed=2)
    assert reason(bare, content[:-2000]) == (
        "IMG_0001.jpg is damaged or incomplete. Copy it from the camera again, then upload it."
    )


def test_a_file_over_the_limit_is_refused(bare: Assessment, settings: Settings) -> None:
    settings.PHOTO_MAX_BYTES = 2**20
    content = cast.picture(1) + b"\0" * 2**20
    assert reason(bare, content) == "IMG_0001.jpg is larger than the 1 MB that a photo may have. Upload a smaller one."


def test_pixels_over_the_limit_are_refused_before_they_are_decoded(bare: Assessment, settings: Settings) -> None:
    settings.PHOTO_MAX_PIXELS = 12_000_000
    # There is nothing to decode: reading on would find the picture incomplete instead.
    assert reason(bare, endless_png(4032, 3024)) == (
        "IMG_0001.jpg has more than the 12 megapixels that a photo may have. Upload a smaller one."
    )


def test_endless_pixels_are_refused(bare: Assessment) -> None:
    assert "more than the 60 megapixels" in reason(bare, endless_png(60_000, 60_000))


@pytest.mark.django_db(transaction=True)
def test_a_row_that_cannot_be_written_leaves_no_file(assessor: User) -> None:
    bare = cast.make_assessment(assessor, photos=0)
    with pytest.raises(IntegrityError):
        accept(bare, cast.picture(1), section="nowhere")
    assert stored_files() == []


def test_taking_photos_needs_no_weasyprint() -> None:
    script = "import django, sys; django.setup(); import assessments.photos; print('weasyprint' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


# Several at once ----------------------------------------------------------------------------------------------------


def test_of_one_person_one_upload_is_taken_at_a_time(client: Client, bare: Assessment) -> None:
    path = f"/assessments/{bare.number}/photos/"
    client.force_login(bare.assessor)
    words = "These photos were not added, because others that you sent are still being looked at."

    def send(**headers: str) -> HttpResponse:
        data = {"section": "damage", "photos": SimpleUploadedFile("one.jpg", cast.picture(1))}
        return client.post(path, data, headers=headers)  # type: ignore[return-value]

    with pages.one_at_a_time(bare.assessor.pk):
        scripted = send(**{"X-Requested-With": "XMLHttpRequest"})
        assert (scripted.status_code, scripted["Content-Type"]) == (429, "text/plain; charset=utf-8")
        assert scripted.content.decode().startswith(words)
        assert send().status_code == 302
        assert words in client.get(f"/assessments/{bare.number}/").content.decode()
        assert not bare.photos.exists()
        with pages.one_at_a_time(bare.assessor.pk + 1):
            pass
    assert send(**{"X-Requested-With": "XMLHttpRequest"}).status_code == 204
    assert bare.photos.count() == 1


# What a kill leaves -------------------------------------------------------------------------------------------------


def test_half_files_of_yesterday_are_removed_and_nothing_else(bare: Assessment) -> None:
    photo = accept(bare, cast.picture(1))
    folder = Path(photo.original.path).parent
    for name, age in ((".part-old", 25), (".part-new", 1), ("old.jpg", 25)):
        folder.joinpath(name).write_bytes(b"half")
        then = time.time() - age * 3600
        os.utime(folder / name, (then, then))
    remove_left_parts()
    assert {path.name for path in folder.iterdir()} == {Path(photo.original.path).name, ".part-new", "old.jpg"}


# Preparing ----------------------------------------------------------------------------------------------------------


def test_preparing_makes_a_print_image_and_a_thumbnail(bare: Assessment) -> None:
    photo = accept(bare, picture(3024, 4032, seed=4, orientation=6))
    photos.prepare(photo.pk)
    photo.refresh_from_db()
    with Image.open(photo.print_image.path) as image, Image.open(photo.thumbnail.path) as thumbnail:
        assert (image.size, thumbnail.size) == ((756, 1008), (240, 320))
    assert photo.problem == ""
    assert not Photo.objects.unprepared().exists()


def test_preparing_does_not_make_documents_out_of_date(bare: Assessment) -> None:
    photo = accept(bare, cast.picture(1))
    bare.refresh_from_db()
    before = bare.photos_changed_at
    photos.prepare(photo.pk)
    bare.refresh_from_db()
    assert bare.photos_changed_at == before


def test_preparing_again_changes_nothing(bare: Assessment) -> None:
    photo = accept(bare, cast.picture(1))
    photos.prepare(photo.pk)
    row, files = Photo.objects.values().get(pk=photo.pk), stored_files()
    photos.prepare(photo.pk)
    assert (Photo.objects.values().get(pk=photo.pk), stored_files()) == (row, files)


@pytest.mark.django_db(transaction=True)
def test_preparing_several_times_at_once_keeps_one_set_of_pictures(assessor: User) -> None:
    bare = cast.make_assessment(assessor, photos=0)
    photo = accept(bare, cast.picture(1))
    together(6, lambda: photos.prepare(photo.pk))
    photo.refresh_from_db()
    kept = {photo.original.name, photo.print_image.name, photo.thumbnail.name}
    assert len(kept) == 3
    assert set(stored_files()) == kept


def together(count: int, work: Callable[[], object]) -> None:
    """Do the work in several threads that begin at the same moment."""
    barrier = threading.Barrier(count)
    errors: list[BaseException] = []

    def begin() -> None:
        try:
            barrier.wait()
            work()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=begin) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_photo_that_became_unreadable_gets_its_problem_in_words(bare: Assessment) -> None:
    photo = accept(bare, cast.picture(1))
    original = Path(photo.original.path)
    original.write_bytes(original.read_bytes()[:2000])
    photos.prepare(photo.pk)
    photo.refresh_from_db()
    assert photo.problem == "The file is damaged or incomplete."
    assert not photo.print_image
    assert stored_files() == [photo.original.name]


def test_a_photo_that_is_gone_needs_no_preparing(bare: Assessment) -> None:
    photo = accept(bare, cast.picture(1))
    key = photo.pk
    photo.delete()
    photos.prepare(key)
    assert not Photo.objects.exists()
