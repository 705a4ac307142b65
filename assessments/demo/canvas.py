"""A surface to paint scenes on, with soft light: shapes with gradients, shadows and blur, at a small size."""

import random
from collections.abc import Callable, Sequence

from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

Point = tuple[float, float]
# One colour, or the colours at the top, perhaps the middle, and the bottom of a shape, as #rrggbb.
Paint = str | tuple[str, str] | tuple[str, str, str]

# Shapes are drawn this much larger, then reduced, so that their edges are smooth.
FINER = 2
CURVE_STEPS = 8


class Canvas:
    """Lengths are in units: 100 by 75 for a picture that lies, 75 by 100 for one that stands; y goes down."""

    def __init__(self, width: int, height: int, pixels_per_unit: float, seed: int) -> None:
        self.width, self.height = width, height
        self.scale = pixels_per_unit
        self.random = random.Random(seed)
        self.image = Image.new("RGB", (round(width * pixels_per_unit), round(height * pixels_per_unit)))

    def wash(self, paint: Paint, top: float = 0, bottom: float | None = None) -> None:
        """Cover the whole width, from one height to another."""
        self.box((0, top), (self.width, (self.height if bottom is None else bottom) - top), paint)

    def shape(
        self, points: Sequence[Point], paint: Paint, *, smooth: bool = False, blur: float = 0, opacity: float = 1
    ) -> None:
        """Paint a closed shape; ``smooth`` leads a curve through its points."""
        outline = curve([*points, points[0]]) if smooth else points
        self._paint(outline, paint, blur, opacity, lambda pen, placed: pen.polygon(placed, fill=255))

    def ellipse(self, centre: Point, radii: Point, paint: Paint, *, blur: float = 0, opacity: float = 1) -> None:
        (x, y), (across, down) = centre, radii
        corners = [(x - across, y - down), (x + across, y + down)]
        self._paint(corners, paint, blur, opacity, lambda pen, placed: pen.ellipse(placed, fill=255))

    def box(
        self, corner: Point, size: Point, paint: Paint, *, radius: float = 0, blur: float = 0, opacity: float = 1
    ) -> None:
        corners = [corner, (corner[0] + size[0], corner[1] + size[1])]
        rounding = radius * self.scale * FINER
        self._paint(
            corners, paint, blur, opacity, lambda pen, placed: pen.rounded_rectangle(placed, rounding, fill=255)
        )

    def line(
        self,
        points: Sequence[Point],
        colour: str,
        width: float,
        *,
        smooth: bool = False,
        blur: float = 0,
        opacity: float = 1,
    ) -> None:
        path = curve(points) if smooth else points
        thick = max(round(width * self.scale * FINER), 1)
        self._paint(
            path,
            colour,
            blur,
            opacity,
            lambda pen, placed: pen.line([corner for point in placed for corner in point], 255, thick, "curve"),
            edge=width,
        )

    def arc(self, centre: Point, radius: float, degrees: tuple[float, float], colour: str, width: float) -> None:
        (x, y), thick = centre, max(round(width * self.scale * FINER), 1)
        corners = [(x - radius, y - radius), (x + radius, y + radius)]
        self._paint(corners, colour, 0, 1, lambda pen, placed: pen.arc(placed, *degrees, 255, thick), edge=width)

    def text(self, middle: Point, words: str, size: float, colour: str, *, turn: float = 0, opacity: float = 1) -> None:
        """Write one line around its middle, ``size`` units high, turned by degrees to the left."""
        font = ImageFont.load_default(max(size * self.scale, 6))
        left, top, right, bottom = font.getbbox(words)
        mask = Image.new("L", (round(right - left) + 8, round(bottom - top) + 8))
        ImageDraw.Draw(mask).text((4 - left, 4 - top), words, fill=round(255 * opacity), font=font)
        if turn:
            mask = mask.rotate(turn, Image.Resampling.BICUBIC, expand=True)
        place = (round(middle[0] * self.scale - mask.width / 2), round(middle[1] * self.scale - mask.height / 2))
        self.image.paste(colour, (*place, place[0] + mask.width, place[1] + mask.height), mask)

    def speckle(self, strength: float, grain: float, top: float = 0, bottom: float | None = None) -> None:
        """Roughen a band of the picture, such as tar or gravel: spots of ``grain`` units, lighter and darker."""
        end = self.height if bottom is None else bottom
        box = (0, round(top * self.scale), self.image.width, round(end * self.scale))
        across, down = max(round(self.width / grain), 1), max(round((end - top) / grain), 1)
        spots = Image.frombytes("L", (across, down), self.random.randbytes(across * down))
        spots = spots.resize((box[2] - box[0], box[3] - box[1]), Image.Resampling.BICUBIC)
        for colour, mask in (("white", spots), ("black", ImageOps.invert(spots))):
            self.image.paste(colour, box, mask.point(lambda value: max(value - 128, 0) * strength))

    def soften(self, radius: float) -> None:
        """Put all that is there so far out of focus."""
        self.image = self.image.filter(ImageFilter.GaussianBlur(radius * self.scale))

    def vignette(self, strength: float = 0.2) -> None:
        """Darken the corners, as lenses do."""
        fall_off = Image.radial_gradient("L").resize(self.image.size, Image.Resampling.BICUBIC)
        self.image.paste("black", mask=fall_off.point(lambda value: value * value / 255 * strength))

    def _paint(
        self,
        points: Sequence[Point],
        paint: Paint,
        blur: float,
        opacity: float,
        draw: Callable[[ImageDraw.ImageDraw, list[Point]], None],
        edge: float = 0,
    ) -> None:
        """Lay paint through a mask that is no larger than the shape."""
        room = edge + 3 * blur
        xs, ys = zip(*points, strict=True)
        left, top = (max(int((min(values) - room) * self.scale), 0) for values in (xs, ys))
        right = min(int((max(xs) + room) * self.scale) + 1, self.image.width)
        bottom = min(int((max(ys) + room) * self.scale) + 1, self.image.height)
        if right <= left or bottom <= top:
            return
        mask = Image.new("L", ((right - left) * FINER, (bottom - top) * FINER))
        placed = [((x * self.scale - left) * FINER, (y * self.scale - top) * FINER) for x, y in points]
        draw(ImageDraw.Draw(mask), placed)
        mask = mask.reduce(FINER)
        if blur:
            mask = mask.filter(ImageFilter.GaussianBlur(blur * self.scale))
        if opacity < 1:
            mask = mask.point(lambda value: value * opacity)
        fill = paint if isinstance(paint, str) else gradient(mask.size, paint)
        self.image.paste(fill, (left, top, right, bottom), mask)


def gradient(size: tuple[int, int], paint: tuple[str, str] | tuple[str, str, str]) -> Image.Image:
    slope = Image.linear_gradient("L")
    middle = paint[1] if len(paint) == 3 else None
    return ImageOps.colorize(slope, paint[0], paint[-1], middle).resize(size, Image.Resampling.BILINEAR)


def points(text: str) -> list[Point]:
    """Read points written as ``x y, x y``."""
    return [(float(x), float(y)) for x, y in (pair.split() for pair in text.split(","))]


def curve(through: Sequence[Point]) -> list[Point]:
    """Lead a Catmull-Rom curve through points."""
    closed = through[0] == through[-1]
    before, after = (through[-2], through[1]) if closed else (through[0], through[-1])
    knots = [before, *through, after]
    path = []
    for p, q, r, s in zip(knots, knots[1:], knots[2:], knots[3:], strict=False):
        for step in range(CURVE_STEPS):
            t = step / CURVE_STEPS
            path.append((_between(t, p[0], q[0], r[0], s[0]), _between(t, p[1], q[1], r[1], s[1])))
    return [*path, through[-1]]


def _between(t: float, p: float, q: float, r: float, s: float) -> float:
    return 0.5 * (2 * q + (r - p) * t + (2 * p - 5 * q + 4 * r - s) * t**2 + (3 * q - p - 3 * r + s) * t**3)
