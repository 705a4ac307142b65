"""Photo-like pictures: painted scenes with the size, the weight, the noise and the EXIF of a phone's photographs."""

import io
from functools import lru_cache

from PIL import Image, ImageChops, ImageFilter, ImageOps

from .canvas import Canvas
from .look import Look
from .scenes import SCENES

# The long side, in px, at which scenes are painted; a print image is hardly larger.
PAINTED = 1344
NOISE = 8
QUALITY = 90

# A picture that stands upright is stored turned like this for each EXIF orientation.
STORED_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
SIDEWAYS = (5, 6, 7, 8)

PLAIN = Look()
CAMERA = "Veldcam"
# Degrees, minutes and seconds: somewhere on the road between Worcester and Touwsrivier.
LATITUDE, LONGITUDE = (33.0, 29.0, 41.2), (19.0, 34.0, 7.5)


def picture(
    width: int, height: int, seed: int, orientation: int = 1, scene: str | None = None, look: Look = PLAIN
) -> bytes:
    """Return a JPEG that is ``width`` by ``height`` px when it stands upright, as its EXIF orientation says.

    The same arguments give the same picture; without ``scene`` the seed chooses one of SCENES.
    """
    names = sorted(SCENES)
    painted = paint(width, height, seed, scene or names[seed % len(names)], look)
    if orientation in STORED_TURNS:
        painted = painted.transpose(STORED_TURNS[orientation])
    size = (height, width) if orientation in SIDEWAYS else (width, height)
    photo = ImageChops.add(painted.resize(size, Image.Resampling.BICUBIC), noise(size), 1, -128)
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=QUALITY, exif=exif(orientation))
    return file.getvalue()


def paint(width: int, height: int, seed: int, scene: str, look: Look = PLAIN) -> Image.Image:
    """Return a scene as an upright picture of the given shape, its long side no longer than PAINTED."""
    units = (100, 75) if width >= height else (75, 100)
    small = min(1.0, PAINTED / max(width, height))
    canvas = Canvas(*units, max(width, height) * small / 100, seed)
    SCENES[scene](canvas, look)
    canvas.vignette()
    return ImageOps.fit(canvas.image, (max(round(width * small), 1), max(round(height * small), 1)))


@lru_cache(maxsize=2)
def noise(size: tuple[int, int]) -> Image.Image:
    """The noise of a small sensor: a grain of about one px, the same in every picture, around the value 128."""
    tile = Canvas(1, 1, 1, seed=1).random.randbytes(512 * 512 * 3)
    grain = Image.frombytes("RGB", (512, 512), tile).filter(ImageFilter.GaussianBlur(0.6))
    grain = grain.point(lambda value: 128 + (value - 128) * NOISE / 37)
    whole = Image.new("RGB", size)
    for left in range(0, size[0], 512):
        for top in range(0, size[1], 512):
            whole.paste(grain, (left, top))
    return whole


def exif(orientation: int) -> Image.Exif:
    """What a phone writes into a photo, the place where it was taken included."""
    tags = Image.Exif()
    tags[0x010F], tags[0x0110] = CAMERA, f"{CAMERA} 12"
    tags[0x0112] = orientation
    tags[0x0132] = "2026:03:03 09:41:00"
    tags[0x8825] = {0: b"\x02\x03\x00\x00", 1: "S", 2: LATITUDE, 3: "E", 4: LONGITUDE}
    return tags
