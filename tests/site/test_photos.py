"""A photo enters an assessment whole or not at all, and a worker looks at each photo once."""

import hashlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile, UploadedFile
from django.db import IntegrityError, connection
from django.utils import timezone
from django_tasks_db.models import DBTaskResult
from PIL import Image
from pytest_django import Settings

from assessments import sandbox
from assessments.documents import queue, tasks
from assessments.models import Assessment, Heartbeat, Photo
from assessments.operations.demo.pictures import picture
from assessments.photos import intake as photos
from assessments.storage import folder as storage
from assessments.storage.folder import WholeFileStorage
from tests import cast, family

from .test_print_image import encoded, endless_png

pytestmark = pytest.mark.django_db

DAMAGE = Photo.Section.DAMAGE


@pytest.fixture
def bare(assessor: User) -> Assessment:
    """Return an assessment without photos."""
    return cast.make_assessment(assessor, photos=0)


def take_in(assessment: Assessment, content: bytes, name: str = "IMG_0001.jpg", section: str = DAMAGE) -> Photo:
    upload = SimpleUploadedFile(name, content, "application/octet-stream")
    return photos.take_in(assessment, upload, section, "Left rear door", assessment.assessor)


def reason(assessment: Assessment, content: bytes, name: str = "IMG_0001.jpg") -> str:
    """Return the reason why an upload is refused; check that no part of the upload stays."""
    with pytest.raises(photos.PhotoRefused) as refused:
        take_in(assessment, content, name)
    assert not Photo.objects.filter(assessment=assessment).exists()
    assert stored_files() == []
    return str(refused.value)


def problem(assessment: Assessment, content: bytes, name: str = "IMG_0001.jpg") -> str:
    """Return the reason why a photo is unreadable; check that its original stays, and no other file."""
    photo = cast.look_at(take_in(assessment, content, name))
    assert photo.state == Photo.State.UNREADABLE
    assert not photo.print_image
    assert stored_files() == [photo.original.name]
    return photo.problem


def stored_files() -> list[str]:
    root = Path(django_settings.MEDIA_ROOT)
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def together[Result](count: int, work: Callable[[int], Result]) -> list[Result | Exception]:
    """Do the work in several threads that begin at the same moment; return what each returned or raised."""
    barrier = threading.Barrier(count)

    def begin(number: int) -> Result | Exception:
        try:
            barrier.wait()
            return work(number)
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


# Taking in ---------------------------------------------------------------------------------------------------------


def test_the_original_is_kept_byte_for_byte(bare: Assessment) -> None:
    content = picture(900, 1200, seed=3, orientation=6)
    photo = take_in(bare, content)
    kept = Photo.objects.get(pk=photo.pk)
    assert Path(kept.original.path).read_bytes() == content
    assert kept.sha256 == hashlib.sha256(content).hexdigest()
    assert (kept.size, kept.extension, kept.name) == (len(content), "jpg", "IMG_0001.jpg")
    assert (kept.caption, kept.uploaded_by) == ("Left rear door", bare.assessor)
    assert (kept.state, kept.width, kept.print_image.name) == (Photo.State.NEW, None, "")


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tiff", "heic"])
def test_each_format_is_recognized_by_its_first_bytes_and_not_by_its_name(ending: str, bare: Assessment) -> None:
    photo = take_in(bare, encoded(ending), "photo.bin")
    assert photo.extension == ending
    assert photo.original.name.endswith(f".{ending}")
    cast.look_at(photo)
    assert (photo.state, photo.width, photo.height) == (Photo.State.READY, 640, 480)


def test_an_upload_on_disk_is_kept_and_its_temporary_file_stays(bare: Assessment) -> None:
    content = cast.picture(1)
    upload = TemporaryUploadedFile("IMG_7.jpg", "image/jpeg", len(content), None)
    upload.write(content)
    photo = photos.take_in(bare, upload, DAMAGE, "", None)
    assert Path(photo.original.path).read_bytes() == content
    upload.seek(0)
    assert upload.read() == content
    upload.close()


def test_a_photo_goes_to_the_end_of_its_section(bare: Assessment) -> None:
    order = [("exterior_360", 1), ("damage", 1), ("damage", 2), ("exterior_360", 2), ("damage", 3)]
    for number, (section, position) in enumerate(order):
        assert take_in(bare, cast.picture(number), section=section).position == position


def test_the_same_bytes_in_the_same_section_are_the_same_upload(bare: Assessment) -> None:
    first = take_in(bare, cast.picture(1))
    with pytest.raises(photos.AlreadyThere):
        take_in(bare, cast.picture(1), "another-name.jpg")
    assert stored_files() == [first.original.name]
    assert list(bare.photos.all()) == [first]


def test_the_same_bytes_in_another_section_have_files_of_their_own(bare: Assessment) -> None:
    first, second = take_in(bare, cast.picture(1)), take_in(bare, cast.picture(1), section="exterior_360")
    assert first.sha256 == second.sha256
    for photo in (first, second):
        cast.look_at(photo)
    for column in ("original", "print_image", "thumbnail"):
        assert getattr(first, column).name != getattr(second, column).name
        getattr(first, column).delete(save=False)
        assert Path(getattr(second, column).path).read_bytes()


@pytest.mark.django_db(transaction=True)
def test_one_of_several_equal_uploads_at_the_same_moment_is_kept(assessor: User) -> None:
    bare = cast.make_assessment(assessor, photos=0)
    fates = together(8, lambda number: take_in(bare, cast.picture(1), f"{number}.jpg"))
    assert [type(fate) for fate in fates if isinstance(fate, Exception)] == [photos.AlreadyThere] * 7
    assert stored_files() == [bare.photos.get().original.name]


@pytest.mark.django_db(transaction=True)
def test_uploads_at_the_same_moment_leave_no_more_photos_than_the_limit(assessor: User, settings: Settings) -> None:
    settings.PHOTO_MAX_COUNT = 3
    bare = cast.make_assessment(assessor, photos=0)
    fates = together(8, lambda number: take_in(bare, cast.picture(number), f"{number}.jpg"))
    refused = [str(fate) for fate in fates if isinstance(fate, photos.PhotoRefused)]
    assert len(refused) == 5
    assert all("an assessment can have 3 photos at most" in words for words in refused)
    kept = list(bare.photos.all())
    assert [photo.position for photo in kept] == [1, 2, 3]
    assert set(stored_files()) == {photo.original.name for photo in kept}


def test_a_name_with_folders_or_of_any_length_has_no_part_in_the_path(bare: Assessment) -> None:
    upload = UploadedFile(io.BytesIO(cast.picture(1)), "x.jpg", "image/jpeg", len(cast.picture(1)))
    upload._name = "..\\..\\DCIM\\" + "long " * 80 + ".jpg"  # type: ignore[attr-defined]
    photo = photos.take_in(bare, upload, DAMAGE, "", None)
    assert len(photo.name) == 255
    assert photo.name.startswith("long long")
    assert photo.name.endswith(".jpg")
    assert re.fullmatch(rf"photos/{bare.number}/{photo.sha256[:16]}-\w{{12}}\.jpg", str(photo.original.name))


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_a_file_is_stored(assessor: User, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = cast.make_assessment(assessor, photos=0)
    held: list[bool] = []
    save = WholeFileStorage._save

    def slow_save(storage: WholeFileStorage, name: str, content: Any) -> str:
        held.append(connection.in_atomic_block)
        return save(storage, name, content)

    monkeypatch.setattr(WholeFileStorage, "_save", slow_save)
    take_in(bare, cast.picture(1))
    assert held == [False]


# Refusing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.txt", b"Inspected on Tuesday"),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"),
        ("IMG_2.jpg", b"%PDF-1.7 in disguise"),
        ("IMG_3.heic", b"\0\0\0\x1cftypavif"),
    ],
)
def test_a_file_that_is_not_a_photo_is_refused(name: str, content: bytes, bare: Assessment) -> None:
    assert reason(bare, content, name) == (
        f"{name} is not a photo that can be read. Upload JPEG, PNG, WebP, HEIC or TIFF."
    )


def test_a_gif_is_refused(bare: Assessment) -> None:
    file = io.BytesIO()
    Image.new("P", (20, 20)).save(file, "GIF")
    assert reason(bare, file.getvalue(), "fun.gif").startswith("fun.gif is not a photo that can be read.")


def test_an_empty_upload_is_refused(bare: Assessment) -> None:
    assert reason(bare, b"") == "IMG_0001.jpg is empty. Upload the photo again."


def test_a_file_over_the_limit_is_refused(bare: Assessment, settings: Settings) -> None:
    settings.PHOTO_MAX_BYTES = 2**20
    content = cast.picture(1) + b"\0" * 2**20
    assert reason(bare, content) == "IMG_0001.jpg is larger than the 1 MB that a photo may have. Upload a smaller one."


@pytest.mark.django_db(transaction=True)
def test_a_row_that_cannot_be_written_leaves_no_file(assessor: User) -> None:
    bare = cast.make_assessment(assessor, photos=0)
    with pytest.raises(IntegrityError):
        take_in(bare, cast.picture(1), section="nowhere")
    assert stored_files() == []


def test_importing_the_photos_package_does_not_load_weasyprint() -> None:
    script = "import django, sys; django.setup(); import assessments.photos; print('weasyprint' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


# Looking at a new photo -----------------------------------------------------------------------------------------------


def test_a_photo_becomes_ready_with_its_print_image_and_thumbnail(bare: Assessment) -> None:
    photo = cast.look_at(take_in(bare, picture(3024, 4032, seed=4, orientation=6)))
    with Image.open(photo.print_image.path) as image, Image.open(photo.thumbnail.path) as thumbnail:
        assert (image.size, thumbnail.size) == ((756, 1008), (240, 320))
    assert (photo.state, photo.problem, photo.width, photo.height) == (Photo.State.READY, "", 3024, 4032)
    assert (photo.lease_token, photo.lease_expires_at) == (None, None)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_width_and_height_are_those_of_the_upright_photo(orientation: int, bare: Assessment) -> None:
    photo = cast.look_at(take_in(bare, picture(640, 480, seed=1, orientation=orientation)))
    assert (photo.width, photo.height) == (640, 480)


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tiff", "heic"])
@pytest.mark.parametrize("share", [0.5, 0.98])
def test_an_incomplete_photo_is_unreadable(ending: str, share: float, bare: Assessment) -> None:
    content = encoded(ending)
    words = problem(bare, content[: int(len(content) * share)], f"IMG_9.{ending}")
    assert words == "The file is damaged or incomplete. Copy it from the camera again, then upload it."


def test_a_large_photo_without_its_end_is_unreadable(bare: Assessment) -> None:
    content = picture(4032, 3024, seed=2)
    assert problem(bare, content[:-2000]) == (
        "The file is damaged or incomplete. Copy it from the camera again, then upload it."
    )


def test_a_photo_of_three_bytes_is_unreadable(bare: Assessment) -> None:
    assert problem(bare, b"\xff\xd8\xff") == (
        "The file is damaged or incomplete. Copy it from the camera again, then upload it."
    )


def test_pixels_over_the_limit_are_counted_before_they_are_decoded(bare: Assessment, settings: Settings) -> None:
    settings.PHOTO_MAX_PIXELS = 12_000_000
    # The file has no pixels: a decoder would call the picture incomplete instead.
    assert problem(bare, endless_png(4032, 3024)) == (
        "The picture has more than the 12 megapixels that a photo may have. Upload a smaller one."
    )


def test_a_picture_of_endless_pixels_is_unreadable(bare: Assessment) -> None:
    assert "more than the 60 megapixels" in problem(bare, endless_png(60_000, 60_000))


def lose_the_file(path: Path) -> None:
    path.unlink()


def lose_the_folder(path: Path) -> None:
    path.unlink()
    for folder in (path.parent / "print", path.parent / "thumbnail"):
        shutil.rmtree(folder, ignore_errors=True)
    path.parent.rmdir()
    path.parent.touch()


def leave_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def change_a_byte(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"!")


@pytest.mark.parametrize("lose", [lose_the_file, lose_the_folder, leave_a_folder])
def test_a_photo_whose_file_is_missing_is_unreadable(lose: Callable[[Path], None], bare: Assessment) -> None:
    photo = take_in(bare, cast.picture(1))
    lose(Path(photo.original.path))
    assert cast.look_at(photo).problem == (
        "The file is missing. Upload the photo to this section again, or ask the office to remove it."
    )


@pytest.mark.parametrize("lose", [lose_the_file, leave_a_folder, change_a_byte])
@pytest.mark.parametrize("looked_at", ["before", "after", "never"])
def test_a_photo_whose_file_is_lost_is_mended_by_the_same_upload(
    looked_at: str, lose: Callable[[Path], None], bare: Assessment
) -> None:
    photo = take_in(bare, cast.picture(1))
    if looked_at == "before":
        cast.look_at(photo)
    lose(Path(photo.original.path))
    if looked_at == "after":
        cast.look_at(photo)
    assert take_in(bare, cast.picture(1)) == photo
    assert cast.look_at(photo).state == Photo.State.READY
    assert Path(photo.original.path).read_bytes() == cast.picture(1)
    assert bare.photos.count() == 1
    with pytest.raises(photos.AlreadyThere):
        take_in(bare, cast.picture(1))


@pytest.mark.django_db(transaction=True)
def test_a_lost_file_is_replaced_once_by_equal_uploads_at_the_same_moment(assessor: User) -> None:
    bare = cast.make_assessment(assessor, photos=0)
    photo = cast.look_at(take_in(bare, cast.picture(1)))
    Path(photo.original.path).unlink()
    fates = together(6, lambda number: take_in(bare, cast.picture(1), f"{number}.jpg"))
    assert [type(fate) for fate in fates].count(photos.AlreadyThere) == 5
    assert bare.photos.get() == photo
    assert Path(bare.photos.get().original.path).read_bytes() == cast.picture(1)


def test_a_damaged_photo_that_is_sent_again_is_already_there(bare: Assessment) -> None:
    content = cast.picture(1)[:900]
    problem(bare, content)
    files = stored_files()
    with pytest.raises(photos.AlreadyThere):
        take_in(bare, content)
    assert stored_files() == files


def test_an_unreadable_photo_that_is_sent_again_is_looked_at_again(bare: Assessment, settings: Settings) -> None:
    """The limit may be larger than at the first time, or the site may read more kinds of files."""
    settings.PHOTO_MAX_PIXELS = 1000
    content = cast.picture(1)
    photo = cast.look_at(take_in(bare, content))
    assert photo.state == Photo.State.UNREADABLE
    settings.PHOTO_MAX_PIXELS = 60_000_000
    with pytest.raises(photos.AlreadyThere):
        tasks.add_photo(bare, SimpleUploadedFile("again.jpg", content), "damage", "", None)
    photo = cast.look_at(photo)
    assert (photo.state, photo.problem) == (Photo.State.READY, "")


def test_a_photo_is_looked_at_once(bare: Assessment) -> None:
    photo = cast.look_at(take_in(bare, cast.picture(1)))
    row, files = Photo.objects.values().get(pk=photo.pk), stored_files()
    assert Photo.objects.claim() is None
    assert (Photo.objects.values().get(pk=photo.pk), stored_files()) == (row, files)


@pytest.mark.django_db(transaction=True)
def test_several_workers_look_at_each_photo_once(assessor: User) -> None:
    bare = cast.make_assessment(assessor, photos=0)
    for number in range(4):
        take_in(bare, cast.picture(number), f"{number}.jpg")
    looked = [photo.pk for batch in together(3, lambda number: list(photos.look_at_new())) for photo in batch]
    assert sorted(looked) == sorted(bare.photos.values_list("pk", flat=True))
    kept = [name for photo in bare.photos.all() for name in (photo.original, photo.print_image, photo.thumbnail)]
    assert set(stored_files()) == {file.name for file in kept}
    assert len(kept) == 12


def test_a_worker_that_lost_its_lease_writes_nothing_and_leaves_no_file(bare: Assessment) -> None:
    photo = take_in(bare, cast.picture(1))
    slow = Photo.objects.claim()
    assert slow
    expire(photo)
    quick = Photo.objects.claim()
    assert quick
    photos.look_at(quick)
    files = stored_files()
    photos.look_at(slow)
    assert not slow.make_unreadable("Too slow")
    photo.refresh_from_db()
    assert (photo.state, photo.problem) == (Photo.State.READY, "")
    assert stored_files() == files


def test_a_photo_that_is_removed_during_a_look_leaves_no_new_file(bare: Assessment) -> None:
    photo = take_in(bare, cast.picture(1))
    claimed = Photo.objects.claim()
    assert claimed
    photo.delete()
    photos.look_at(claimed)
    assert stored_files() == [photo.original.name]


def test_the_migration_gives_older_photos_their_states(assessment: Assessment) -> None:
    new, ready, unreadable = assessment.photos.all()
    Photo.objects.filter(pk=ready.pk).update(print_image="print.jpg", thumbnail="thumbnail.jpg")
    Photo.objects.filter(pk=unreadable.pk).update(problem="The file is damaged or incomplete.")
    migration = import_module("assessments.migrations.0003_photo_states")
    migration.tell_states(apps, connection.schema_editor())
    states = dict(assessment.photos.values_list("pk", "state"))
    assert states == {new.pk: "new", ready.pk: "ready", unreadable.pk: "unreadable"}


# Failures that are not the photo's fault ------------------------------------------------------------------------------


def expire(photo: Photo) -> None:
    Photo.objects.filter(pk=photo.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))


def test_a_photo_whose_worker_was_killed_is_looked_at_again_when_the_lease_expires(bare: Assessment) -> None:
    photo = take_in(bare, cast.picture(1))
    assert Photo.objects.claim()
    assert Photo.objects.claim() is None
    expire(photo)
    assert cast.look_at(photo).state == Photo.State.READY


def test_a_photo_over_which_three_workers_died_is_unreadable(bare: Assessment) -> None:
    photo = take_in(bare, cast.picture(1))
    for _ in range(3):
        Photo.objects.give_up(photos.STOPPED)
        assert Photo.objects.claim()
        expire(photo)
    assert Photo.objects.claim() is None
    Photo.objects.give_up(photos.STOPPED)
    photo.refresh_from_db()
    assert (photo.state, photo.problem) == (
        Photo.State.UNREADABLE,
        "The worker stopped 3 times while looking at this photo. Save it as a new JPEG, then upload that.",
    )
    assert photo.lease_expires_at is None


def test_a_photo_is_tried_three_times_when_its_decoder_breaks_off(bare: Assessment) -> None:
    photo = take_in(bare, cast.picture(1))
    sandbox.warm_up()
    for number in (1, 2, 3):
        assert photo.state == Photo.State.NEW
        with family.next_child_stopped(os.getpid()) as stopped:
            threading.Thread(target=lambda: os.kill(stopped(), signal.SIGKILL)).start()
            cast.look_at(photo)
        assert photo.attempts == number
        # The photo is not tried again at once: perhaps the machine is short of memory.
        assert Photo.objects.claim() is None
        expire(photo)
    assert photo.problem.startswith("The program that reads photos broke off over it.")


def test_a_photo_that_takes_too_long_is_tried_again_later(bare: Assessment, settings: Settings) -> None:
    photo = take_in(bare, cast.picture(1))
    sandbox.warm_up()
    settings.PHOTO_DEADLINE = 1
    with family.next_child_stopped(os.getpid()):
        cast.look_at(photo)
    assert (photo.state, photo.attempts) == (Photo.State.NEW, 1)
    settings.PHOTO_DEADLINE = 15
    expire(photo)
    assert cast.look_at(photo).state == Photo.State.READY


def test_a_turn_ends_when_pictures_cannot_be_stored_and_no_photo_is_blamed(bare: Assessment) -> None:
    first, second = (take_in(bare, cast.picture(number), f"{number}.jpg") for number in (1, 2))
    in_the_way = Path(first.original.path).parent / "print"
    in_the_way.touch()
    assert list(photos.look_at_new()) == []
    first.refresh_from_db()
    assert (first.state, first.attempts) == (Photo.State.NEW, 0)
    assert set(stored_files()) == {first.original.name, second.original.name, f"photos/{bare.number}/print"}
    in_the_way.unlink()
    assert list(photos.look_at_new()) == [second]
    expire(first)
    assert list(photos.look_at_new()) == [first]


# Waking workers -------------------------------------------------------------------------------------------------------


def wake_ups() -> int:
    return DBTaskResult.objects.filter(task_path=tasks.look_at_photos.module_path).count()


def add(assessment: Assessment, number: int) -> Photo:
    upload = SimpleUploadedFile(f"{number}.jpg", cast.picture(number))
    return tasks.add_photo(assessment, upload, DAMAGE, "", assessment.assessor)


def test_many_uploads_wake_one_worker_that_looks_at_all_of_them(bare: Assessment) -> None:
    for number in range(5):
        add(bare, number)
    assert wake_ups() == 1
    tasks.look_at_photos.call()
    assert not Photo.objects.new().exists()
    add(bare, 5)
    # The first turn called for help when more than one photo waited, and the new upload woke a worker, too.
    assert wake_ups() == 3


def test_a_turn_that_leaves_photos_behind_wakes_another_worker(
    bare: Assessment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "TURN", 0.001)
    for number in range(3):
        add(bare, number)
    for turn in range(3):
        assert (wake_ups(), Photo.objects.new().count()) == (1 + turn, 3 - turn)
        tasks.look_at_photos.call()
    assert (wake_ups(), Photo.objects.new().count()) == (3, 0)


def test_the_sweep_wakes_a_worker_only_after_a_lost_wake_up(bare: Assessment) -> None:
    photo = take_in(bare, cast.picture(1))
    tasks.recover()
    # No worker is alive, so the sweep wakes none.
    assert wake_ups() == 0
    Heartbeat.beat(Heartbeat.Role.WORKER)
    tasks.recover()
    assert wake_ups() == 1
    assert Photo.objects.claim()
    tasks.recover()
    assert wake_ups() == 1
    expire(photo)
    tasks.recover()
    assert wake_ups() == 2
    cast.look_at(photo)
    tasks.recover()
    assert wake_ups() == 2


def test_the_sweep_wakes_no_worker_for_photos_while_a_document_is_being_made(bare: Assessment) -> None:
    take_in(bare, cast.picture(1))
    Heartbeat.beat(Heartbeat.Role.WORKER)
    queue.request(bare, ["report"])
    assert queue.claim(bare.pk)
    tasks.recover()
    assert wake_ups() == 0


# Leftovers of a kill ------------------------------------------------------------------------------------------------


def test_half_files_of_yesterday_are_removed_and_nothing_else(bare: Assessment) -> None:
    photo = take_in(bare, cast.picture(1))
    folder = Path(photo.original.path).parent
    for name, age in ((".part-old", 25), (".part-new", 1), ("old.jpg", 25)):
        folder.joinpath(name).write_bytes(b"half")
        then = time.time() - age * 3600
        os.utime(folder / name, (then, then))
    storage.remove_left_parts()
    assert {path.name for path in folder.iterdir()} == {Path(photo.original.path).name, ".part-new", "old.jpg"}
