"""Colours as a browser shows them: every picture becomes sRGB or grey."""

import math
import struct
from functools import lru_cache
from io import BytesIO
from itertools import product
from typing import Any

from PIL import Image, ImageChops, ImageCms

# The primaries by their numbers in H.273, as XYZ under D50: sRGB, BT.2020 and Display P3.
SRGB = 1
PRIMARIES = {
    SRGB: ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)),
    9: ((0.67348, 0.27904, -0.00194), (0.16566, 0.67534, 0.02998), (0.12505, 0.04561, 0.79686)),
    12: ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)),
}
D50 = (0.9642, 1.0, 0.8249)
# The points of a curve in a profile.
POINTS = 4096
# The colours that show whether a transform changes anything.
CHART = Image.frombytes("RGB", (27, 1), bytes(value for colour in product((0, 128, 255), repeat=3) for value in colour))


def to_srgb(picture: Image.Image, info: dict[Any, Any]) -> Image.Image:
    """Return the picture as L or RGB, in sRGB; ``info`` is what Pillow read of the photo."""
    profile = info.get("icc_profile") or _profile_of(info.get("nclx_profile") or {})
    if profile and picture.mode in ("L", "RGB", "CMYK"):
        transform = _transform(profile, picture.mode)
        if transform is not None:
            return transform.apply(picture)
    return picture if picture.mode in ("L", "RGB") else picture.convert("RGB")


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform from an ICC profile to sRGB; None when the profile is sRGB already, or is broken.

    The name of a profile says nothing: "DCI-P3 D65 Gamut with sRGB Transfer" is not sRGB.
    """
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        target = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        transform = ImageCms.ImageCmsTransform(source, target, mode, "RGB")
    except (OSError, ValueError, ImageCms.PyCMSError):
        return None
    if mode == "RGB":
        changes = ImageChops.difference(transform.apply(CHART), CHART).getextrema()
        if max(most for _, most in changes) <= 1:  # type: ignore[misc]
            return None
    return transform


def _profile_of(nclx: dict[str, Any]) -> bytes | None:
    """Return an ICC profile of the colours that a HEIC names by numbers; None for sRGB and for unknown ones."""
    primaries = nclx.get("color_primaries", 1)
    return _matrix_profile(primaries) if primaries in PRIMARIES and primaries != SRGB else None


def _light(value: float) -> float:
    """Return the light of a value in sRGB."""
    return value / 12.92 if value <= 0.04045 else math.pow((value + 0.055) / 1.055, 2.4)


@lru_cache
def _matrix_profile(primaries: int) -> bytes:
    """Return an ICC profile (version 2) of three primaries, with the curve of sRGB."""
    curve = [round(65535 * _light(point / (POINTS - 1))) for point in range(POINTS)]
    bent = struct.pack(f">4s4xI{POINTS}H", b"curv", POINTS, *curve)
    colours = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), PRIMARIES[primaries], strict=True)) | {b"wtpt": D50}
    tags = {
        name: struct.pack(">4s4x3i", b"XYZ ", *(round(part * 65536) for part in xyz)) for name, xyz in colours.items()
    }
    offset = 128 + 4 + 12 * (len(tags) + 3)
    index, content = b"", b""
    for name, tag in [*tags.items(), (b"rTRC", bent)]:
        index += struct.pack(">4sII", name, offset + len(content), len(tag))
        content += tag
    index += b"".join(name + index[-8:] for name in (b"gTRC", b"bTRC"))
    size = offset + len(content)
    head = struct.pack(
        ">I4xI4s4s4s12x4s28x3i48x", size, 0x02400000, b"mntr", b"RGB ", b"XYZ ", b"acsp", 63190, 65536, 54061
    )
    return head + struct.pack(">I", len(tags) + 3) + index + content
