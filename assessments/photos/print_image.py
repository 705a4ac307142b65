"""Print images: small, upright, plain JPEGs of the photos, which the PDFs embed as they are.

Plain means baseline JPEG in sRGB or grey and without EXIF: WeasyPrint passes such a file straight through, and a
document does not reveal the place where a photo was taken.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from io import BytesIO
from pathlib import Path
from typing import IO, NamedTuple

import pillow_heif
from PIL import Image, ImageCms, ImageFile, UnidentifiedImageError

from assessments.sandbox import Refusal

# A quarter of the width of a 12-megapixel photo, so that the JPEG decoder itself does the scaling; 305 dpi at 84 mm.
LONG_SIDE = 1008
QUALITY = 80
THUMBNAIL_SIDE = 320


class Format(NamedTuple):
    """A format of photos: its name in Pillow, the extension of its files, and a pattern of their first bytes."""

    name: str
    extension: str
    beginning: bytes


# The formats that are read. A JPEG that holds several pictures, as some phones write, is opened as one, too.
FORMATS = (
    Format("JPEG", "jpg", rb"\xff\xd8\xff"),
    Format("PNG", "png", rb"\x89PNG\r\n\x1a\n"),
    Format("WEBP", "webp", rb"RIFF.{4}WEBP"),
    Format("HEIF", "heic", rb".{4}ftyp(hei[cmsx]|hev[cmsx]|mif1|msf1)"),
    Format("TIFF", "tiff", rb"II[*+]\0|MM\0[*+]"),
)
# The number of first bytes that identify the format.
BEGINNING = 12
KNOWN = "Upload JPEG, PNG, WebP, HEIC or TIFF."
DAMAGED = "The file is damaged or incomplete. Copy it from the camera again, then upload it."
# Pixels beyond which Pillow itself opens no picture.
MOST_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 0)
MEGAPIXEL = 1_000_000
# The fractions at which the JPEG decoder can scale.
FRACTIONS = (8, 4, 2)
# The shares of the wanted size between which the result of a fraction is used without resampling.
CLOSE = (0.95, 1.20)

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS: set[Image.Transpose | None] = {TURNS[orientation] for orientation in (5, 6, 7, 8)}
# The errors that Pillow and its decoders raise for a broken file.
BROKEN = (OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, EOFError, RuntimeError)
BROKEN_PARTS = (*BROKEN, struct.error, zlib.error)


class UnreadablePhoto(Refusal):
    """The photo cannot be shown; the text is the reason, as a sentence in the user's words."""


def extension_of(beginning: bytes) -> str | None:
    """Return the extension for a file with this beginning, such as "jpg"; None when the format is not known."""
    found = (each.extension for each in FORMATS if re.match(each.beginning, beginning, re.DOTALL))
    return next(found, None)


def make_small_pictures(source: Path, print_image: Path, thumbnail: Path, max_pixels: int) -> tuple[int, int]:
    """Write a photo's print image and its thumbnail; return the width and height of the upright photo in px.

    Raises as ``make_print_image`` does.
    """
    size = make_print_image(source, print_image, max_pixels=max_pixels)
    make_print_image(print_image, thumbnail, THUMBNAIL_SIDE)
    return size


def make_print_image(
    source: Path, target: Path, long_side: int = LONG_SIDE, *, max_pixels: int = MOST_PIXELS
) -> tuple[int, int]:
    """Write the print image of ``source`` to ``target``; return the width and height of the upright photo in px.

    The longer side is about ``long_side`` px, less when the photo is smaller. Pixels are counted before they are
    decoded. Raises UnreadablePhoto, and FileNotFoundError when there is no source.
    """
    with source.open("rb") as file, opened(file, max_pixels) as photo:
        width, height = photo.size
        picture = _plain(_scaled(photo, long_side), photo.info.get("icc_profile"))
        if (turn := _turn(photo)) is not None:
            picture = picture.transpose(turn)
    # Pillow would copy some metadata of the source, such as comments, into the new file.
    picture.info = {}
    picture.save(target, "JPEG", quality=QUALITY)
    return (height, width) if turn in SIDEWAYS else (width, height)


@contextmanager
def opened(file: IO[bytes], max_pixels: int) -> Iterator[ImageFile.ImageFile]:
    """Give the photo in ``file``, only its header read. Raises UnreadablePhoto, also for errors within the block."""
    register_heif()
    # WeasyPrint sets this for the whole process; here a photo that ends early is an error, not a half grey picture.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        photo = Image.open(file, formats=[each.name for each in FORMATS])
    except Image.DecompressionBombError as error:
        raise _too_many(max_pixels) from error
    except UnidentifiedImageError as error:
        raise UnreadablePhoto(f"The file is not a photo that can be read. {KNOWN}") from error
    except BROKEN_PARTS as error:
        raise UnreadablePhoto(DAMAGED) from error
    with photo:
        if photo.width * photo.height > max_pixels:
            raise _too_many(max_pixels)
        try:
            yield photo
        except BROKEN_PARTS as error:
            raise UnreadablePhoto(DAMAGED) from error


def _too_many(most: int) -> UnreadablePhoto:
    return UnreadablePhoto(
        f"The picture has more than the {most // MEGAPIXEL} megapixels that a photo may have. Upload a smaller one."
    )


@cache
def register_heif() -> None:
    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=2)


def _scaled(photo: ImageFile.ImageFile, long_side: int) -> Image.Image:
    """Decode the photo, its longer side near ``long_side``, in a mode that can be resampled."""
    whole = max(photo.size)
    for fraction in FRACTIONS:
        if whole / fraction >= long_side * CLOSE[0]:
            photo.draft(None, (max(photo.width // fraction, 1), max(photo.height // fraction, 1)))
            break
    photo.load()
    picture = _eight_bits(photo)
    longest = max(picture.size)
    if longest <= long_side or (longest < whole and longest <= long_side * CLOSE[1]):
        return picture
    size = [max(round(side * long_side / longest), 1) for side in picture.size]
    return picture.resize((size[0], size[1]), Image.Resampling.BICUBIC, reducing_gap=2.0)


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Return the picture as L, RGB, RGBA or CMYK: eight bits a channel, no palette."""
    if picture.mode == "1":
        return picture.convert("L")
    if picture.mode in ("P", "PA", "LA", "La", "RGBa") or "transparency" in picture.info:
        return picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        # Pillow cuts such values off at 255 when it converts them, which leaves a white picture.
        brightest = float(picture.getextrema()[1])  # type: ignore[arg-type]
        white = next((top for top in (1.0, 255.0, 65535.0) if brightest <= top), brightest)
        return picture.point(lambda value: value * (255.0 / white)).convert("L")
    return picture if picture.mode in ("L", "RGB", "RGBA", "CMYK") else picture.convert("RGB")


def _plain(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Return the picture as L or RGB: on white, in sRGB."""
    if picture.mode == "RGBA":
        paper = Image.new("RGB", picture.size, "white")
        paper.paste(picture, mask=picture.getchannel("A"))
        picture = paper
    if profile and picture.mode in ("RGB", "CMYK"):
        transform = _to_srgb(profile, picture.mode)
        if transform is not None:
            return transform.apply(picture)
    return picture if picture.mode in ("L", "RGB") else picture.convert("RGB")


@lru_cache(maxsize=16)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform from an ICC profile to sRGB; None when the profile is sRGB already, or is broken."""
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(source):
            return None
        target = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        return ImageCms.ImageCmsTransform(source, target, mode, "RGB")
    except (OSError, ValueError, ImageCms.PyCMSError):
        return None


def _turn(photo: Image.Image) -> Image.Transpose | None:
    """Return the turn that puts the photo upright, by its EXIF; None without a turn, or when the EXIF is broken."""
    try:
        return TURNS.get(photo.getexif().get(0x0112, 1))
    except BROKEN_PARTS:
        return None
