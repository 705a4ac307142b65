"""A print image is small, upright, plain and without data about the place where the photo was taken."""

import io
import struct
from functools import cache
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image, ImageCms, ImageFile, PngImagePlugin

from assessments.operations.demo.pictures import CAMERA, STORED_TURNS, picture
from assessments.photos.print_image import THUMBNAIL_SIDE, UnreadablePhoto, make_print_image

CORNERS = {"top left": "red", "top right": "lime", "bottom left": "blue", "bottom right": "yellow"}
COLOURS = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255), "yellow": (255, 255, 0)}


def print_image_size(source: Path, target: Path, *long_side: int) -> tuple[int, int]:
    make_print_image(source, target, *long_side)
    with Image.open(target) as picture:
        return picture.size


def flag(width: int = 160, height: int = 120) -> Image.Image:
    """Return a picture of four coloured quarters, which show its orientation."""
    image = Image.new("RGB", (width, height))
    for corner, colour in CORNERS.items():
        left, top = (width // 2) * ("right" in corner), (height // 2) * ("bottom" in corner)
        image.paste(colour, (left, top, left + width - width // 2, top + height - height // 2))
    return image


def turned(orientation: int, width: int = 160, height: int = 120) -> tuple[Image.Image, Image.Exif]:
    """Return the flag as a camera in that orientation stores it, and its EXIF data."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = flag(width, height)
    return (image.transpose(STORED_TURNS[orientation]) if orientation > 1 else image), exif


def assert_upright(path: Path) -> None:
    with Image.open(path) as image:
        width, height = image.size
        for corner, colour in CORNERS.items():
            place = (width * (1 + 2 * ("right" in corner)) // 4, height * (1 + 2 * ("bottom" in corner)) // 4)
            seen = image.convert("RGB").getpixel(place)
            assert isinstance(seen, tuple)
            assert all(abs(a - b) < 40 for a, b in zip(seen, COLOURS[colour], strict=True)), (corner, seen)


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


def middle(path: Path) -> tuple[int, ...]:
    with Image.open(path) as image:
        seen = image.convert("RGB").getpixel((image.width // 2, image.height // 2))
        assert isinstance(seen, tuple)
        return seen


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tiff"])
def test_every_orientation_ends_upright(orientation: int, ending: str, tmp_path: Path) -> None:
    image, exif = turned(orientation)
    source = saved(image, tmp_path / f"photo.{ending}", exif=exif)
    assert print_image_size(source, tmp_path / "print.jpg") == (160, 120)
    assert_upright(tmp_path / "print.jpg")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_large_photos_of_every_orientation_end_upright(orientation: int, tmp_path: Path) -> None:
    image, exif = turned(orientation, 4032, 3024)
    source = saved(image, tmp_path / "photo.jpg", exif=exif)
    assert print_image_size(source, tmp_path / "print.jpg") == (1008, 756)
    assert_upright(tmp_path / "print.jpg")


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_heic_photo_ends_upright(orientation: int, tmp_path: Path) -> None:
    pillow_heif.register_heif_opener()
    image, exif = turned(orientation)
    source = saved(image, tmp_path / "photo.heic", exif=exif.tobytes(), quality=95)
    assert print_image_size(source, tmp_path / "print.jpg") == (160, 120)
    assert_upright(tmp_path / "print.jpg")


def test_a_print_image_has_no_data_about_the_camera_or_the_place(tmp_path: Path) -> None:
    source = tmp_path / "photo.jpg"
    source.write_bytes(picture(1200, 900, seed=5, orientation=6))
    with Image.open(source) as photo:
        assert photo.getexif().get_ifd(0x8825)[1] == "S"
        assert CAMERA.encode() in source.read_bytes()
    make_print_image(source, tmp_path / "print.jpg")
    written = (tmp_path / "print.jpg").read_bytes()
    with Image.open(tmp_path / "print.jpg") as image:
        assert "exif" not in image.info
    assert b"Exif" not in written
    assert CAMERA.encode() not in written


def test_comments_and_xmp_do_not_survive(tmp_path: Path) -> None:
    secret = b"taken at 12 Protea Street"
    source = saved(flag(), tmp_path / "photo.jpg", comment=secret, xmp=b"<x>" + secret + b"</x>")
    assert source.read_bytes().count(secret) == 2
    make_print_image(source, tmp_path / "print.jpg")
    assert secret not in (tmp_path / "print.jpg").read_bytes()


def test_a_print_image_is_a_baseline_jpeg(tmp_path: Path) -> None:
    source = saved(flag(1200, 900), tmp_path / "photo.jpg", progressive=True)
    make_print_image(source, tmp_path / "print.jpg")
    with Image.open(tmp_path / "print.jpg") as image:
        assert (image.format, image.mode) == ("JPEG", "RGB")
        assert "progressive" not in image.info


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((4032, 3024), (1008, 756)),
        ((3024, 4032), (756, 1008)),
        ((4000, 3000), (1000, 750)),
        ((8064, 6048), (1008, 756)),
        ((4624, 3468), (1156, 867)),
        ((3264, 2448), (1008, 756)),
        ((1600, 1200), (1008, 756)),
        ((1008, 756), (1008, 756)),
        ((1100, 100), (1008, 92)),
        ((640, 480), (640, 480)),
        ((1, 1), (1, 1)),
        ((6000, 3), (1008, 1)),
    ],
)
def test_the_long_side_ends_near_a_thousand_and_nothing_is_enlarged(
    size: tuple[int, int], expected: tuple[int, int], tmp_path: Path
) -> None:
    source = saved(Image.new("RGB", size, "teal"), tmp_path / "photo.jpg")
    assert print_image_size(source, tmp_path / "print.jpg") == expected
    with Image.open(tmp_path / "print.jpg") as image:
        assert image.size == expected


def test_a_png_is_scaled_too(tmp_path: Path) -> None:
    source = saved(flag(4032, 3024), tmp_path / "photo.png", compress_level=1)
    assert print_image_size(source, tmp_path / "print.jpg") == (1008, 756)
    assert_upright(tmp_path / "print.jpg")


def test_a_thumbnail_is_made_from_a_print_image(tmp_path: Path) -> None:
    make_print_image(saved(flag(4032, 3024), tmp_path / "photo.jpg"), tmp_path / "print.jpg")
    assert print_image_size(tmp_path / "print.jpg", tmp_path / "thumbnail.jpg", THUMBNAIL_SIDE) == (320, 240)
    assert_upright(tmp_path / "thumbnail.jpg")


# Colours ------------------------------------------------------------------------------------------------------------


def test_cmyk_becomes_rgb_of_the_same_colour(tmp_path: Path) -> None:
    source = saved(Image.new("CMYK", (60, 40), (0, 255, 255, 0)), tmp_path / "photo.jpg", quality=95)
    make_print_image(source, tmp_path / "print.jpg")
    red, green, blue = middle(tmp_path / "print.jpg")
    assert red > 200
    assert max(green, blue) < 60


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_transparent_pixels_become_white(mode: str, tmp_path: Path) -> None:
    clear = Image.new("RGBA", (60, 40), (0, 0, 0, 0))
    clear.paste((0, 0, 0, 255), (0, 0, 10, 40))
    image = clear.quantize(4) if mode in ("P", "PA") else clear.convert(mode)
    source = saved(image, tmp_path / "photo.png")
    make_print_image(source, tmp_path / "print.jpg")
    assert min(middle(tmp_path / "print.jpg")) > 245
    with Image.open(tmp_path / "print.jpg") as printed:
        assert max(printed.convert("RGB").crop((2, 2, 8, 38)).resize((1, 1)).getpixel((0, 0))) < 10  # type: ignore[arg-type]


def test_a_palette_keeps_its_colours(tmp_path: Path) -> None:
    source = saved(flag().quantize(8), tmp_path / "photo.png")
    make_print_image(source, tmp_path / "print.jpg")
    assert_upright(tmp_path / "print.jpg")


@pytest.mark.parametrize(("mode", "value"), [("I;16", 32768), ("I", 32768), ("F", 0.5), ("L", 128)])
def test_a_grey_of_any_depth_stays_that_grey(mode: str, value: float, tmp_path: Path) -> None:
    image = Image.new(mode, (60, 40), value)
    image.paste({"I;16": 65535, "I": 65535, "F": 1.0, "L": 255}[mode], (0, 0, 4, 4))
    source = saved(image, tmp_path / "photo.tiff")
    make_print_image(source, tmp_path / "print.jpg")
    assert all(abs(part - 128) < 4 for part in middle(tmp_path / "print.jpg"))


def test_black_and_white_becomes_grey_levels(tmp_path: Path) -> None:
    source = saved(Image.new("1", (60, 40), 1), tmp_path / "photo.tiff", compression="group4")
    make_print_image(source, tmp_path / "print.jpg")
    assert middle(tmp_path / "print.jpg") == (255, 255, 255)


def test_the_first_picture_of_an_animation_is_printed(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (60, 40), colour) for colour in ("red", "blue")]
    source = saved(frames[0], tmp_path / "photo.webp", save_all=True, append_images=frames[1:], lossless=True)
    make_print_image(source, tmp_path / "print.jpg")
    assert middle(tmp_path / "print.jpg")[0] > 240


def test_the_colours_of_another_profile_become_srgb(tmp_path: Path) -> None:
    source = saved(Image.new("RGB", (60, 40), "red"), tmp_path / "photo.jpg", icc_profile=red_and_green_swapped())
    make_print_image(source, tmp_path / "print.jpg")
    red, green, _ = middle(tmp_path / "print.jpg")
    assert green > 240
    assert red < 30
    assert b"ICC_PROFILE" not in (tmp_path / "print.jpg").read_bytes()


def red_and_green_swapped() -> bytes:
    """Return a colour profile in which the red and the green primary have changed places."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (tags,) = struct.unpack_from(">I", profile, 128)
    names = [bytes(profile[132 + 12 * tag : 136 + 12 * tag]) for tag in range(tags)]
    for name, other in ((b"rXYZ", b"gXYZ"), (b"gXYZ", b"rXYZ")):
        place = 132 + 12 * names.index(name)
        profile[place : place + 4] = other
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "wRGB".encode("utf-16-be"))


def test_a_broken_profile_is_ignored(tmp_path: Path) -> None:
    source = saved(flag(), tmp_path / "photo.jpg", icc_profile=b"no profile at all" * 20)
    make_print_image(source, tmp_path / "print.jpg")
    assert_upright(tmp_path / "print.jpg")


def test_broken_exif_is_ignored(tmp_path: Path) -> None:
    source = saved(flag(), tmp_path / "photo.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\x7fgarbage")
    make_print_image(source, tmp_path / "print.jpg")
    assert_upright(tmp_path / "print.jpg")


# Unreadable files ---------------------------------------------------------------------------------------------------


@cache
def encoded(ending: str, size: tuple[int, int] = (640, 480)) -> bytes:
    """Return a noisy photo, encoded once: an encoder of HEIC takes half a second."""
    pillow_heif.register_heif_opener()
    file = io.BytesIO()
    noisy = Image.effect_noise(size, 60).convert("RGB")
    kind = {"jpg": "JPEG", "tiff": "TIFF", "heic": "HEIF"}.get(ending, ending.upper())
    noisy.save(file, kind, **({"compression": "tiff_lzw"} if ending == "tiff" else {}))
    return file.getvalue()


@pytest.fixture(params=["as Pillow is", "as WeasyPrint leaves it"])
def truncated_allowed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", request.param == "as WeasyPrint leaves it")


@pytest.mark.usefixtures("truncated_allowed")
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tiff", "heic"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.97])
def test_an_incomplete_photo_is_unreadable(ending: str, share: float, tmp_path: Path) -> None:
    content = encoded(ending)
    source = tmp_path / f"photo.{ending}"
    source.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UnreadablePhoto, match=r"^The file is damaged or incomplete\. "):
        make_print_image(source, tmp_path / "print.jpg")
    assert not (tmp_path / "print.jpg").exists()


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tiff", "heic"])
def test_a_complete_photo_is_readable(ending: str, tmp_path: Path) -> None:
    source = tmp_path / f"photo.{ending}"
    source.write_bytes(encoded(ending))
    assert print_image_size(source, tmp_path / "print.jpg") == (640, 480)


@pytest.mark.parametrize(
    "content",
    [b"", b"Notes of the inspection", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7\n"],
)
def test_a_file_that_is_not_a_photo_is_unreadable(content: bytes, tmp_path: Path) -> None:
    source = tmp_path / "photo.jpg"
    source.write_bytes(content)
    with pytest.raises(UnreadablePhoto, match=r"^The file is not a photo that can be read"):
        make_print_image(source, tmp_path / "print.jpg")


def test_a_picture_of_endless_pixels_is_unreadable(tmp_path: Path) -> None:
    source = tmp_path / "photo.png"
    source.write_bytes(endless_png(60_000, 60_000))
    with pytest.raises(UnreadablePhoto, match=r"^The picture has more than the "):
        make_print_image(source, tmp_path / "print.jpg")


def endless_png(width: int, height: int) -> bytes:
    file = io.BytesIO(b"\x89PNG\r\n\x1a\n")
    file.seek(0, io.SEEK_END)
    PngImagePlugin.putchunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    PngImagePlugin.putchunk(file, b"IDAT", b"x\x9c")
    PngImagePlugin.putchunk(file, b"IEND", b"")
    return file.getvalue()


def test_a_missing_file_raises_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        make_print_image(tmp_path / "nowhere.jpg", tmp_path / "print.jpg")


@pytest.mark.long
def test_flipped_bytes_end_in_a_print_image_or_in_a_reason(tmp_path: Path) -> None:
    source, target = tmp_path / "photo", tmp_path / "print.jpg"
    made = refused = 0
    for ending in ("jpg", "png", "webp", "tiff", "heic"):
        content = encoded(ending, (320, 240))
        for place in range(0, min(len(content), 1600), 16):
            source.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
            try:
                make_print_image(source, target)
            except UnreadablePhoto:
                refused += 1
                continue
            made += 1
            with Image.open(target) as image:
                image.load()
    assert made > 100
    assert refused > 100
