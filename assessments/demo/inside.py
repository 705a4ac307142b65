"""The inside of the vehicle, and what is under its bonnet."""

import math

from .canvas import Canvas, Point
from .look import BLACK_PLASTIC, STEEL, Look


def dashboard(canvas: Canvas, look: Look) -> None:
    canvas.wash(("#b6cad6", "#dbe3e4"), 0, 26)
    canvas.shape([(0, 26), (30, 18), (70, 19), (100, 25)], "#8e9a90", blur=1)
    canvas.soften(1)
    canvas.shape(
        [(0, 30), (20, 23), (50, 21), (80, 23), (100, 29), (100, 75), (0, 75)], ("#4c4e51", "#1e2022"), smooth=False
    )
    canvas.line([(0, 31), (20, 24), (50, 22), (80, 24), (100, 30)], "#77797c", 0.6, smooth=True, blur=0.3)
    canvas.shape([(12, 34), (24, 27), (40, 27), (52, 34), (50, 42), (14, 42)], ("#141517", "#0a0b0c"), smooth=True)
    for x, needle in ((22, -140), (42, -60)):
        gauge(canvas, (x, 36), 6, needle)
    canvas.text((32, 38), f"{look.odometer}", 1.5, "#d9e6ee")
    canvas.box((58, 30), (24, 14), ("#15191d", "#22303a"), radius=0.8)
    canvas.box((59.5, 31.5), (21, 11), ("#2e6d93", "#16384d"), radius=0.4)
    for row in range(3):
        canvas.box((61, 33 + row * 3), (12 - row * 2.5, 1), "#d5e8f2", opacity=0.8)
    for x in (62, 70, 78):
        canvas.ellipse((x, 51), (2.6, 2.6), ("#6e7275", "#1b1d1f"))
    for x in (60, 88, 4):
        canvas.box((x, 24.5 if x != 60 else 26), (10, 3.2), "#0c0d0e", radius=0.8)
    canvas.arc((32, 60), 25, (0, 360), "#131416", 3.6)
    canvas.arc((32, 60), 26.2, (190, 300), "#55585b", 0.5)
    canvas.shape([(20, 56), (44, 56), (41, 68), (23, 68)], BLACK_PLASTIC, smooth=True)
    for mirror in (1, -1):
        canvas.line([(32 + mirror * 9, 60), (32 + mirror * 24, 57)], "#242628", 4)
    canvas.ellipse((32, 61.5), (2.6, 1.9), STEEL)


def gauge(canvas: Canvas, centre: Point, radius: float, needle: float) -> None:
    x, y = centre
    canvas.ellipse(centre, (radius, radius), ("#23272b", "#0c0e10"))
    canvas.arc(centre, radius, (0, 360), "#8d9296", radius * 0.05)
    for mark in range(13):
        angle = math.radians(150 + mark * 20)
        inner = 0.74 if mark % 2 == 0 else 0.82
        ends = [(x + radius * r * math.cos(angle), y + radius * r * math.sin(angle)) for r in (inner, 0.92)]
        canvas.line(ends, "#e7ecef", radius * 0.035)
        if mark % 2 == 0:
            place = (x + radius * 0.58 * math.cos(angle), y + radius * 0.58 * math.sin(angle))
            canvas.text(place, str(mark * 20), radius * 0.14, "#e7ecef")
    angle = math.radians(needle)
    canvas.line(
        [centre, (x + radius * 0.8 * math.cos(angle), y + radius * 0.8 * math.sin(angle))], "#e2452f", radius * 0.04
    )
    canvas.ellipse(centre, (radius * 0.1, radius * 0.1), ("#53585c", "#16181a"))


def odometer(canvas: Canvas, look: Look) -> None:
    canvas.wash(("#2a2c2f", "#0e0f10"))
    canvas.speckle(0.1, 0.6)
    gauge(canvas, (24, 35), 27, 156)
    gauge(canvas, (80, 37), 24, 150)
    canvas.box((35, 47), (33, 17), ("#0a1418", "#12262e"), radius=1)
    canvas.text((51.5, 53), f"{look.odometer:,} km".replace(",", " "), 5, "#bfe6f5")
    canvas.text((51.5, 60), "TRIP A   318.4", 2.6, "#7fb3c6")
    canvas.shape([(0, 8), (100, 0), (100, 8), (0, 22)], "#ffffff", blur=2, opacity=0.14)


def seats(canvas: Canvas, look: Look) -> None:
    canvas.wash(("#c4d2d8", "#8b989c"), 0, 24)
    canvas.wash(("#3b3d40", "#151617"), 22)
    canvas.soften(1)
    for x, size in ((22, 1.0), (70, 0.94)):
        canvas.box((x - 7 * size, 9), (14 * size, 10), ("#6a6964", "#3b3a37"), radius=3)
        canvas.line([(x - 2.5, 19), (x - 2.5, 22)], "#9ea2a5", 0.7)
        canvas.line([(x + 2.5, 19), (x + 2.5, 22)], "#9ea2a5", 0.7)
        back = [(x - 12, 23), (x, 20), (x + 12, 23), (x + 14, 40), (x + 12, 53), (x - 12, 53), (x - 14, 40)]
        canvas.shape(back, ("#76746e", "#403f3b"), smooth=True)
        canvas.shape([(x - 7, 25), (x + 7, 25), (x + 8, 50), (x - 8, 50)], ("#67655f", "#4a4844"), smooth=True)
        for seam in range(4):
            canvas.line(
                [(x - 7, 30 + seam * 5.5), (x, 31 + seam * 5.5), (x + 7, 30 + seam * 5.5)], "#34332f", 0.3, smooth=True
            )
        base = [(x - 14, 52), (x, 50), (x + 14, 52), (x + 16, 66), (x, 71), (x - 16, 66)]
        canvas.shape(base, ("#7d7b75", "#3a3936"), smooth=True)
    canvas.line([(8, 12), (12, 30), (26, 60)], "#1c1d1f", 1.6, smooth=True)
    canvas.box((42, 46), (10, 29), BLACK_PLASTIC, radius=1.5)
    canvas.speckle(0.12, 0.5)


def gear_lever(canvas: Canvas, look: Look) -> None:
    canvas.wash(("#37393c", "#1a1b1d"))
    canvas.box((14, 18), (47, 74), ("#232528", "#0f1011"), radius=5)
    canvas.box((16, 20), (43, 70), ("#505357", "#2b2d30"), radius=4)
    canvas.shape([(26, 52), (49, 52), (54, 80), (21, 80)], ("#1e1f21", "#121314"), smooth=True)
    for fold in range(5):
        canvas.line(
            [(24 + fold * 0.7, 57 + fold * 5), (37.5, 59.5 + fold * 5), (51 - fold * 0.7, 57 + fold * 5)],
            "#3a3c3f",
            0.6,
            smooth=True,
            blur=0.3,
        )
    canvas.line([(37.5, 64), (38.5, 36)], "#b9bec1", 2.6)
    canvas.line([(37, 64), (38, 36)], "#f0f2f3", 0.6)
    canvas.ellipse((39, 28), (8.4, 9.4), ("#63676b", "#17191b"))
    canvas.ellipse((36.5, 23.5), (3, 2.4), "#ffffff", blur=1.2, opacity=0.5)
    for words, place in (("1 3 5", (39, 25)), ("2 4 R", (39, 31))):
        canvas.text(place, words, 2.6, "#e9ecee")
    canvas.line([(33.5, 28), (44.5, 28)], "#e9ecee", 0.3)
    canvas.box((63, 30), (8, 44), ("#2b2d2f", "#121314"), radius=3, blur=0.6)
    canvas.speckle(0.1, 0.5)


def engine_bay(canvas: Canvas, look: Look) -> None:
    canvas.wash(("#3b3c3c", "#1a1b1b"))
    canvas.speckle(0.3, 3)
    canvas.shape([(0, 0), (100, 0), (100, 9), (50, 14), (0, 9)], (look.shade(0.9), look.shade(0.6)))
    for _ in range(10):
        x, y = canvas.random.uniform(-5, 90), canvas.random.uniform(14, 50)
        colour, width = canvas.random.choice(("#0d0e0f", "#1f2123", "#34373a")), canvas.random.uniform(0.9, 2.4)
        points = [(x, y), (x + 9, y + 12), (x + 24, y + 8), (x + 33, y + 20)]
        canvas.line(points, "#000000", width + 0.8, smooth=True, blur=0.5, opacity=0.7)
        canvas.line(points, colour, width, smooth=True)
        canvas.line([(px, py - width * 0.25) for px, py in points], "#6d7174", width * 0.15, smooth=True, blur=0.1)
    canvas.box((30, 20), (38, 26), ("#5a5d60", "#2a2c2e"), radius=3)
    canvas.text((49, 28), "2.8 D-4D", 4, "#c7cbce")
    for rib in range(5):
        canvas.line([(33, 34 + rib * 2.3), (65, 34 + rib * 2.3)], "#1d1f20", 0.8)
    battery_box(canvas, (72, 18), 22)
    canvas.box((6, 20), (17, 15), ("#e6e7de", "#b5b8ad"), radius=2.5, opacity=0.92)
    canvas.box((6.6, 27), (15.8, 7.4), ("#e58fa2", "#c56a80"), radius=2, opacity=0.65)
    canvas.ellipse((14, 20), (3.4, 2), ("#2b2d2f", "#0f1011"))
    canvas.box((6, 43), (15, 17), ("#dfe3e6", "#a5adb3"), radius=2, opacity=0.9)
    canvas.ellipse((13, 43), (3.2, 2), ("#2e69b5", "#173e73"))
    canvas.ellipse((42, 17), (3.4, 2.4), ("#f0c84a", "#b38a1d"))
    canvas.text((42, 17), "OIL", 1.6, "#1d1d1b")
    canvas.shape([(0, 63), (100, 61), (100, 75), (0, 75)], (look.shade(0.8), look.shade(0.45)))
    canvas.speckle(0.14, 0.8)


def battery_box(canvas: Canvas, corner: Point, width: float) -> None:
    x, y = corner
    canvas.box(corner, (width, width * 0.8), ("#3a3d40", "#151617"), radius=width * 0.04)
    canvas.box((x, y), (width, width * 0.2), ("#55595d", "#2e3134"), radius=width * 0.04)
    for side_x, colour in ((0.2, "#b83227"), (0.8, "#20262b")):
        canvas.ellipse((x + width * side_x, y + width * 0.08), (width * 0.08, width * 0.06), STEEL)
        canvas.line(
            [(x + width * side_x, y + width * 0.08), (x + width * side_x, y - width * 0.3)], colour, width * 0.08
        )
    canvas.box(
        (x + width * 0.12, y + width * 0.3), (width * 0.76, width * 0.34), ("#f2d23c", "#d8ac1e"), radius=width * 0.02
    )
    canvas.text((x + width * 0.5, y + width * 0.47), "652  12V 75Ah", width * 0.09, "#1c1d1f")


def battery(canvas: Canvas, look: Look) -> None:
    canvas.wash(("#44423f", "#191817"))
    canvas.speckle(0.35, 2)
    canvas.line([(-5, 12), (50, 4), (105, 14)], "#151515", 5, smooth=True, blur=1)
    battery_box(canvas, (20, 20), 60)
    canvas.speckle(0.12, 0.8)
