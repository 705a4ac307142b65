"""The vehicle from all sides, and its wheels."""

import math

from PIL import Image, ImageOps

from .canvas import Canvas, Point, curve, points
from .look import BLACK_PLASTIC, GLASS, RUBBER, STEEL, TAR, Look, Scene


def yard(canvas: Canvas, horizon: float = 42) -> None:
    """The repairer's yard: sky, a mountain far behind, a wall, tar, all a little out of focus."""
    shift = canvas.random.uniform(-18, 18)
    canvas.wash(("#86aed4", "#c6d9e6", "#e6e9e6"), 0, horizon)
    for middle, height, colour in ((28, 17, "#8d9aa8"), (70, 12, "#7d8b93")):
        x = middle + shift
        ridge = [
            (x - 45, horizon),
            (x - 22, horizon - height * 0.8),
            (x - 14, horizon - height),
            (x + 12, horizon - height),
        ]
        canvas.shape([*ridge, (x + 22, horizon - height * 0.6), (x + 48, horizon)], colour, blur=0.5)
    wall = horizon - 9
    canvas.box((0, wall), (100, 12), ("#d9cfbd", "#b9ad99"))
    for post in range(-1, 9):
        canvas.box((post * 13 + shift / 3, wall - 1), (1.6, 12), ("#c9bfae", "#9d937f"))
    canvas.box((66 + shift, wall - 7), (24, 18), ("#9fb0b5", "#7f9095"))
    for slat in range(7):
        canvas.line([(66 + shift, wall - 5 + slat * 2.2), (90 + shift, wall - 5 + slat * 2.2)], "#768589", 0.25)
    canvas.soften(0.35)
    canvas.wash(TAR, horizon + 1)
    canvas.speckle(0.35, 0.5, horizon + 1)
    canvas.speckle(0.25, 6, horizon + 1)


def wheel(canvas: Canvas, centre: Point, radius: float, spokes: int = 6, turn: float = 0) -> None:
    x, y = centre
    canvas.ellipse(centre, (radius, radius), RUBBER)
    canvas.arc(centre, radius * 0.9, (200, 320), "#56585b", radius * 0.03)
    canvas.ellipse(centre, (radius * 0.67, radius * 0.67), ("#6d7276", "#3c4043"))
    canvas.ellipse(centre, (radius * 0.6, radius * 0.6), ("#24272a", "#15171a"))
    for spoke in range(spokes):
        angle = turn + spoke * 2 * math.pi / spokes
        ends = []
        for spread, reach in ((0.30, 0.12), (0.13, 0.62), (-0.13, 0.62), (-0.30, 0.12)):
            ends.append((x + radius * reach * math.cos(angle + spread), y + radius * reach * math.sin(angle + spread)))
        canvas.shape(ends, STEEL)
    canvas.arc(centre, radius * 0.68, (0, 360), "#c9cdd0", radius * 0.05)
    canvas.ellipse(centre, (radius * 0.17, radius * 0.17), ("#e2e4e5", "#83888c"))
    canvas.ellipse(centre, (radius * 0.08, radius * 0.08), ("#3c4043", "#1d2022"))


# The upper edge of each shape from the front bumper (left) to the rear, and its windows, in a box of 88 by 40 units.
OUTLINES = {
    "bakkie": points(
        "0.5 31, 0 25, 1.2 19.5, 4 17, 13 15, 23.5 13.6, 33 3.2, 36 1.8, 50 1.3, 56 2, 59.5 5, 61.5 13.2, 63 14, "
        "86 14, 87.6 16, 88 25, 87.5 31"
    ),
    "hatch": points(
        "1 31, 0 26, 1.5 20, 6 17.4, 16 15.4, 24 13.8, 36 3.6, 41 2, 58 1.2, 70 2.2, 78 5.5, 84.5 13, 87 17, 88 "
        "25, 87 31"
    ),
    "wagon": points(
        "0.5 31, 0 25, 1.2 19, 4 16.4, 14 14.6, 22 13.2, 31 2.6, 35 1, 60 0.2, 78 0.8, 83 3, 86 13, 87.6 18, 88 "
        "26, 87.3 31"
    ),
}
WINDOWS = {
    "bakkie": [
        points("27.5 13.2, 34.5 4.4, 44 3.6, 44.3 13"),
        points("46 13, 45.7 3.5, 54.5 3.9, 58.3 13"),
    ],
    "hatch": [
        points("28 13.4, 38 5, 49 3.6, 49.8 13"),
        points("51.5 13, 50.8 3.5, 64 3.3, 70.5 12.8"),
        points("72.3 12.8, 67 4, 75 6.4, 79 12.6"),
    ],
    "wagon": [
        points("25.5 12.8, 33 3.6, 44 2.6, 44.6 12.6"),
        points("46.3 12.6, 45.8 2.5, 61 2, 62.5 12.4"),
        points("64.2 12.4, 62.8 2, 79 2.8, 82.5 12.2"),
    ],
}
AXLES = {"bakkie": (17.5, 69.5), "hatch": (16.5, 70), "wagon": (17, 69)}


def side(canvas: Canvas, look: Look) -> None:
    """The vehicle from its left."""
    yard(canvas)
    left, top, radius = 6.0, 25.0, 7.4

    def at(points: list[Point]) -> list[Point]:
        return [(left + x, top + y) for x, y in points]

    canvas.ellipse((50, 63), (47, 2.6), "#000000", blur=1.2, opacity=0.75)
    canvas.box((left + 6, top + 24), (76, 9.4), ("#1a1b1d", "#0d0e0f"))
    canvas.shape([*curve(at(OUTLINES[look.shape])), (left + 86, top + 33), (left + 2, top + 33)], look.paint)
    canvas.shape(at([(1, 22), (87, 21.5), (87.5, 24), (0.6, 25)]), look.shade(1.25), blur=0.7, opacity=0.55)
    canvas.shape(at([(1, 30), (87, 30), (86.5, 33.2), (2, 33.2)]), look.shade(0.3), blur=0.3)
    for window in WINDOWS[look.shape]:
        canvas.shape(at(window), GLASS)
        (x, y), (x2, y2) = window[0], window[1]
        canvas.shape(
            at([(x + 3, y - 0.4), (x2 + 2, y2 + 0.6), (x2 + 4.5, y2 + 0.6), (x + 6.5, y - 0.4)]),
            "#ffffff",
            opacity=0.22,
        )
    doors = [window[2][0] + 0.9 for window in WINDOWS[look.shape][:2]]
    for door in doors:
        canvas.line(
            at([(door, 4), (door + 0.6, 14), (door + 0.5, 24), (door - 0.8, 29.5)]), look.shade(0.42), 0.28, smooth=True
        )
        canvas.box((left + door - 4.4, top + 16), (3.4, 0.8), (look.shade(1.2), look.shade(0.5)), radius=0.3)
    first = WINDOWS[look.shape][0][0][0]
    canvas.line(at([(first - 3, 14.4), (first - 3.4, 20), (first - 3, 29.5)]), look.shade(0.42), 0.28, smooth=True)
    canvas.shape(at([(first - 0.5, 12.8), (first + 2.7, 11), (first + 2.9, 13.2), (first, 14)]), BLACK_PLASTIC)
    canvas.shape(at([(1.4, 19.4), (8, 17.6), (8.6, 19.8), (2, 21.6)]), ("#f4f6f2", "#a9b0b0"))
    canvas.shape(at([(86.2, 15.6), (87.8, 16.6), (87.9, 21.5), (86, 21.5)]), ("#c9382e", "#7f1713"))
    for axle in AXLES[look.shape]:
        canvas.ellipse((left + axle, top + 31), (radius * 1.2, radius * 1.2), "#0c0d0e")
        wheel(canvas, (left + axle, top + 31.6), radius, turn=canvas.random.random())


def right_side(canvas: Canvas, look: Look) -> None:
    side(canvas, look)
    canvas.image = ImageOps.mirror(canvas.image)


def front(canvas: Canvas, look: Look) -> None:
    yard(canvas)
    head_on(canvas, look)
    canvas.shape([(35, 19), (65, 19), (71.5, 33), (28.5, 33)], GLASS)
    canvas.shape([(38, 19), (44, 19), (39, 33), (31, 33)], "#ffffff", opacity=0.2)
    canvas.line([(34, 32.4), (48, 31.4)], "#101214", 0.5)
    canvas.line([(52, 32.4), (66, 31.4)], "#101214", 0.5)
    canvas.shape([(25, 33.5), (75, 33.5), (80, 42), (20, 42)], (look.shade(1.2), look.shade(0.88)))
    canvas.line([(37, 34), (34, 41.5)], look.shade(0.7), 0.3, blur=0.2)
    canvas.line([(63, 34), (66, 41.5)], look.shade(0.7), 0.3, blur=0.2)
    canvas.box((34, 43), (32, 8.5), ("#1d1f21", "#33373a"), radius=1)
    for slat in range(4):
        canvas.box((35, 44.2 + slat * 1.9), (30, 0.6), STEEL)
    canvas.ellipse((50, 47.2), (2.6, 1.7), STEEL)
    for mirror in (1, -1):
        lamp = [(20.5, 42.5), (33, 43.6), (32.2, 48.6), (21.8, 48)]
        canvas.shape([(50 + mirror * (x - 50), y) for x, y in lamp], ("#f7f9fa", "#aeb8bf", "#dfe5e8"))
        canvas.ellipse((50 + mirror * -23.4, 45.6), (2, 1.7), ("#ffffff", "#8f9aa3"))
        canvas.ellipse((50 + mirror * -25, 55.4), (2.1, 1.4), ("#e9edef", "#6f777c"))
    canvas.box((18.8, 51.6), (62.4, 8.2), (look.shade(0.98), look.shade(0.58)), radius=1.6)
    canvas.box((32, 56.6), (36, 2.4), "#1a1c1e", radius=0.6)
    number_plate(canvas, look, (50, 54.1), 15)


def rear(canvas: Canvas, look: Look) -> None:
    yard(canvas)
    head_on(canvas, look)
    canvas.shape([(36, 19.5), (64, 19.5), (70, 31), (30, 31)], ("#5d6b75", "#1d2429"))
    canvas.shape([(40, 19.5), (45, 19.5), (41, 31), (34, 31)], "#ffffff", opacity=0.16)
    canvas.box((20.5, 33), (59, 20), look.paint, radius=1)
    canvas.box((25, 35), (50, 16), (look.shade(1.05), look.shade(0.82)), radius=0.8)
    canvas.line([(25, 42.6), (75, 42.6)], look.shade(0.6), 0.35, blur=0.15)
    canvas.box((45, 37.4), (10, 2.2), BLACK_PLASTIC, radius=0.5)
    for mirror in (1, -1):
        canvas.box((50 + mirror * 27.2 - 1.9, 35.4), (3.8, 12), ("#d8433a", "#8e1b17", "#f0d6cf"), radius=0.8)
    canvas.box((18.8, 53.4), (62.4, 6.2), ("#6a6e72", "#2b2d30"), radius=1.2)
    number_plate(canvas, look, (50, 48), 16)
    canvas.ellipse((50, 60.2), (1.2, 1.2), STEEL)


def head_on(canvas: Canvas, look: Look) -> None:
    """What front and rear have in common: shadow, wheels, cabin and body."""
    canvas.ellipse((50, 64), (36, 2.6), "#000000", blur=1.2, opacity=0.75)
    canvas.box((22, 56), (56, 5), "#0c0d0e")
    for x in (22.5, 69):
        canvas.box((x, 49), (8.5, 15.2), RUBBER, radius=1.6)
    canvas.shape([(33, 17.6), (36, 16.4), (64, 16.4), (67, 17.6), (75, 33.5), (25, 33.5)], look.paint)
    for mirror in (1, -1):
        canvas.box((50 + mirror * 28.4 - 2.6, 29), (5.2, 3.6), (look.shade(1.1), look.shade(0.5)), radius=1)
    canvas.shape([(25, 33), (75, 33), (81, 43), (81, 57), (19, 57), (19, 43)], look.paint)


def number_plate(canvas: Canvas, look: Look, middle: Point, width: float) -> None:
    height = width * 0.24
    corner = (middle[0] - width / 2, middle[1] - height / 2)
    canvas.box(corner, (width, height), ("#fbfbf8", "#dcdcd6"), radius=width * 0.02)
    canvas.box((corner[0] + width * 0.01, corner[1] + width * 0.01), (width * 0.98, height * 0.12), "#2b5fa5")
    canvas.text((middle[0], middle[1] + height * 0.08), look.registration, height * 0.72, "#1b1d5e")


def turned(scene: Scene, lean: float) -> Scene:
    """The same scene from a corner, its near end larger: the left one, or for a negative ``lean`` the right one."""

    def paint(canvas: Canvas, look: Look) -> None:
        scene(canvas, look)
        width, height = canvas.image.size
        near, far = height * abs(lean) * 0.75, width * 0.02
        left, right = (near, 0.0) if lean > 0 else (0.0, near)
        quad = (far, left, far, height - left * 0.6, width - far, height - right * 0.6, width - far, right)
        canvas.image = canvas.image.transform((width, height), Image.Transform.QUAD, quad, Image.Resampling.BICUBIC)

    return paint


def tyre(canvas: Canvas, look: Look) -> None:
    middle = (canvas.width / 2, canvas.height * 0.52)
    canvas.wash((look.shade(0.95), look.shade(0.7)), 0, canvas.height * 0.5)
    canvas.wash(TAR, canvas.height * 0.5)
    canvas.speckle(0.35, 0.6, canvas.height * 0.5)
    canvas.ellipse(middle, (37, 37), "#090a0a", blur=0.8)
    canvas.ellipse((middle[0], canvas.height * 0.52 + 34), (34, 4), "#000000", blur=2, opacity=0.7)
    wheel(canvas, (middle[0], middle[1] + 1), 34, spokes=canvas.random.choice((5, 6, 7)), turn=canvas.random.random())
    x, y = middle
    for letter, word in enumerate("265/65 R17 112S"):
        angle = math.radians(-122 + letter * 4.6)
        place = (x + 28.5 * math.cos(angle), y + 1 + 28.5 * math.sin(angle))
        canvas.text(place, word, 2.2, "#8d9093", turn=-math.degrees(angle) - 90)
    for nut in range(6):
        angle = nut * math.pi / 3 + 0.3
        canvas.ellipse((x + 7.5 * math.cos(angle), y + 1 + 7.5 * math.sin(angle)), (1, 1), ("#b9bec2", "#3e4245"))
    canvas.speckle(0.1, 0.5)


def tread(canvas: Canvas, look: Look) -> None:
    canvas.wash(("#2a2b2c", "#3b3c3d", "#222324"))
    for row in range(13):
        y = row * 8.5 - 4
        for column in range(5):
            x = 6 + column * 18 + (row % 2) * 3
            block = [(x, y), (x + 13, y + 2), (x + 14, y + 7), (x + 1, y + 5.5)]
            canvas.shape(block, ("#5c5e60", "#36383a"))
            canvas.line([(x + 4, y + 2), (x + 8, y + 5)], "#1a1b1c", 0.5)
    canvas.speckle(0.22, 0.7)
    canvas.box((28, 38), (14, 60), ("#e3e6e8", "#aab0b4"), radius=1)
    canvas.box((32, 20), (6, 22), STEEL, radius=0.6)
    canvas.box((30, 50), (10, 7), ("#c8d6bd", "#a8b99b"), radius=0.5)
    canvas.text((35, 53.5), f"{canvas.random.uniform(1.8, 6.4):.1f} mm", 2.6, "#17211a")
    canvas.box((0, 0), (75, 18), "#000000", blur=8, opacity=0.5)
