"""The Photos PDF shows every photo upright in its section; the Photos ZIP holds every original, byte for byte."""

import csv
import hashlib
import io
import os
import pickle
import re
import struct
import subprocess
import sys
import tracemalloc
import unicodedata
from collections.abc import Callable
from datetime import date
from functools import cache
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import pypdfium2
import pytest
from django.contrib.auth.models import User
from django.utils.module_loading import import_string
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pypdf import PdfReader

from assessments.documents import snapshot
from assessments.documents.kinds import KINDS
from assessments.models import Assessment, Office, Photo, Vehicle
from assessments.operations.demo.pictures import CAMERA, picture
from assessments.photos.print_image import make_print_image
from assessments.printing import photos_zip
from assessments.printing.contract import DocumentError, Made
from assessments.printing.data import PhotoItem, Snapshot
from assessments.printing.photos_zip import name_from
from tests.cast import row

from .test_print_image import COLOURS, turned

LABELS = {
    "vehicle_identification": "Vehicle identification",
    "exterior_360": "Exterior 360",
    "interior_mechanical": "Interior and mechanical",
    "tyres_and_rims": "Tyres and rims",
    "damage": "Damage",
    "pre_incident": "Pre-incident",
    "additionals": "Additionals",
    "accessories": "Accessories",
}


class Album:
    """Photos on disk, and the snapshots that show them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.photos: list[PhotoItem] = []
        self.progress: list[tuple[int | None, str]] = []

    def add(self, content: bytes, section: str = "damage", caption: str = "", extension: str = "jpg") -> PhotoItem:
        number = len(self.photos) + 1
        original = self.folder / f"original-{number}.{extension}"
        original.write_bytes(content)
        photo = PhotoItem(
            section=section,
            section_label=LABELS[section],
            folder=Photo.Section(section).folder,
            position=number,
            caption=caption,
            name=f"IMG_{number:04}.{extension.upper()}",
            extension=extension,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            original=original,
        )
        self.photos.append(photo)
        return photo

    def change(self, photo: PhotoItem, **values: object) -> PhotoItem:
        changed = photo.changed(**values)
        self.photos[self.photos.index(photo)] = changed
        return changed

    def prepare(self) -> None:
        for number, photo in enumerate(list(self.photos)):
            print_image = self.folder / f"print-{number}.jpg"
            make_print_image(photo.original, print_image)
            self.change(photo, print_image=print_image)

    def snapshot(self, kind: str) -> Snapshot:
        order = Photo.Section.values
        return Snapshot(
            kind=kind,
            title={"photos-pdf": "Photos PDF", "photos-zip": "Photos ZIP"}[kind],
            number="ASM-2026-001",
            version=3,
            made_on=date(2026, 3, 4),
            office=row(Office, name="Karoo Assessors"),
            vehicle=row(Vehicle, make="Toyota", model="Hilux", year=2021, registration="CA 482-917"),
            **snapshot.own(Assessment(assessor=User(first_name="P.", last_name="Nkosi"))),
            photos=tuple(sorted(self.photos, key=lambda photo: order.index(photo.section))),
            units=len(self.photos),
        )

    def make(self, kind: str) -> Made:
        work = self.folder / f"work-{len(list(self.folder.glob('work-*')))}"
        work.mkdir()
        self.progress = []
        return import_string(KINDS[kind].generator)(self.snapshot(kind), work, lambda *said: self.progress.append(said))


@pytest.fixture
def album(tmp_path: Path) -> Album:
    return Album(tmp_path)


@cache
def small(number: int) -> bytes:
    return picture(400, 300, seed=number, orientation=(1, 6, 3, 8)[number % 4])


def pages(made: Made) -> list[str]:
    return [page.extract_text() for page in PdfReader(made.path).pages]


def jpegs(made: Made) -> list[bytes]:
    """Return the JPEGs that a PDF embeds, byte for byte and in no order."""
    found = {}
    for page in PdfReader(made.path).pages:
        for name, image in page["/Resources"].get("/XObject", {}).items():
            if image.get_object().get("/Filter") == "/DCTDecode":
                found[name] = image.get_object()._data
    return list(found.values())


# The PDF ------------------------------------------------------------------------------------------------------------


def test_the_cover_counts_the_photos_and_names_their_sections(album: Album) -> None:
    for number, section in enumerate(("exterior_360", "damage", "damage")):
        album.add(small(number), section)
    made = album.make("photos-pdf")
    cover = pages(made)[0]
    for words in ("3 photos", "2021 Toyota Hilux", "CA 482-917", "ASM-2026-001", "P. Nkosi", "Exterior 360", "Damage"):
        assert words in cover
    assert (made.message, made.pages, made.photos) == ("3 photos, 2 pages", 2, 3)


def test_one_photo_is_counted_in_the_singular(album: Album) -> None:
    album.add(small(1))
    assert album.make("photos-pdf").message == "1 photo, 2 pages"


def test_sections_and_captions_come_in_order_and_empty_sections_are_left_out(album: Album) -> None:
    album.add(small(1), "damage", "Rear bumper")
    album.add(small(2), "vehicle_identification", "VIN plate")
    album.add(small(3), "damage", "Tail lamp")
    album.add(small(4), "accessories", "Tow bar")
    text = "\n".join(pages(album.make("photos-pdf"))[1:])
    words = ["Vehicle identification", "VIN plate", "Damage", "Rear bumper", "Tail lamp", "Accessories", "Tow bar"]
    assert sorted(words, key=text.index) == words
    assert "Exterior 360" not in text
    assert re.findall(r"\b(0\d)\b", text) == ["01", "01", "02", "01"]


def test_markup_in_a_caption_is_printed_as_text(album: Album) -> None:
    caption = "<img src=file:///etc/hostname> <b>Bumper</b> & {{ snapshot }}"
    album.add(small(1), caption=caption)
    text = " ".join(pages(album.make("photos-pdf"))[1].split())
    assert caption in text


def test_captions_of_other_scripts_are_printed_with_real_glyphs(album: Album) -> None:
    album.add(small(1), caption="左後葉子板")
    album.add(small(2), caption="Πόρτα πίσω")
    made = album.make("photos-pdf")
    text = "".join(pages(made))
    assert "左後葉子板" in text
    assert "Πόρτα πίσω" in text


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_stand_upright_on_the_page(orientation: int, album: Album) -> None:
    image, exif = turned(orientation, 1200, 900)
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif, quality=95)
    album.add(file.getvalue())
    made = album.make("photos-pdf")
    with pypdfium2.PdfDocument(made.path) as document:
        page = document[1].render(scale=0.5).to_pil().convert("RGB")
    places = centres_on(page)
    assert places["red"][0] < places["lime"][0]
    assert places["blue"][0] < places["yellow"][0]
    assert places["red"][1] < places["blue"][1]
    assert places["lime"][1] < places["yellow"][1]
    width = places["lime"][0] - places["red"][0]
    height = places["blue"][1] - places["red"][1]
    assert width / height == pytest.approx(4 / 3, rel=0.05)


def centres_on(page: Image.Image) -> dict[str, tuple[float, float]]:
    """Return the centre of each colour of the flag on a page, in px."""
    near = page.point(lambda value: 255 if value > 128 else 0)
    found: dict[bytes, list[int]] = {bytes(colour): [] for colour in COLOURS.values()}
    for place, (seen,) in enumerate(struct.iter_unpack("3s", near.tobytes())):
        if seen in found:
            found[seen].append(place)
    centres = {}
    for name, colour in COLOURS.items():
        places = found[bytes(colour)]
        assert len(places) > 100
        xs, ys = [place % page.width for place in places], [place // page.width for place in places]
        centres[name] = (sum(xs) / len(xs), sum(ys) / len(ys))
    return centres


def test_prepared_print_images_are_embedded_as_they_are(album: Album) -> None:
    for number in range(3):
        album.add(small(number))
    album.prepare()
    for photo in album.photos:
        photo.original.unlink()
    made = album.make("photos-pdf")
    assert made.message == "3 photos, 2 pages"
    assert sorted(jpegs(made)) == sorted(photo.print_image.read_bytes() for photo in album.photos if photo.print_image)
    assert not any("Scaling" in words for _, words in album.progress)


def test_a_missing_print_image_is_made_from_the_original(album: Album) -> None:
    photo = album.add(small(1))
    album.change(photo, print_image=album.folder / "gone.jpg")
    made = album.make("photos-pdf")
    assert made.message == "1 photo, 2 pages"
    assert len(jpegs(made)) == 1


def test_the_pdf_does_not_say_where_the_photos_were_taken(album: Album) -> None:
    content = picture(1600, 1200, seed=1, orientation=6)
    assert CAMERA.encode() in content
    album.add(content)
    written = album.make("photos-pdf").path.read_bytes()
    assert CAMERA.encode() not in written
    assert b"Exif" not in written


def test_an_unreadable_photo_keeps_its_place_and_is_named(album: Album) -> None:
    album.add(small(1), caption="Front")
    album.add(small(2)[:3000], caption="Rear bumper")
    gone = album.add(small(3), caption="Left side")
    gone.original.unlink()
    known = album.add(small(4), caption="Right side")
    album.change(known, problem="It was unreadable when it was uploaded.")
    made = album.make("photos-pdf")
    assert made.message == (
        "1 of 4 photos; unreadable: IMG_0002.JPG (the file is damaged or incomplete), "
        "IMG_0003.JPG (the file is missing), IMG_0004.JPG (it was unreadable when it was uploaded)"
    )
    assert (made.photos, made.pages) == (1, 2)
    cover, page = (" ".join(text.split()) for text in pages(made))
    assert "IMG_0002.JPG, IMG_0003.JPG, IMG_0004.JPG" in cover
    assert page.count("This photo cannot be read") == 3
    for words in (
        "The file is damaged or incomplete. Copy it from the camera again, then upload it.",
        "The file is missing.",
        "It was unreadable when it was uploaded.",
    ):
        assert words in page
    assert page.index("Front") < page.index("Rear bumper") < page.index("Left side") < page.index("Right side")


def test_only_unreadable_photos_still_make_a_document(album: Album) -> None:
    album.add(b"not a photo")
    made = album.make("photos-pdf")
    assert made.message == "0 of 1 photo; unreadable: IMG_0001.JPG (the file is not a photo that can be read)"


def test_the_first_of_many_unreadable_photos_are_named(album: Album) -> None:
    for _ in range(8):
        album.add(b"not a photo")
    named = ", ".join(f"IMG_000{number}.JPG (the file is not a photo that can be read)" for number in range(1, 6))
    assert album.make("photos-pdf").message == f"0 of 8 photos; unreadable: {named} and 3 more"


@pytest.mark.parametrize("kind", ["photos-pdf", "photos-zip"])
def test_an_assessment_without_photos_gets_no_document(kind: str, album: Album) -> None:
    with pytest.raises(DocumentError, match=r"^This assessment has no photos\. Add photos, then retry\.$"):
        album.make(kind)


def test_progress_counts_the_photos_and_never_runs_backwards(album: Album) -> None:
    for number in range(7):
        album.add(small(number))
    album.make("photos-pdf")
    steps = [step for step, _ in album.progress if step is not None]
    assert len(steps) == len(album.progress)
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (pytest.approx(12, abs=2), pytest.approx(98, abs=3))
    scaling = [words for _, words in album.progress if words.startswith("Scaling")]
    assert scaling == [f"Scaling photo {number} of 7" for number in range(1, 8)]


def test_no_heading_stands_alone_at_the_end_of_a_page(album: Album) -> None:
    for number, (section, count) in enumerate(zip(LABELS, (1, 3, 5, 2, 7, 4, 1, 6), strict=True)):
        for index in range(count):
            long = "A caption that goes on and on, as some do. " * (4 if (number + index) % 3 == 0 else 0)
            album.add(small(number), section, f"Caption {number} {long}")
    made = album.make("photos-pdf")
    headings = set(LABELS.values())
    seen = []
    for text in pages(made)[1:]:
        lines = [line for line in text.splitlines() if line.strip() and "version 3 - page" not in line]
        assert lines[-1] not in headings
        seen += [line for line in lines if line in headings]
    assert list(dict.fromkeys(seen)) == list(LABELS.values())


@pytest.mark.parametrize("kind", ["photos-pdf", "photos-zip"])
def test_memory_stays_small_with_many_large_originals(kind: str, album: Album) -> None:
    content = picture(4032, 3024, seed=1, orientation=6)
    first = album.add(content)
    for number in range(2, 31):
        original = album.folder / f"linked-{number}.jpg"
        os.link(first.original, original)
        album.photos.append(first.changed(position=number, original=original))
    (album.folder / "snapshot").write_bytes(pickle.dumps(album.snapshot(kind)))
    (album.folder / "job").mkdir()
    script = (
        "import pickle, sys; from pathlib import Path; from django.utils.module_loading import import_string\n"
        "folder = Path(sys.argv[1]); snapshot = pickle.loads((folder / 'snapshot').read_bytes())\n"
        "made = import_string(sys.argv[2])(snapshot, folder / 'job', lambda *said: None)\n"
        "print(made.photos, Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(album.folder), KINDS[kind].generator],
        capture_output=True,
        text=True,
        check=True,
    )
    photos, kibibytes = map(int, ran.stdout.split())
    assert photos == 30
    assert kibibytes / 1024 < {"photos-pdf": 160, "photos-zip": 64}[kind]


# The ZIP ------------------------------------------------------------------------------------------------------------


def manifest_of(archive: ZipFile) -> list[list[str]]:
    content = archive.read("manifest.csv")
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_the_zip_holds_the_originals_in_folders_and_lists_them(album: Album) -> None:
    first = album.add(small(1), "damage", "Rear bumper, left")
    second = album.add(small(2), "vehicle_identification", "VIN plate")
    third = album.add(b"no photo at all, but an original", "damage", "", "heic")
    made = album.make("photos-zip")
    assert (made.message, made.photos, made.pages) == ("3 photos", 3, None)
    expected = {
        "01_Vehicle_Identification/01_VIN_plate.jpg": second,
        "05_Damage/01_Rear_bumper_left.jpg": first,
        "05_Damage/02_Photo.heic": third,
    }
    with ZipFile(made.path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["manifest.csv", *expected]
        assert {info.compress_type for info in archive.infolist()} == {ZIP_STORED}
        for name, photo in expected.items():
            assert archive.read(name) == photo.original.read_bytes()
        assert manifest_of(archive) == [
            ["folder", "file name", "caption", "bytes", "SHA-256"],
            *([*name.split("/"), photo.caption, str(photo.size), photo.sha256] for name, photo in expected.items()),
        ]


def test_names_keep_the_letters_of_any_script(album: Album) -> None:
    captions = {
        "左後葉子板凹痕": "左後葉子板凹痕",
        "पिछला दरवाज़ा": "पिछला_दरवाज़ा",
        "خدش على المصد": "خدش_على_المصد",
        "Tür: «hinten links»": "Tür_hinten_links",
        "../../etc/passwd": "etc_passwd",
        "C:\\CON": "C_CON",
        "=1+1": "1_1",
        "--- ": "Photo",
        "\U0001f697": "Photo",
    }
    for number, caption in enumerate(captions):
        album.add(small(number), caption=caption)
    with ZipFile(album.make("photos-zip").path) as archive:
        assert archive.namelist()[1:] == [
            f"05_Damage/{number:02}_{unicodedata.normalize('NFC', name)}.jpg"
            for number, name in enumerate(captions.values(), start=1)
        ]


@given(st.text(max_size=300))
def test_every_system_can_take_the_name_of_any_caption(caption: str) -> None:
    name = name_from(caption)
    assert 0 < len(name) <= 80
    assert len(name.encode()) <= 180
    assert not name.startswith("_")
    assert not name.endswith("_")
    assert "__" not in name
    assert all(sign.isalnum() or sign == "_" or unicodedata.category(sign)[0] == "M" for sign in name)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\uff1d"])
def test_a_caption_is_not_a_formula_in_the_manifest(start: str, album: Album) -> None:
    caption = f'{start}cmd|" /C calc"!A0, "quoted"'
    album.add(small(1), caption=caption)
    with ZipFile(album.make("photos-zip").path) as archive:
        assert manifest_of(archive)[1][2] == f"'{caption}"


def test_over_ninety_nine_photos_of_a_section_still_sort_by_name(album: Album) -> None:
    for number in range(101):
        album.add(str(number).encode(), caption="Hail")
    with ZipFile(album.make("photos-zip").path) as archive:
        names = archive.namelist()[1:]
    assert (names[0], names[-1]) == ("05_Damage/001_Hail.jpg", "05_Damage/101_Hail.jpg")
    assert names == sorted(names)


def test_the_same_photos_make_the_same_zip(album: Album) -> None:
    album.add(small(1), caption="Front")
    album.add(small(2), "exterior_360")
    assert album.make("photos-zip").path.read_bytes() == album.make("photos-zip").path.read_bytes()


def test_unreadable_photos_are_packed_and_named(album: Album) -> None:
    album.add(small(1))
    album.change(album.add(b"broken"), problem="The file is damaged or incomplete.")
    made = album.make("photos-zip")
    assert made.message == "2 photos; unreadable: IMG_0002.JPG (the file is damaged or incomplete)"
    with ZipFile(made.path) as archive:
        assert archive.read("05_Damage/02_Photo.jpg") == b"broken"


def spoil(photo: PhotoItem) -> None:
    photo.original.write_bytes(photo.original.read_bytes()[:-1] + b"?")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (spoil, "The file of the photo IMG_0002.JPG is not the one"),
        (lambda photo: photo.original.unlink(), "The file of the photo IMG_0002.JPG is missing"),
    ],
)
def test_a_changed_or_missing_original_stops_the_zip(
    harm: Callable[[PhotoItem], None], words: str, album: Album
) -> None:
    album.add(small(1))
    harm(album.add(small(2)))
    album.add(small(3))
    with pytest.raises(DocumentError, match=f"^{re.escape(words)}.*then retry\\.$"):
        album.make("photos-zip")


def test_progress_follows_the_bytes(album: Album) -> None:
    for size in (1000, 3000, 6000):
        album.add(b"x" * size)
    album.make("photos-zip")
    assert album.progress == [
        (0, "Packing photo 1 of 3"),
        (9, "Packing photo 2 of 3"),
        (39, "Packing photo 3 of 3"),
    ]


def test_a_photo_of_any_size_is_packed_in_little_memory(album: Album) -> None:
    album.add(b"x" * (64 * 2**20))
    snapshot = album.snapshot("photos-zip")
    work = album.folder / "job"
    work.mkdir()
    photos_zip.generate(snapshot, work, lambda *said: None)
    tracemalloc.start()
    photos_zip.generate(snapshot, work, lambda *said: None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20
