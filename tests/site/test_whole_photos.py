"""A file that holds its whole picture is printed; a file without a part of its picture, or with several, is not."""

import io
import struct
from pathlib import Path
from typing import Any

import pillow_heif
import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin

from assessments.photos.print_image import NotAPhoto, UnreadablePhoto, format_of, make_print_image
from tests.security.pictures import deep_tiff, holed, saved, tiled_heic

from .test_print_image import assert_upright, encoded, endless_png, flag

DAMAGED = "The file is damaged or incomplete. Copy it from the camera again, then upload it."
RAW = "is a raw file of a camera. Upload the JPEG of this photo instead."
END = b"\xff\xd9"
# What Samsung's cameras append to a panorama.
TRAILER = bytes(4) + bytes(range(1, 255)) * 240 + b"SEFH" + bytes(20) + b"SEFT"


def printed(content: bytes, folder: Path, **options: int) -> tuple[int, int]:
    source = folder / "photo"
    source.write_bytes(content)
    return make_print_image(source, folder / "print.jpg", **options)


def problem(content: bytes, folder: Path, **options: int) -> str:
    with pytest.raises(UnreadablePhoto) as refused:
        printed(content, folder, **options)
    assert not (folder / "print.jpg").exists()
    return str(refused.value)


# HEIC ---------------------------------------------------------------------------------------------------------------


def test_a_whole_heic_of_tiles_is_printed(tmp_path: Path) -> None:
    assert printed(tiled_heic(), tmp_path) == (256, 192)


@pytest.mark.parametrize("share", [20, 60, 90, 99])
def test_a_heic_without_some_tiles_is_damaged(share: int, tmp_path: Path) -> None:
    content = tiled_heic()
    assert problem(content[: len(content) * share // 100], tmp_path) == DAMAGED


@pytest.mark.parametrize("share", [20, 60, 90, 99])
def test_a_heic_whose_tail_is_zeros_is_damaged(share: int, tmp_path: Path) -> None:
    assert problem(holed(tiled_heic(), share), tmp_path) == DAMAGED


@pytest.mark.parametrize("length", [20, 100, 400])
def test_a_heic_that_breaks_off_within_its_head_is_damaged(length: int, tmp_path: Path) -> None:
    assert problem(tiled_heic()[:length], tmp_path) == DAMAGED


def test_a_heic_with_a_film_after_it_is_printed(tmp_path: Path) -> None:
    assert printed(tiled_heic() + TRAILER, tmp_path) == (256, 192)


def test_a_heic_of_another_kind_is_not_called_damaged(tmp_path: Path) -> None:
    pillow_heif.register_heif_opener()
    other = tiled_heic().replace(b"hvc1", b"av01").replace(b"hvcC", b"av1C")
    assert problem(other, tmp_path) == (
        "The file is of a kind that cannot be read here. Save it as a new JPEG, then upload that."
    )


# JPEG and WebP ------------------------------------------------------------------------------------------------------


def jpeg(**options: object) -> bytes:
    return saved("JPEG", flag(1600, 1200), quality=95, **options)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("after", [b"", END[:1], bytes(600), TRAILER, END + TRAILER])
def test_a_jpeg_without_its_end_marker_is_printed(options: dict[str, object], after: bytes, tmp_path: Path) -> None:
    content = jpeg(**options)
    assert content.endswith(END)
    assert printed(content.removesuffix(END) + after, tmp_path) == (1600, 1200)
    assert_upright(tmp_path / "print.jpg")


def test_a_jpeg_with_stray_bytes_between_its_parts_is_printed(tmp_path: Path) -> None:
    content = jpeg()
    place = content.index(b"\xff\xdb")
    assert printed(content[:place] + bytes(3) + content[place:] + TRAILER, tmp_path) == (1600, 1200)
    assert_upright(tmp_path / "print.jpg")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("share", [30, 60, 90, 99])
def test_a_jpeg_without_some_rows_is_damaged(options: dict[str, object], share: int, tmp_path: Path) -> None:
    content = saved("JPEG", Image.effect_noise((640, 480), 60).convert("RGB"), **options)
    assert problem(content[: len(content) * share // 100], tmp_path) == DAMAGED
    assert problem(holed(content, share), tmp_path) == DAMAGED


@pytest.mark.parametrize("share", [30, 60, 90])
@pytest.mark.parametrize("ending", ["png", "webp", "tiff"])
def test_another_photo_whose_tail_is_zeros_is_damaged(ending: str, share: int, tmp_path: Path) -> None:
    assert problem(holed(encoded(ending), share), tmp_path) == DAMAGED


def with_a_hole(content: bytes, share: int) -> bytes:
    """Return a file with 5,000 zeros at a share of its length, as of a block that was never copied."""
    place = len(content) * share // 100
    return content[:place] + bytes(5000) + content[place + 5000 :]


@pytest.mark.parametrize("share", [30, 60])
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tiff", "heic"])
def test_a_photo_with_a_hole_is_damaged(ending: str, share: int, tmp_path: Path) -> None:
    assert problem(with_a_hole(encoded(ending), share), tmp_path) == DAMAGED


@pytest.mark.parametrize("share", [30, 60])
def test_a_progressive_jpeg_with_a_hole_is_damaged(share: int, tmp_path: Path) -> None:
    content = saved("JPEG", Image.effect_noise((640, 480), 60).convert("RGB"), progressive=True)
    assert problem(with_a_hole(content, share), tmp_path) == DAMAGED


@pytest.mark.parametrize("share", [10, 50, 95])
def test_a_png_whose_missing_part_would_be_black_is_damaged(share: int, tmp_path: Path) -> None:
    """A decoder finds no fault in the zeros: as codes, they fill the rows that are left."""
    content = saved("PNG", Image.new("1", (6000, 4000)), compress_level=1)
    assert problem(holed(content, share), tmp_path) == DAMAGED


@pytest.mark.parametrize(
    "options",
    [
        *({"format": "JPEG", **more} for more in ({"optimize": True}, {"progressive": True}, {"optimize": False})),
        *({"format": "WEBP", **more} for more in ({"lossless": True, "method": 0}, {"quality": 80})),
        {"format": "PNG", "compress_level": 0},
    ],
)
def test_zeros_that_mean_an_area_of_one_colour_are_no_hole(options: dict[str, Any], tmp_path: Path) -> None:
    image = Image.effect_noise((1600, 1200), 60).convert("RGB")
    image.paste("black", (0, 0, 1600, 1000))
    assert printed(saved(options.pop("format"), image, **options), tmp_path) == (1600, 1200)


def test_a_tiff_without_compression_that_ends_in_zeros_is_questioned(tmp_path: Path) -> None:
    content = saved("TIFF", flag(640, 480))
    assert printed(content, tmp_path) == (640, 480)
    (tmp_path / "print.jpg").unlink()
    assert problem(holed(content, 95), tmp_path) == (
        "The picture ends in black, as if a part were missing. Copy it from the camera again, or save it as a JPEG."
    )


def test_a_tiff_without_compression_that_ends_in_white_is_printed(tmp_path: Path) -> None:
    assert printed(saved("TIFF", Image.new("CMYK", (640, 480))), tmp_path) == (640, 480)


@pytest.mark.parametrize("missing", [1, 8, 100])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "packbits", "jpeg"])
def test_a_tiff_without_its_last_bytes_is_damaged(compression: str, missing: int, tmp_path: Path) -> None:
    content = saved("TIFF", flag(640, 480), compression=compression)
    assert problem(content[:-missing], tmp_path) == DAMAGED


# Raw files and pages ------------------------------------------------------------------------------------------------


def tiff(order: str, *pages: list[tuple[int, int, int]]) -> bytes:
    """Return the heads of a TIFF's pages: tags, types and values. There are no pixels."""
    content = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8)
    for number, page in enumerate(pages, start=1):
        entries = b"".join(
            struct.pack(f"{order}HHI{'H2x' if kind == 3 else 'I'}", tag, kind, 1, value) for tag, kind, value in page
        )
        following = len(content) + 6 + len(entries) if number < len(pages) else 0
        content += struct.pack(f"{order}H", len(page)) + entries + struct.pack(f"{order}I", following)
    return content


SMALL_COPY = [(254, 4, 1), (256, 3, 160), (257, 3, 120)]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "first",
    [
        [*SMALL_COPY, (330, 4, 500), (50706, 1, 1)],
        [*SMALL_COPY, (330, 4, 500)],
        [(254, 4, 0), (262, 3, 32803)],
        [(254, 4, 0), (262, 3, 34892)],
    ],
    ids=["DNG", "NEF", "sensor", "linear"],
)
def test_a_raw_file_is_refused(order: str, first: list[tuple[int, int, int]], tmp_path: Path) -> None:
    content = tiff(order, first)
    with pytest.raises(NotAPhoto, match=f"^{RAW}$"):
        format_of(io.BytesIO(content))
    assert problem(content, tmp_path) == f"The file {RAW}"


@pytest.mark.parametrize(
    "beginning",
    [b"II*\0\x10\0\0\0CR\x02\0", b"\0\0\0\x18ftypcrx ", b"IIRO\x08\0\0\0", b"IIU\0\x18\0\0\0", b"FUJIFILMCCD-RAW "],
    ids=["CR2", "CR3", "ORF", "RW2", "RAF"],
)
def test_a_raw_file_of_its_makers_own_kind_is_refused(beginning: bytes) -> None:
    with pytest.raises(NotAPhoto, match=f"^{RAW}$"):
        format_of(io.BytesIO(beginning + bytes(500)))


def pages(*kinds: int) -> bytes:
    """Return a TIFF with a page of each kind; the last page shows the flag, the others are smaller and black."""
    file = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(file, new=True) as writer:
        for number, kind in enumerate(kinds, start=1):
            image = flag() if number == len(kinds) else Image.new("RGB", (40, 30))
            image.save(writer, "TIFF", tiffinfo={254: kind})
            writer.newFrame()
    return file.getvalue()


@pytest.mark.parametrize("kinds", [(0, 0), (2, 2), (0, 1, 0)])
def test_a_tiff_of_several_pages_is_refused(kinds: tuple[int, ...], tmp_path: Path) -> None:
    reason = "has 2 pages, and a photo has one. Save each page as a JPEG, then upload those."
    with pytest.raises(NotAPhoto, match=f"^{reason}$"):
        format_of(io.BytesIO(pages(*kinds)))
    assert problem(pages(*kinds), tmp_path) == f"The file {reason}"


def test_a_tiff_with_a_small_copy_before_it_is_printed_itself(tmp_path: Path) -> None:
    assert printed(pages(1, 0), tmp_path) == (160, 120)
    assert_upright(tmp_path / "print.jpg")


def test_a_tiff_whose_pages_are_a_ring_is_printed(tmp_path: Path) -> None:
    content = deep_tiff()
    (place,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, place)
    following = place + 2 + 12 * count
    ring = content[:following] + struct.pack("<I", place) + content[following + 4 :]
    assert printed(ring, tmp_path) == (160, 120)


# Orientation and size -----------------------------------------------------------------------------------------------

LYING = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:Description tiff:Orientation=\"6\"/></x:xmpmeta>"


def xmp_of_a_png() -> PngImagePlugin.PngInfo:
    information = PngImagePlugin.PngInfo()
    information.add_itxt("XML:com.adobe.xmp", LYING.decode())
    return information


@pytest.mark.parametrize(
    ("ending", "options"),
    [
        ("JPEG", {"xmp": LYING}),
        ("PNG", {"pnginfo": xmp_of_a_png()}),
        ("WEBP", {"xmp": LYING, "lossless": True}),
        ("TIFF", {"tiffinfo": {700: LYING}}),
    ],
)
def test_an_orientation_in_xmp_turns_nothing(ending: str, options: dict[str, object], tmp_path: Path) -> None:
    content = saved(ending, **options)
    assert b"tiff:Orientation" in content
    assert printed(content, tmp_path) == (160, 120)
    assert_upright(tmp_path / "print.jpg")


def test_an_orientation_in_the_exif_of_a_heic_turns_nothing(tmp_path: Path) -> None:
    """Browsers turn a HEIC by its own property "irot" alone."""
    orientation = struct.Struct("<HHIH")
    upright = orientation.pack(0x0112, 3, 1, 1)
    pillow_heif.register_heif_opener()
    content = saved("HEIF", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0" + upright + bytes(6))
    assert content.count(upright) == 1
    assert b"irot" not in content
    lying = content.replace(upright, orientation.pack(0x0112, 3, 1, 6))
    assert printed(lying, tmp_path) == (160, 120)
    assert_upright(tmp_path / "print.jpg")


def test_the_limit_of_pixels_is_the_one_that_is_set(tmp_path: Path) -> None:
    # Pillow's own limit is 179 megapixels.
    content = saved("PNG", Image.new("1", (14_000, 13_000)))
    assert printed(content, tmp_path, max_pixels=182_000_000) == (14_000, 13_000)
    (tmp_path / "print.jpg").unlink()
    assert problem(content, tmp_path, max_pixels=181_000_000) == (
        "The picture has more than the 181 megapixels that a photo may have. Upload a smaller one."
    )
    assert "more than the 900 megapixels" in problem(endless_png(60_000, 60_000), tmp_path, max_pixels=900_000_000)
