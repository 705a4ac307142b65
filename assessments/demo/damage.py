"""Damage, new and old, from near."""

import math

from .canvas import Canvas, Point
from .look import STEEL, TAR, Look


def panel(canvas: Canvas, look: Look) -> None:
    """A door or wing from near: its colour, a crease, the gaps to its neighbours, the sky in it."""
    canvas.wash((look.shade(1.15), look.shade(0.95), look.shade(0.68)))
    canvas.box((-5, canvas.height * 0.16), (canvas.width + 10, 7), "#ffffff", blur=4, opacity=0.35)
    y = canvas.height * 0.4
    canvas.line(
        [(-2, y), (canvas.width * 0.5, y - 2.5), (canvas.width + 2, y - 1)], look.shade(1.3), 0.9, smooth=True, blur=0.5
    )
    canvas.line(
        [(-2, y + 1.6), (canvas.width * 0.5, y - 0.9), (canvas.width + 2, y + 0.6)],
        look.shade(0.6),
        1.2,
        smooth=True,
        blur=0.8,
    )
    x = canvas.width * canvas.random.uniform(0.12, 0.2)
    canvas.line([(x, -2), (x + 2, canvas.height * 0.5), (x - 1, canvas.height + 2)], "#121314", 0.7, smooth=True)
    canvas.line(
        [(x + 0.6, -2), (x + 2.6, canvas.height * 0.5), (x - 0.4, canvas.height + 2)],
        look.shade(1.3),
        0.25,
        smooth=True,
    )
    canvas.box((-5, canvas.height * 0.88), (canvas.width + 10, 30), "#1b1c1d", blur=2.5, opacity=0.8)


def scuffs(canvas: Canvas, look: Look, middle: Point, reach: float, count: int) -> None:
    for _ in range(count):
        x, y = middle[0] + canvas.random.gauss(0, reach * 0.5), middle[1] + canvas.random.gauss(0, reach * 0.22)
        length, drop = canvas.random.uniform(0.2, 1) * reach, canvas.random.uniform(-0.08, 0.04) * reach
        colour = canvas.random.choice(("#f3f1ec", "#8a8d90", "#3a3b3d", look.shade(0.5)))
        path = [(x - length / 2, y), (x, y + drop), (x + length / 2, y + drop * 1.4)]
        canvas.line(
            path, colour, canvas.random.uniform(0.06, 0.4), smooth=True, opacity=canvas.random.uniform(0.4, 0.95)
        )


def dent(canvas: Canvas, look: Look) -> None:
    panel(canvas, look)
    x, y = canvas.width * canvas.random.uniform(0.52, 0.62), canvas.height * canvas.random.uniform(0.5, 0.58)
    for reach, shade, shift in ((17, 0.55, -2.5), (12, 0.42, -1.5), (9, 1.25, 4.5), (6, 0.36, -2.0)):
        canvas.ellipse((x, y + shift), (reach * 1.25, reach * 0.72), look.shade(shade), blur=reach * 0.24, opacity=0.62)
    fold = [(x - 21, y - 3), (x - 9, y + 2.5), (x + 2, y - 1.5), (x + 12, y + 4), (x + 22, y + 0.5)]
    canvas.line(fold, look.shade(0.35), 0.9, smooth=True, blur=0.4)
    canvas.line([(px, py + 1.1) for px, py in fold], look.shade(1.4), 0.7, smooth=True, blur=0.35)
    scuffs(canvas, look, (x, y), 17, 26)
    flakes = [(x + canvas.random.uniform(-6, 6), y + canvas.random.uniform(-2.4, 2.4)) for _ in range(7)]
    canvas.shape(sorted(flakes, key=lambda point: math.atan2(point[1] - y, point[0] - x)), ("#9a9c9e", "#6c6e70"))


def scratches(canvas: Canvas, look: Look) -> None:
    panel(canvas, look)
    x, y = canvas.width * 0.52, canvas.height * 0.56
    scuffs(canvas, look, (x, y), 30, 60)
    for row in range(4):
        start = (x - 30 + row * 3, y + row * 2.2 - 4)
        canvas.line(
            [start, (x, y + row * 1.8 - 5), (x + 32, y + row * 2.6 - 6)], "#eeeae2", 0.5, smooth=True, opacity=0.9
        )


def broken_bumper(canvas: Canvas, look: Look) -> None:
    canvas.wash((look.shade(1.0), look.shade(0.72)), 0, 26)
    canvas.wash((look.shade(1.15), look.shade(0.9), look.shade(0.55)), 24, 60)
    canvas.line([(-2, 25), (50, 23.5), (102, 26)], "#101112", 1.1, smooth=True)
    canvas.wash(TAR, 62)
    canvas.speckle(0.35, 0.6, 62)
    canvas.box((-4, 58), (108, 7), "#000000", blur=1.6, opacity=0.8)
    crack = [(38, 23), (42, 31), (39, 36), (46, 43), (43, 50), (51, 61)]
    gap = [*crack, (57, 61), (50, 50), (53, 43), (45, 36), (47, 31), (42, 23)]
    canvas.shape(gap, ("#17181a", "#050606"))
    canvas.line(crack, look.shade(1.35), 0.5)
    canvas.line([(62, 61), (57, 50), (60, 43), (53, 36), (54, 31)], look.shade(0.5), 0.25)
    canvas.line([(60, 43), (70, 40), (79, 42)], "#26282a", 0.3)
    canvas.box((74, 40), (19, 8), ("#1a1c1e", "#2e3235"), radius=2)
    canvas.ellipse((84, 44), (4.4, 3), ("#eef2f3", "#727b80"))
    canvas.line([(81, 41.6), (84, 44.4), (88, 45)], "#23282b", 0.3)
    scuffs(canvas, look, (33, 46), 22, 40)


def broken_lamp(canvas: Canvas, look: Look) -> None:
    canvas.wash(look.paint)
    canvas.box((58, 0), (42, 75), (look.shade(0.9), look.shade(0.5)))
    canvas.line([(58, -2), (57, 40), (59, 77)], "#101112", 1, smooth=True)
    lamp = [(12, 16), (50, 12), (54, 30), (52, 52), (18, 56), (10, 36)]
    canvas.shape(lamp, ("#252729", "#0c0d0e"), smooth=True)
    canvas.shape(
        [(15, 19), (48, 15), (51, 30), (49, 49), (20, 53), (13, 36)], ("#d44036", "#8b1a15", "#b32a22"), smooth=True
    )
    canvas.box((22, 24), (24, 10), ("#f4e9e6", "#cdb8b4"), radius=2, opacity=0.8)
    hole = [(26, 17), (34, 21), (38, 17.5), (43, 22), (41, 27), (45, 31), (42, 37), (44, 44)]
    hole += [(37, 42), (34, 48), (27, 45), (28, 39), (21, 37), (25, 31), (20, 26), (27, 24)]
    canvas.shape(hole, ("#2f3133", "#0b0c0d"))
    canvas.ellipse((33, 35), (4.5, 4.5), STEEL)
    canvas.ellipse((33, 35), (2.4, 2.4), ("#f3d9a0", "#8a6a34"))
    for x, y in hole:
        away = canvas.random.uniform(1.1, 1.5)
        end = (33 + (x - 33) * away, 33 + (y - 33) * away + canvas.random.uniform(-2, 2))
        canvas.line([(x, y), end], "#f6d5d1", 0.2, opacity=0.8)
    scuffs(canvas, look, (70, 42), 16, 24)


def stone_chips(canvas: Canvas, look: Look) -> None:
    panel(canvas, look)
    for _ in range(22):
        x, y = canvas.random.uniform(18, canvas.width - 6), canvas.random.uniform(10, canvas.height * 0.8)
        size = canvas.random.uniform(0.25, 1.1)
        canvas.ellipse((x, y), (size * 1.2, size), look.shade(0.45))
        canvas.ellipse((x + 0.1, y + 0.1), (size * 0.8, size * 0.6), "#8b8f92")
    scuffs(canvas, look, (canvas.width * 0.6, canvas.height * 0.7), 9, 5)
