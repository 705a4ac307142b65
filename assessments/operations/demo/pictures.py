"""Photo-like pictures: stored scenes in the colour of a vehicle, with the size, noise and EXIF of a phone's photo."""

import io
import random
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFont, ImageOps

from assessments.photos.print_image import TURNS

from . import CONTENT, STORIES, Story

# One JPEG for each scene; where the shape of the vehicle is seen, one for each shape: front-left-hatch.jpg. The vehicle
# there is black; front-left-hatch-paint.jpg is the light on its paint, which is given any colour and added.
STORED = Path(__file__).with_name("pictures")
SCENES = sorted({scene for _, scene, _ in CONTENT["photos"]["subjects"]})
# How far noise moves a colour, as a share of the whole range.
NOISE = 0.11
QUALITY = 90
# How an upright picture is turned before it is stored, by EXIF orientation. Viewers turn it back, so the two quarter
# turns change places.
STORED_TURNS = {**TURNS, 6: TURNS[8], 8: TURNS[6]}
CAMERA = "Veldcam"


def picture(
    width: int, height: int, seed: int, orientation: int = 1, scene: str | None = None, story: Story = STORIES[0]
) -> bytes:
    """Return a JPEG that is ``width`` by ``height`` px when it stands upright, as its EXIF orientation says.

    The same arguments give the same picture; without ``scene`` the seed chooses one of SCENES.
    """
    photo = ImageOps.fit(paint(scene or SCENES[seed % len(SCENES)], story), (width, height))
    if orientation in STORED_TURNS:
        photo = photo.transpose(STORED_TURNS[orientation])
    file = io.BytesIO()
    # The seed shifts the noise, so no two photos of a scene are alike.
    grainy = ImageChops.add(photo, ImageChops.offset(noise(photo.size), seed), 1, -128)
    grainy.save(file, "JPEG", quality=QUALITY, exif=exif(orientation))
    return file.getvalue()


def stored(scene: str, story: Story) -> Path:
    path = STORED / f"{scene}-{story['shape']}.jpg"
    return path if path.exists() else STORED / f"{scene}.jpg"


def stands(scene: str) -> bool:
    with Image.open(stored(scene, STORIES[0])) as image:
        return image.height > image.width


def paint(scene: str, story: Story) -> Image.Image:
    """Return a scene with a story's vehicle, upright and at the size at which it is stored."""
    path = stored(scene, story)
    image = Image.open(path)
    light = path.with_stem(f"{path.stem}-paint")
    if light.exists():
        image = ImageChops.add(image, ImageOps.colorize(Image.open(light), "black", story["paint"]))  # type: ignore[assignment]
    unit = max(image.size) / 100
    for words, *numbers, colour, turn, cover in CONTENT["writing"].get(scene, ()):
        x, y, height = (float(number) * unit for number in numbers)
        written = words.format(**story["vehicle"]).replace(",", " ")
        mask = Image.new("L", image.size)
        ImageDraw.Draw(mask).text((x, y), written, round(255 * cover), ImageFont.load_default(height), "mm")
        image.paste(colour, mask=mask.rotate(float(turn), Image.Resampling.BICUBIC, center=(x, y)))
    return image


@lru_cache(maxsize=2)
def noise(size: tuple[int, int]) -> Image.Image:
    """Return the noise of a small sensor around the value 128, the same for every picture."""
    grain = Image.frombytes("RGB", size, random.Random(1).randbytes(3 * size[0] * size[1]))
    return grain.point(lambda value: 128 + (value - 128) * NOISE)


def exif(orientation: int) -> Image.Exif:
    """Return the EXIF data that a phone writes into a photo, the place of the photo included."""
    tags = Image.Exif()
    tags[0x010F], tags[0x0110] = CAMERA, f"{CAMERA} 12"
    tags[0x0112] = orientation
    tags[0x0132] = "2026:03:03 09:41:00"
    # A place on the road between Worcester and Touwsrivier.
    tags[0x8825] = {0: b"\x02\x03\x00\x00", 1: "S", 2: (33.0, 29.0, 41.2), 3: "E", 4: (19.0, 34.0, 7.5)}
    return tags
