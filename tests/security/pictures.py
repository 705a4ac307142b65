"""Hostile photos of every kind, made as cheaply as an attacker would make them.

A good photo shows the flag: four quarters, red and lime above blue and yellow.
"""

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass
from functools import cache
from typing import Any

import pillow_heif
from PIL import Image, ImageCms, PngImagePlugin

from assessments.operations.demo.pictures import STORED_TURNS
from tests.site.test_print_image import flag

# A text in every kind of metadata, which must not be in any printed file.
SECRET = "12 Protea Street"
XMP = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{SECRET}</x:xmpmeta>".encode()

NO_PHOTO = "is not a photo that can be read. Upload JPEG, PNG, WebP, HEIC or TIFF."
TWO_PAGES = "has 2 pages, and a photo has one. Save each page as a JPEG, then upload those."
DAMAGED = "The file is damaged or incomplete. Copy it from the camera again, then upload it."
TOO_MANY_PIXELS = "The picture has more than the 60 megapixels that a photo may have. Upload a smaller one."
EMPTY = "is empty. Upload the photo again."


@dataclass(frozen=True)
class Upload:
    name: str
    content: bytes
    # The reason of a refusal (which follows the name) or of an unreadable photo; empty for a good photo.
    reason: str = ""
    # Whether the picture is the flag; another good picture is all red.
    is_flag: bool = True


def saved(kind: str, image: Image.Image | None = None, **options: Any) -> bytes:
    file = io.BytesIO()
    (image or flag()).save(file, kind, **options)
    return file.getvalue()


def located(orientation: int = 1) -> Image.Exif:
    """Return EXIF data with a place and a text, as from a camera."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = SECRET
    exif[0x8825] = {1: "S", 2: (33.0, 29.0, 41.2), 3: "E", 4: (19.0, 34.0, 7.5)}
    return exif


def with_segment(jpeg: bytes, marker: int, payload: bytes) -> bytes:
    return jpeg[:2] + struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload + jpeg[2:]


def without_segment(jpeg: bytes, marker: int) -> bytes:
    place = jpeg.index(bytes([0xFF, marker]))
    (length,) = struct.unpack_from(">H", jpeg, place + 2)
    return jpeg[:place] + jpeg[place + 2 + length :]


def from_a_phone(orientation: int) -> bytes:
    image = flag().transpose(STORED_TURNS[orientation]) if orientation > 1 else flag()
    jpeg = saved("JPEG", image, exif=located(orientation), xmp=XMP, comment=SECRET.encode(), quality=95)
    return with_segment(jpeg, 0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x15\x1c\x02\x5a\0\x10" + SECRET.encode())


def png(width: int, height: int, rows: bytes, *chunks: tuple[bytes, bytes], depth: int = 8, colour: int = 2) -> bytes:
    """Return a PNG made by hand; ``rows`` is the packed stream of pixels."""
    file = io.BytesIO(b"\x89PNG\r\n\x1a\n")
    file.seek(0, io.SEEK_END)
    PngImagePlugin.putchunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    for name, content in chunks:
        PngImagePlugin.putchunk(file, name, content)
    PngImagePlugin.putchunk(file, b"IDAT", rows)
    PngImagePlugin.putchunk(file, b"IEND", b"")
    return file.getvalue()


def deflated(size: int) -> bytes:
    """Return ``size`` zeros, packed to a thousandth: one packed mebibyte again and again, and the checksum of all."""
    whole, rest = divmod(size, 2**20)
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    end = packer.compress(bytes(rest)) + packer.flush()
    return b"x\xda" + block * whole + end + struct.pack(">HH", size % 65521, 1)


def black_png(width: int, height: int) -> bytes:
    return png(width, height, deflated((3 * width + 1) * height))


def deep_png() -> bytes:
    """Return the flag with 16 bits a channel."""
    image = flag()
    rows = bytearray()
    for y in range(image.height):
        line = image.crop((0, y, image.width, y + 1)).tobytes()
        rows += b"\0" + bytes(part for value in line for part in (value, value))
    return png(image.width, image.height, zlib.compress(bytes(rows)), depth=16)


def deep_tiff() -> bytes:
    """Return the flag with 16 bits a channel, in a single strip."""
    image = flag()
    pixels = bytes(part for value in image.tobytes() for part in (value, value))
    entries = [
        (256, 3, 1, image.width),
        (257, 3, 1, image.height),
        (258, 3, 3, 8 + 2 + 9 * 12 + 4),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, 8 + 2 + 9 * 12 + 4 + 6),
        (277, 3, 1, 3),
        (278, 3, 1, image.height),
        (279, 4, 1, len(pixels)),
    ]
    fields = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + fields + struct.pack("<IHHH", 0, 16, 16, 16) + pixels


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("META-INF/MANIFEST.MF", "Main-Class: Evil")
        packed.writestr("Evil.class", b"\xca\xfe\xba\xbe")
    return file.getvalue()


def heic() -> bytes:
    pillow_heif.register_heif_opener()
    return saved("HEIF", exif=located().tobytes(), quality=95)


def tiled_heic() -> bytes:
    """Return a HEIC of twelve tiles, as phones write it."""
    pillow_heif.register_heif_opener()
    return saved("HEIF", Image.effect_noise((256, 192), 60).convert("RGB"), tile_size=64)


def holed(content: bytes, share: int) -> bytes:
    """Return the first per cent of a file, and zeros in place of the rest, as a copy that broke off can leave it."""
    kept = len(content) * share // 100
    return content[:kept] + bytes(len(content) - kept)


def bomb(chunk: bytes, head: bytes) -> bytes:
    """Return a small PNG with half a gigabyte of words or colours packed into it."""
    return png(60, 40, deflated((3 * 60 + 1) * 40), (chunk, head + deflated(2**29)))


@cache
def good() -> list[Upload]:
    red = Image.new("CMYK", (160, 120), (0, 255, 255, 0))
    frames: dict[str, Any] = {"save_all": True, "append_images": [Image.new("RGB", (160, 120), "black")]}
    information = PngImagePlugin.PngInfo()
    information.add_text("Comment", SECRET)
    information.add_itxt("XML:com.adobe.xmp", XMP.decode())
    shaped = flag().quantize(8)
    cmyk = saved("JPEG", flag().convert("CMYK"), quality=95)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return [
        *(Upload(f"turned-{turn}.jpg", from_a_phone(turn)) for turn in (1, 3, 6, 8)),
        Upload("progressive.jpg", saved("JPEG", progressive=True, quality=95)),
        Upload("cmyk-adobe.jpg", cmyk),
        Upload("cmyk-plain.jpg", without_segment(cmyk, 0xEE)),
        Upload("cmyk-foreign-profile.jpg", saved("JPEG", red, icc_profile=srgb, quality=95), is_flag=False),
        Upload("cmyk.tif", saved("TIFF", flag().convert("CMYK"))),
        Upload("grey-profile-on-colour.jpg", saved("JPEG", icc_profile=b"\0" * 4000, quality=95)),
        Upload("16-bit.png", deep_png()),
        Upload("16-bit.tif", deep_tiff()),
        Upload("palette.png", saved("PNG", shaped, transparency=255)),
        Upload("words.png", saved("PNG", pnginfo=information, exif=located())),
        Upload("moving.png", saved("PNG", **frames)),
        Upload("still.webp", saved("WEBP", lossless=True, exif=located(), xmp=XMP)),
        Upload("moving.webp", saved("WEBP", lossless=True, **frames)),
        Upload("phone.heic", heic()),
        *(
            Upload(f"{packing}.tif", saved("TIFF", compression=packing))
            for packing in ("tiff_lzw", "tiff_adobe_deflate", "packbits")
        ),
        Upload("zip.jpg", saved("JPEG", quality=95) + archive()),
        Upload("jar.png", saved("PNG") + archive()),
        Upload("page.jpg", saved("JPEG", quality=95) + b"<html><script>alert(1)</script></html>"),
        Upload("program.php", saved("JPEG", comment=b"<?php system($_GET['c']); ?>", quality=95)),
        Upload("a-png.jpg", saved("PNG")),
        Upload("a-jpeg.html", saved("JPEG", quality=96)),
        Upload("no-ending", saved("JPEG", quality=95)),
    ]


@cache
def unreadable() -> list[Upload]:
    """Return uploads that begin like photos and are unreadable."""
    whole = saved("JPEG", Image.effect_noise((640, 480), 60).convert("RGB"))
    tiles = tiled_heic()
    in_steps = saved("JPEG", Image.effect_noise((640, 480), 60).convert("RGB"), progressive=True)
    return [
        Upload("first-bytes.jpg", whole[:3], DAMAGED),
        *(Upload(f"hole-{share}.jpg", holed(whole, share), DAMAGED) for share in (30, 60, 99)),
        *(Upload(f"tiles-{share}.heic", tiles[: len(tiles) * share // 100], DAMAGED) for share in (20, 60, 99)),
        *(Upload(f"hole-{share}.heic", holed(tiles, share), DAMAGED) for share in (20, 60, 99)),
        *(Upload(f"scan-{share}.jpg", whole[: len(whole) * share // 100], DAMAGED) for share in (30, 60, 99)),
        *(Upload(f"steps-{share}.jpg", in_steps[: len(in_steps) * share // 100], DAMAGED) for share in (30, 60, 99)),
        Upload("half.png", saved("PNG", Image.effect_noise((640, 480), 60))[:90_000], DAMAGED),
        Upload("30000.png", black_png(30_000, 30_000), TOO_MANY_PIXELS),
        Upload("12000.png", black_png(12_000, 12_000), TOO_MANY_PIXELS),
        Upload("profile-bomb.png", bomb(b"iCCP", b"evil\0\0"), DAMAGED),
        Upload("words-bomb.png", bomb(b"zTXt", b"evil\0\0"), DAMAGED),
        Upload("wide-words-bomb.png", bomb(b"iTXt", b"evil\0\1\0\0\0"), DAMAGED),
    ]


@cache
def refused() -> list[Upload]:
    frames: dict[str, Any] = {"save_all": True, "append_images": [Image.new("RGB", (160, 120), "black")]}
    return [
        Upload("nothing.jpg", b"", EMPTY),
        Upload("one.gif", saved("GIF"), NO_PHOTO),
        Upload("moving.gif", saved("GIF", **frames), NO_PHOTO),
        Upload("gifar.gif", saved("GIF") + archive(), NO_PHOTO),
        Upload("pages.tif", saved("TIFF", **frames), TWO_PAGES),
        Upload("old.bmp", saved("BMP"), NO_PHOTO),
        Upload("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", NO_PHOTO),
        Upload("paper.jpg", b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>", NO_PHOTO),
        Upload("page.jpeg", b"<!doctype html><script>alert(1)</script>", NO_PHOTO),
        Upload("program.exe.jpg", b"MZ" + bytes(400), NO_PHOTO),
        Upload("script.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run", NO_PHOTO),
    ]
