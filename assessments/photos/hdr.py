"""HDR pictures of HEIC with the range of paper and of usual screens."""

import math
from collections.abc import Callable
from typing import IO, Any

import pillow_heif
from PIL import Image

# The brightness of white paper in an HDR picture, and the peak of HLG, in cd/m2 (BT.2408). Brighter parts become white.
WHITE, HLG_PEAK = 203, 1000
# The number of sRGB among the transfer functions of H.273.
SRGB = 13
# Rows that are converted at a time: more would need much memory.
ROWS = 64


def flattened(file: IO[bytes], info: dict[Any, Any]) -> Image.Image | None:
    """Return the picture of an HDR HEIC in 8 bits, its primaries as they were; None when the file is no HDR picture.

    ``info`` is what Pillow read of the photo.
    """
    colours = info.get("nclx_profile") or {}
    light = LIGHT.get(colours.get("transfer_characteristics", 0))
    if light is None:
        return None
    photos = pillow_heif.open_heif(file, convert_hdr_to_8bit=False)
    photo = photos[photos.primary_index]
    if photo.mode not in ("RGB", "RGB;16"):
        return None
    # The size may change with the decoding.
    content = photo.data
    width, height = photo.size
    levels = 256 if photo.mode == "RGB" else 65536
    curve = [_encoded(light(value / (levels - 1))) for value in range(levels)]
    picture = Image.new("RGB", photo.size)
    for top in range(0, height, ROWS):
        count = min(ROWS, height - top)
        rows = bytes(content[top * photo.stride : (top + count) * photo.stride])
        raw = "L" if photo.mode == "RGB" else "I;16"
        values = Image.frombytes(raw, (3 * width, count), rows, "raw", raw, photo.stride)
        flat = values.point(curve) if raw == "L" else values.convert("I").point(curve, "L")
        picture.paste(Image.frombytes("RGB", (width, count), flat.tobytes()), (0, top))
    picture.info["nclx_profile"] = {**colours, "transfer_characteristics": SRGB}
    return picture


def _pq(value: float) -> float:
    """Return the light of a value in SMPTE ST 2084, white paper being 1."""
    root = math.pow(value, 1 / 78.84375)
    ratio = max(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
    return 10_000 * math.pow(ratio, 1 / 0.1593017578125) / WHITE


def _hlg(value: float) -> float:
    """Return the light of a value in ARIB STD-B67 on a screen, white paper being 1."""
    scene = value * value / 3 if value <= 0.5 else (math.exp((value - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return HLG_PEAK * math.pow(scene, 1.2) / WHITE


# The transfer functions of HDR by their numbers in H.273.
LIGHT: dict[int, Callable[[float], float]] = {16: _pq, 18: _hlg}


def _encoded(light: float) -> int:
    """Return the value of some light in sRGB."""
    value = 12.92 * light if light <= 0.0031308 else 1.055 * math.pow(min(light, 1), 1 / 2.4) - 0.055
    return round(255 * value)
