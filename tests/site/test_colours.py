"""A printed photo has the colours that a browser shows, whatever its file calls them."""

import base64
import io
import struct
from pathlib import Path
from typing import Any

import pillow_heif
import pytest
from PIL import Image, ImageCms
from playwright.sync_api import Browser

from assessments.photos.print_image import make_print_image

Colour = tuple[int, int, int]

# The primaries of Display P3 and of BT.2020 as XYZ under D50.
DISPLAY_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
BT2020 = ((0.67348, 0.27904, -0.00194), (0.16566, 0.67534, 0.02998), (0.12505, 0.04561, 0.79686))
# Colours as they should look, and the values that mean them in Display P3, in BT.2020 with PQ, and in HLG; white paper
# has 203 cd/m2. They were calculated by the formulas of CSS Color 4, SMPTE ST 2084 and BT.2100.
IN_DISPLAY_P3 = {(200, 30, 30): (184, 50, 41), (60, 160, 60): (89, 158, 73), (40, 60, 170): (44, 59, 164)}
IN_PQ = {(255, 255, 255): (148, 148, 148), (200, 30, 30): (122, 78, 61), (60, 160, 60): (100, 119, 84)}
IN_HLG = {(255, 255, 255): (191, 191, 191), (128, 128, 128): (120, 120, 120), (60, 60, 60): (63, 63, 63)}
PATCH = 40


def patches(*colours: Colour) -> Image.Image:
    image = Image.new("RGB", (PATCH * len(colours), PATCH))
    for number, colour in enumerate(colours):
        image.paste(colour, (PATCH * number, 0, PATCH * (number + 1), PATCH))
    return image


def seen(image: Image.Image) -> list[Colour]:
    places = range(PATCH // 2, image.width, PATCH)
    return [image.convert("RGB").getpixel((place, PATCH // 2)) for place in places]  # type: ignore[misc]


def saved(kind: str, image: Image.Image, **options: Any) -> bytes:
    pillow_heif.register_heif_opener()
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def printed(content: bytes, folder: Path) -> list[Colour]:
    source = folder / "photo"
    source.write_bytes(content)
    make_print_image(source, folder / "print.jpg")
    with Image.open(folder / "print.jpg") as image:
        assert "icc_profile" not in image.info
        return seen(image)


def assert_near(colours: list[Colour], wanted: list[Colour], most: int) -> None:
    assert len(colours) == len(wanted)
    for colour, right in zip(colours, wanted, strict=True):
        assert max(abs(one - other) for one, other in zip(colour, right, strict=True)) <= most, (colour, right)


def profile(primaries: tuple[tuple[float, ...], ...]) -> bytes:
    """Return the built-in profile of sRGB, whose name has "sRGB" in it, with other primaries."""
    content = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    assert "sRGB".encode("utf-16-be") in content
    (count,) = struct.unpack_from(">I", content, 128)
    tags = [struct.unpack_from(">4sII", content, 132 + 12 * number) for number in range(count)]
    for name, place, _ in tags:
        if name in (b"rXYZ", b"gXYZ", b"bXYZ"):
            xyz = primaries["rgb".index(name.decode()[0])]
            struct.pack_into(">3i", content, place + 8, *(round(part * 65536) for part in xyz))
    return bytes(content)


def grey_profile(gamma: float) -> bytes:
    white = struct.pack(">4s4x3i", b"XYZ ", 63190, 65536, 54061)
    curve = struct.pack(">4s4xIHxx", b"curv", 1, round(gamma * 256))
    index = struct.pack(">I4sII4sII", 2, b"wtpt", 156, len(white), b"kTRC", 156 + len(white), 14)
    head = struct.pack(
        ">I4xI4s4s4s12x4s28x3i48x", 192, 0x02400000, b"mntr", b"GRAY", b"XYZ ", b"acsp", 63190, 65536, 54061
    )
    return head + index + white + curve


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF"])
def test_the_name_of_a_profile_does_not_decide(kind: str, tmp_path: Path) -> None:
    options = {"JPEG": {"quality": 98, "subsampling": 0}, "WEBP": {"lossless": True}, "HEIF": {"quality": -1}}
    content = saved(kind, patches(*IN_DISPLAY_P3.values()), icc_profile=profile(DISPLAY_P3), **options.get(kind, {}))
    assert_near(printed(content, tmp_path), list(IN_DISPLAY_P3), 3)


def test_the_profile_of_srgb_changes_nothing(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    colours = [(200, 30, 30), (0, 200, 0), (17, 99, 180)]
    assert_near(printed(saved("PNG", patches(*colours), icc_profile=srgb), tmp_path), colours, 2)


@pytest.mark.parametrize("primaries", [DISPLAY_P3, BT2020])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_colours_are_those_that_a_browser_shows(
    kind: str, primaries: tuple[tuple[float, ...], ...], browser: Browser, tmp_path: Path
) -> None:
    colours = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (250, 200, 150), (90, 120, 60), (20, 20, 20), (255, 0, 0)]
    options = {"JPEG": {"quality": 98, "subsampling": 0}, "WEBP": {"lossless": True}}
    content = saved(kind, patches(*colours), icc_profile=profile(primaries), **options.get(kind, {}))
    assert_near(printed(content, tmp_path), shown(browser, kind, content), 3)


@pytest.mark.parametrize("gamma", [1.0, 1.8])
def test_greys_are_those_that_a_browser_shows(gamma: float, browser: Browser, tmp_path: Path) -> None:
    image = patches((20, 20, 20), (90, 90, 90), (128, 128, 128), (220, 220, 220)).convert("L")
    content = saved("PNG", image, icc_profile=grey_profile(gamma))
    assert_near(printed(content, tmp_path), shown(browser, "PNG", content), 3)


def shown(browser: Browser, kind: str, content: bytes) -> list[Colour]:
    """Return the colours of the patches as the browser paints them."""
    page = browser.new_page()
    page.set_content(f'<img src="data:image/{kind.lower()};base64,{base64.b64encode(content).decode()}">')
    page.wait_for_function("document.images[0].complete")
    picture = page.locator("img").screenshot(type="png")
    page.close()
    with Image.open(io.BytesIO(picture)) as image:
        return seen(image)


# HEIC that names its colours by numbers -----------------------------------------------------------------------------


def heic(image: Image.Image, primaries: int, transfer: int) -> bytes:
    numbers = {"color_primaries": primaries, "transfer_characteristics": transfer, "matrix_coefficients": 6}
    return saved("HEIF", image, quality=-1, full_range_flag=1, **numbers)


def test_display_p3_without_a_profile_is_converted(tmp_path: Path) -> None:
    assert_near(printed(heic(patches(*IN_DISPLAY_P3.values()), 12, 13), tmp_path), list(IN_DISPLAY_P3), 3)


def test_srgb_without_a_profile_stays_as_it_is(tmp_path: Path) -> None:
    colours = [(200, 30, 30), (0, 200, 0), (128, 128, 128)]
    assert_near(printed(heic(patches(*colours), 1, 13), tmp_path), colours, 3)


@pytest.mark.parametrize("kind", ["8 bits", "10 bits"])
@pytest.mark.parametrize(("transfer", "values"), [(16, IN_PQ), (18, IN_HLG)], ids=["PQ", "HLG"])
def test_hdr_looks_as_its_scene(transfer: int, values: dict[Colour, Colour], kind: str, tmp_path: Path) -> None:
    image = patches(*values.values())
    content = heic(image, 9, transfer) if kind == "8 bits" else deep_heic(image, 9, transfer)
    assert_near(printed(content, tmp_path), list(values), 4)


def deep_heic(image: Image.Image, primaries: int, transfer: int) -> bytes:
    """Return a HEIC with ten bits a channel."""
    pixels = b"".join(bytes((value, value)) for value in image.tobytes())
    photo = pillow_heif.from_bytes("RGB;16", image.size, pixels)
    file = io.BytesIO()
    numbers = {"color_primaries": primaries, "transfer_characteristics": transfer, "matrix_coefficients": 9}
    photo.save(file, quality=-1, full_range_flag=1, **numbers)
    assert pillow_heif.open_heif(file).info["bit_depth"] == 10
    return file.getvalue()
