"""The demo fills an empty site once with people, complete assessments and photos like those of a phone."""

import io
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission, User
from django.core import serializers
from django.core.management import CommandError, call_command
from django.test import Client as Visitor
from django.utils import timezone
from PIL import Image, ImageChops, ImageColor, ImageOps, ImageStat
from pytest_django import Settings

from assessments.models import Assessment, Damage, EstimateLine, Office, Photo, Tyre
from assessments.operations.demo import STORIES, content
from assessments.operations.demo.content import make_assessment
from assessments.operations.demo.pictures import CAMERA, SCENES, STORED, picture, stored

pytestmark = pytest.mark.django_db

# The models of rows that the application writes itself: about documents, and about the site.
LIVES_OF_DOCUMENTS = {
    "attempt",
    "auditentry",
    "batch",
    "bulkrequest",
    "document",
    "documentversion",
    "heartbeat",
    "joining",
    "removal",
    "resetmail",
    "site",
    "tally",
}


def demo(**options: Any) -> str:
    out = io.StringIO()
    call_command("demo", stdout=out, **{"assessments": 3, "photos": 8, "megapixels": 0.3, **options})
    return out.getvalue()


def number(index: int) -> str:
    return f"ASM-{timezone.localdate().year}-{index:03}"


def everything() -> str:
    rows = [row for model in apps.get_models() for row in model._default_manager.order_by("pk")]
    return str(serializers.serialize("json", rows))


def files(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


PICTURES: dict[str, bytes] = {}


def picture_made_once(*arguments: Any) -> bytes:
    """Return the picture of some arguments, made once: each test makes the same demo."""
    key = repr(arguments)
    if key not in PICTURES:
        PICTURES[key] = picture(*arguments)
    return PICTURES[key]


@pytest.fixture(autouse=True)
def pictures_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "picture", picture_made_once)


@pytest.fixture(autouse=True)
def no_password_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEMO_PASSWORD", raising=False)


def test_the_assessments_belong_to_the_right_people(folders: Path) -> None:
    demo()
    owners = dict(Assessment.objects.values_list("number", "assessor__username"))
    assert owners == {number(1): "assessor", number(2): "assessor2", number(3): "assessor"}
    photos = {row.number: row.photos.count() for row in Assessment.objects.all()}
    assert photos == {number(1): 8, number(2): 8, number(3): 0}


def test_the_first_assessment_has_every_kind_of_data() -> None:
    demo()
    first = Assessment.objects.get(number=number(1))
    for field in first._meta.concrete_fields:
        if field.name not in {"report_number", *Assessment.KEPT}:
            assert getattr(first, field.name), field.name
    for part in (first.vehicle, first.valuation, first.estimate):
        assert all(getattr(part, field.name) for field in part._meta.concrete_fields), part
    lines = EstimateLine.objects.filter(estimate=first.estimate)
    assert set(lines.values_list("process_type", flat=True)) == set(EstimateLine.ProcessType.values)
    assert set(lines.values_list("part_type", flat=True)) == {"", *EstimateLine.PartType.values}
    assert lines.filter(betterment_part__gt=0).exists()
    assert set(first.tyres.values_list("position", flat=True)) == set(Tyre.Position.values)
    assert first.accessories.filter(kind="custom").exclude(name="").exists()
    assert set(first.damage.values_list("area", flat=True)) == {value for value, _ in Damage.AREA}
    assert set(first.photos.values_list("section", flat=True)) == set(Photo.Section.values)
    assert Office.objects.exists()
    empty = [model for model in apps.get_app_config("assessments").get_models() if not model.objects.exists()]
    assert {model._meta.model_name for model in empty} <= LIVES_OF_DOCUMENTS


def test_the_data_of_the_demo_are_valid() -> None:
    demo()
    for model in apps.get_app_config("assessments").get_models():
        if model._meta.model_name not in LIVES_OF_DOCUMENTS:
            for row in model.objects.all():
                row.full_clean(exclude=[field.name for field in model._meta.fields if not field.editable])


def test_the_photos_of_the_demo_are_ready() -> None:
    demo()
    assert Photo.objects.count() == 16
    assert set(Photo.objects.values_list("state", flat=True)) == {Photo.State.READY}


def test_a_second_run_changes_nothing(folders: Path) -> None:
    first = demo()
    before, files_before = everything(), files(folders)
    second = demo()
    assert everything() == before
    assert files(folders) == files_before
    assert second.splitlines()[-1] == first.splitlines()[-1]


def test_more_assessments_are_added_to_the_existing_ones() -> None:
    demo()
    before = list(Assessment.objects.order_by("pk").values())
    demo(assessments=5, photos=1)
    assert list(Assessment.objects.order_by("pk").values()[:3]) == before
    assert Assessment.objects.count() == 5
    vehicles = {str(row.vehicle) for row in Assessment.objects.all()}
    assert len(vehicles) == 5


def test_people_can_sign_in_with_the_printed_password(folders: Path) -> None:
    words = demo(assessments=0).split()
    password = words[words.index("password") + 1]
    for username in ("assessor", "assessor2", "staff", "admin"):
        assert Visitor().login(username=username, password=password)
    kept = folders / "demo-password"
    assert kept.read_text().strip() == password
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_a_password_of_the_environment_is_for_the_people_who_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_PASSWORD", "a-long-way-to-Tipperary")
    assert "password a-long-way-to-Tipperary" in demo(assessments=0)
    assert Visitor().login(username="staff", password="a-long-way-to-Tipperary")
    monkeypatch.setenv("DEMO_PASSWORD", "another-long-way")
    before = everything()
    *_, others, last = demo(assessments=0).splitlines()
    assert everything() == before
    assert others.endswith("left as they are: assessor, assessor2, staff, admin")
    assert "another-long-way" not in last
    monkeypatch.delenv("DEMO_PASSWORD")
    assert "users assessor, assessor2, staff, admin  password a-long-way-to-Tipperary" in demo(assessments=0)


def test_people_who_are_there_keep_their_passwords_and_their_permissions() -> None:
    User.objects.create_superuser("admin", password="the-office's-own")
    User.objects.create_user("staff", password="of-a-person", email="staff@office.example", is_active=False)
    rows = User.objects.filter(username__in=["admin", "staff"]).order_by("pk")
    before = list(rows.values())
    for _ in range(2):
        *_, others, last = demo(assessments=0).splitlines()
        assert list(rows.values()) == before
        assert not User.objects.get(username="staff").user_permissions.exists()
        assert others == "There before, with passwords of their own, and left as they are: staff, admin"
        assert "users assessor, assessor2  password " in last


@pytest.mark.parametrize("command", [["demo"], ["prepare", "--demo"]])
def test_a_public_site_gets_the_demo_only_when_it_is_meant(command: list[str], settings: Settings) -> None:
    settings.ALLOWED_HOSTS, settings.ON_LOOPBACK = ["example.org"], False
    before = everything()
    with pytest.raises(CommandError, match=r"this site is public \(example.org\).*--yes"):
        call_command(*command)
    assert everything() == before
    call_command("demo", "--assessments", "0", "--yes")
    assert User.objects.filter(username="admin").exists()


def test_staff_may_do_everything_with_assessments_and_no_more() -> None:
    demo(assessments=0)
    staff = User.objects.get(username="staff")
    assert (staff.is_staff, staff.is_superuser) == (True, False)
    mine = Permission.objects.filter(content_type__app_label="assessments")
    assert set(staff.user_permissions.all()) == set(mine)
    assert mine.exists()
    assessors = User.objects.filter(username__startswith="assessor")
    assert not assessors.filter(is_staff=True).exists()
    assert User.objects.get(username="admin").is_superuser


def test_the_address_is_printed() -> None:
    assert "http://127.0.0.1:" in demo(assessments=0)


@pytest.mark.parametrize("bad", [["--photos", "few"], ["--photos=-1"], ["--megapixels", "0"], ["--assessments", "1.5"]])
def test_bad_usage_is_refused_with_a_message(bad: list[str]) -> None:
    with pytest.raises(CommandError, match="whole number"):
        call_command("demo", *bad)
    assert not User.objects.exists()


# Photos -------------------------------------------------------------------------------------------------------------


def test_half_of_the_photos_are_turned_and_all_have_their_place_and_camera(assessor: User) -> None:
    assessment = make_assessment(assessor, 12, megapixels=0.3)
    orientations = []
    for photo in assessment.photos.all():
        with Image.open(photo.original.path) as image:
            exif = image.getexif()
            orientations.append(exif[0x0112])
            assert exif[0x010F] == CAMERA
            assert exif.get_ifd(0x8825)[1] == "S"
    assert any("\u4e00" <= sign <= "\u9fff" for photo in assessment.photos.all() for sign in photo.caption)
    assert sum(orientation > 1 for orientation in orientations) == 6
    assert {3, 6, 8} <= set(orientations)


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("size", [(640, 480), (480, 640)])
def test_a_turned_picture_shows_the_same_scene(size: tuple[int, int], orientation: int) -> None:
    with (
        Image.open(io.BytesIO(picture(*size, 3, 1, "front"))) as straight,
        Image.open(io.BytesIO(picture(*size, 3, orientation, "front"))) as turned,
    ):
        assert straight.size == size
        upright = ImageOps.exif_transpose(turned)
        assert upright.size == size
        assert ImageStat.Stat(ImageChops.difference(straight, upright).convert("L")).mean[0] < 12


@pytest.mark.parametrize("size", [(4032, 3024), (3024, 4032)])
def test_a_picture_has_as_many_bytes_as_a_picture_of_a_phone(size: tuple[int, int]) -> None:
    made = picture(*size, seed=11, orientation=6)
    assert 2_500_000 < len(made) < 5_500_000
    with Image.open(io.BytesIO(made)) as image:
        assert image.size == (size[1], size[0])


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_each_scene_can_be_photographed_in_both_formats(scene: str) -> None:
    for size in ((320, 240), (240, 320)):
        with Image.open(io.BytesIO(picture(*size, 1, 1, scene))) as image:
            assert image.size == size
            assert ImageStat.Stat(image.convert("L")).stddev[0] > 8


def test_the_same_seed_makes_the_same_picture_and_another_seed_another_picture() -> None:
    assert picture(320, 240, 5) == picture(320, 240, 5)
    assert picture(320, 240, 5, scene="dent") != picture(320, 240, 6, scene="dent")


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story["vehicle"]["model"])
def test_a_vehicle_is_photographed_in_its_own_colour(story: dict[str, Any]) -> None:
    paint = ImageColor.getrgb(story["paint"])
    with Image.open(io.BytesIO(picture(320, 240, 1, scene="park-sensors", story=story))) as image:
        seen = image.crop((40, 20, 280, 50)).resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert max(abs(there - here) for there, here in zip(paint, seen, strict=True)) < 45  # type: ignore[arg-type]


def test_a_number_plate_shows_the_registration_of_its_vehicle() -> None:
    def plate(story: dict[str, Any]) -> Image.Image:
        with Image.open(io.BytesIO(picture(640, 480, 1, scene="registration-plate", story=story))) as image:
            return image.crop((80, 200, 560, 300)).convert("L")

    hilux = STORIES[0]
    unmarked = hilux | {"vehicle": hilux["vehicle"] | {"registration": ""}}
    another = hilux | {"vehicle": hilux["vehicle"] | {"registration": "CY 318-204"}}
    bare, ours, other = plate(unmarked), plate(hilux), plate(another)
    for first, second in ((bare, ours), (bare, other), (ours, other)):
        assert ImageStat.Stat(ImageChops.difference(first, second)).mean[0] > 10


def test_the_stored_pictures_are_small_and_each_is_used() -> None:
    used = {stored(scene, story) for scene in SCENES for story in STORIES}
    assert all(path.exists() for path in used)
    files = set(STORED.iterdir())
    assert {path.with_stem(path.stem.removesuffix("-paint")) for path in files} == used
    assert max(path.stat().st_size for path in files) <= 80_000


def test_each_section_gets_a_photo_before_any_gets_many(assessor: User) -> None:
    few, many = make_assessment(assessor, 8, 0.1), make_assessment(assessor, 68, 0.1, number=1)
    assert len(set(few.photos.values_list("section", flat=True))) == 8
    counts = [many.photos.filter(section=section).count() for section in Photo.Section.values]
    assert sum(counts) == 68
    assert counts[4] == max(counts)
    assert len(set(Photo.objects.values_list("sha256", flat=True))) == 8 + 68


@pytest.mark.long
def test_the_command_makes_photos_as_large_as_those_of_a_phone(tmp_path: Path) -> None:
    """Run the command in a process of its own, as by hand."""
    environment = {**os.environ, "DATA_DIR": str(tmp_path / "data"), "DEMO_PASSWORD": "long-enough-42"}
    environment.pop("DATABASE_URL", None)
    manage = [sys.executable, str(Path(__file__).parents[2] / "manage.py")]
    subprocess.run([*manage, "migrate", "--verbosity", "0"], env=environment, check=True)
    command = [*manage, "demo", "--assessments", "1", "--photos", "3", "--megapixels", "12"]
    ran = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert "3 photos, of assessor" in ran.stdout
    rows = subprocess.run([*manage, "dumpdata", "assessments.photo"], env=environment, check=True, capture_output=True)
    photos = [row["fields"] for row in json.loads(rows.stdout)]
    assert {(row["width"], row["height"]) for row in photos} <= {(4032, 3024), (3024, 4032)}
    assert all((tmp_path / "data" / "media" / row["print_image"]).is_file() for row in photos)
