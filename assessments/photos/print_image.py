"""Print images: small, upright, plain JPEGs of the photos, which the PDFs embed as they are.

Plain means baseline JPEG in sRGB or grey and without EXIF: WeasyPrint passes such a file straight through, and a
document does not reveal the place where a photo was taken.
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, NamedTuple

import pillow_heif
from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from assessments.sandbox import Refusal

from . import tiff, whole
from .colours import to_srgb
from .hdr import flattened

# A quarter of the width of a 12-megapixel photo, so that the JPEG decoder itself does the scaling; 305 dpi at 84 mm.
LONG_SIDE = 1008
QUALITY = 80
THUMBNAIL_SIDE = 320


class Format(NamedTuple):
    """A format of photos: the extension of its files, a pattern of their first bytes, and what opens them."""

    extension: str
    beginning: bytes
    open: Callable[[IO[bytes]], Image.Image]


# The formats that are read. Of a JPEG that holds several pictures, as some phones write, the first is read.
FORMATS = (
    Format("jpg", rb"\xff\xd8\xff", JpegImageFile),
    Format("png", rb"\x89PNG\r\n\x1a\n", PngImageFile),
    Format("webp", rb"RIFF.{4}WEBP", WebPImageFile),
    Format("heic", rb".{4}ftyp(hei[cmsx]|hev[cmsx]|mif1|msf1)", pillow_heif.HeifImageFile),
    Format("tiff", rb"II[*+]\0|MM\0[*+]", TiffImageFile),
)
# The number of first bytes that identify the format.
BEGINNING = 12
# The first bytes of raw files that are no usual TIFF: CR2, CR3, CRW, ORF, RW2, RAF, X3F and MRW.
RAW = re.compile(
    rb"II\*\0.{4}CR|.{4}ftypcrx|II\x1a\0|IIR[OS]|MMOR|IIU\0|FUJIFILMCCD|FOVb|\0MRM",
    re.DOTALL,
)
KNOWN = "Upload JPEG, PNG, WebP, HEIC or TIFF."
DAMAGED = "The file is damaged or incomplete. Copy it from the camera again, then upload it."
UNKNOWN_KIND = "The file is of a kind that cannot be read here. Save it as a new JPEG, then upload that."
BLACK = "The picture ends in black, as if a part were missing. Copy it from the camera again, or save it as a JPEG."
# More pixels than PHOTO_MAX_MEGAPIXELS can allow.
MOST_PIXELS = 1_000_000_000
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
# Parts of their messages about a file that is whole, but of a kind that no decoder here knows.
UNSUPPORTED = re.compile("not been built in|nsupported|not supported|unknown pixel mode")


class NotAPhoto(Exception):  # noqa: N818
    """A file cannot be a photo; the text says why, in words that follow the name of the file."""


class UnreadablePhoto(Refusal):
    """The photo cannot be shown; the text is the reason, as a sentence in the user's words."""


def format_of(file: IO[bytes]) -> Format:
    """Return the format of a file by its first bytes, and by the tags of a TIFF. Raises NotAPhoto. Decodes nothing."""
    file.seek(0)
    beginning = file.read(BEGINNING)
    if RAW.match(beginning):
        raise NotAPhoto(tiff.RAW)
    found = next((each for each in FORMATS if re.match(each.beginning, beginning, re.DOTALL)), None)
    if found is None:
        raise NotAPhoto(f"is not a photo that can be read. {KNOWN}")
    file.seek(0)
    if found.extension == "tiff" and (reason := tiff.refusal(file)):
        raise NotAPhoto(reason)
    file.seek(0)
    return found


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
        picture = to_srgb(_on_white(_scaled(photo, long_side)), photo.info)
        if (turn := _turn(photo)) is not None:
            picture = picture.transpose(turn)
    # Pillow would copy some metadata of the source, such as comments, into the new file.
    picture.info = {}
    picture.save(target, "JPEG", quality=QUALITY)
    return (height, width) if turn in SIDEWAYS else (width, height)


@contextmanager
def opened(file: IO[bytes], max_pixels: int) -> Iterator[Image.Image]:
    """Give the photo in ``file``, only its header read. Raises UnreadablePhoto, also for errors within the block."""
    register_heif()
    # WeasyPrint sets this for the whole process; here a photo that ends early is an error, not a half grey picture.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    # The site has a limit of its own.
    Image.MAX_IMAGE_PIXELS = None
    try:
        with _open(file, max_pixels) as photo:
            yield photo
    except NotAPhoto as reason:
        raise UnreadablePhoto(f"The file {reason}") from None
    except BROKEN_PARTS as error:
        raise UnreadablePhoto(UNKNOWN_KIND if UNSUPPORTED.search(str(error)) else DAMAGED) from error


def _open(file: IO[bytes], max_pixels: int) -> Image.Image:
    known = format_of(file)
    number = _page_of(file) if known.extension == "tiff" else 0
    file.seek(0)
    photo = known.open(file)
    if number:
        photo.seek(number)
    if photo.width * photo.height > max_pixels:
        raise _too_many(max_pixels)
    file.seek(0)
    match known.extension:
        case "heic":
            whole.check_heic(file)
            photo = flattened(file, photo.info) or photo
        case "png":
            whole.check_png(file)
        case "webp":
            whole.check_webp(file)
        case "jpg" if ended := whole.ended_jpeg(file):
            photo = known.open(ended)
    _forget_hearsay(photo)
    return photo


def _page_of(tiff_file: IO[bytes]) -> int:
    """Return the index of the page that is the photo."""
    pages = list(tiff.tags(tiff_file))
    if not pages or not pages[0]:
        raise UnreadablePhoto(DAMAGED)
    number = next(iter(tiff.full_pages(pages)), 0)
    if tiff.ends_black(tiff_file, pages[number]):
        raise UnreadablePhoto(BLACK)
    return number


def _too_many(most: int) -> UnreadablePhoto:
    return UnreadablePhoto(
        f"The picture has more than the {most // MEGAPIXEL} megapixels that a photo may have. Upload a smaller one."
    )


@cache
def register_heif() -> None:
    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=2)


def _scaled(photo: Image.Image, long_side: int) -> Image.Image:
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


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode != "RGBA":
        return picture
    paper = Image.new("RGB", picture.size, "white")
    paper.paste(picture, mask=picture.getchannel("A"))
    return paper


def _turn(photo: Image.Image) -> Image.Transpose | None:
    """Return the turn that puts the photo upright, by its EXIF; None without a turn, or when the EXIF is broken."""
    _forget_hearsay(photo)
    try:
        return TURNS.get(photo.getexif().get(0x0112, 1))
    except BROKEN_PARTS:
        return None


def _forget_hearsay(photo: Image.Image) -> None:
    """Remove what Pillow would read an orientation from, and browsers do not."""
    for name in ("xmp", "XML:com.adobe.xmp", "Raw profile type exif"):
        photo.info.pop(name, None)
