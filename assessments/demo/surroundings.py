"""The place, the papers, and what was fitted to the vehicle later."""

from .canvas import Canvas
from .look import BLACK_PLASTIC, STEEL, Look


def road(canvas: Canvas, look: Look) -> None:
    """Where it happened."""
    canvas.wash(("#7fa8d0", "#cfdde4", "#e9e6da"), 0, 30)
    canvas.shape([(0, 30), (12, 20), (25, 24), (38, 13), (56, 13), (66, 22), (82, 18), (100, 30)], "#8795a0", blur=0.4)
    canvas.wash(("#a79d77", "#8d8258"), 29)
    canvas.speckle(0.3, 1.6, 29)
    canvas.soften(0.3)
    canvas.shape([(46, 29), (54, 29), (96, 75), (-2, 75)], ("#86847f", "#4f4e4c"))
    canvas.speckle(0.2, 0.5, 30)
    for row in range(7):
        near, far = 30 + row * row * 1.05, 30 + (row + 0.5) ** 2 * 1.05
        widths = [0.2 + (y - 29) * 0.028 for y in (near, far)]
        xs = [50 - (y - 29) * 0.065 for y in (near, far)]
        dash = [
            (xs[0] - widths[0], near),
            (xs[0] + widths[0], near),
            (xs[1] + widths[1], far),
            (xs[1] - widths[1], far),
        ]
        canvas.shape(dash, "#e6e3d8")
    for shift in (0, 9):
        canvas.line(
            [(52 + shift * 0.3, 36), (60 + shift * 0.6, 52), (56 + shift * 1.2, 75)],
            "#1e1e1e",
            1.3,
            smooth=True,
            blur=0.35,
            opacity=0.75,
        )
    canvas.line([(75, 34), (75, 20)], "#74777a", 0.5)
    canvas.shape([(75, 12), (79, 16), (75, 20), (71, 16)], "#e9bd2d")
    canvas.speckle(0.1, 0.5)


def clipboard(canvas: Canvas, look: Look) -> None:
    canvas.wash(("#8c6a4a", "#6d5038"))
    canvas.speckle(0.22, 3)
    canvas.box((10, 9), (58, 86), "#000000", radius=2, blur=1.5, opacity=0.5)
    canvas.box((9, 7), (58, 86), ("#7a5b3c", "#5f452c"), radius=2)
    canvas.box((12, 13), (52, 77), ("#fbfaf6", "#ecebe5"))
    canvas.box((27, 5), (22, 8), STEEL, radius=2)
    canvas.text((38, 20), "Towing slip", 3.4, "#22262a")
    canvas.text((38, 26), look.registration, 3, "#22262a")
    for row in range(10):
        canvas.line([(16, 33 + row * 5), (60, 33 + row * 5)], "#b9bcbf", 0.2)
        points = [
            (17 + step * 2.2, 31.6 + row * 5 + canvas.random.uniform(-1.2, 0.6))
            for step in range(canvas.random.randint(6, 18))
        ]
        canvas.line(points, "#2d4f9a", 0.3, smooth=True)
    canvas.line([(40, 86), (44, 82), (47, 87), (50, 82), (57, 85)], "#2d4f9a", 0.45, smooth=True)


def tow_bar(canvas: Canvas, look: Look) -> None:
    canvas.wash((look.shade(1.0), look.shade(0.7)), 0, 22)
    canvas.box((-4, 20), (108, 15), BLACK_PLASTIC, radius=2)
    canvas.wash(("#2a2a29", "#55534f"), 35)
    canvas.speckle(0.3, 0.8, 40)
    canvas.soften(0.4)
    canvas.box((38, 32), (24, 12), ("#3b3d3f", "#191a1b"), radius=1)
    canvas.shape([(45, 40), (55, 40), (57, 56), (43, 56)], ("#4a4c4e", "#1a1b1c"))
    canvas.box((40, 53), (20, 5), ("#5a5d5f", "#222325"), radius=1)
    canvas.box((47.5, 45), (5, 10), STEEL)
    canvas.ellipse((50, 41), (6.5, 6.3), ("#fafbfb", "#868c90", "#5c6164"))
    canvas.ellipse((47.6, 38.4), (1.8, 1.4), "#ffffff", blur=0.5, opacity=0.9)
    canvas.box((66, 38), (12, 10), ("#2c2e30", "#131415"), radius=1.5)
    canvas.ellipse((72, 43), (3.4, 3.4), ("#6a6d70", "#222426"))


def park_sensors(canvas: Canvas, look: Look) -> None:
    canvas.wash((look.shade(1.15), look.shade(0.92), look.shade(0.6)))
    canvas.line([(-2, 20), (50, 18), (102, 21)], look.shade(0.55), 0.9, smooth=True, blur=0.3)
    canvas.line([(-2, 58), (50, 56), (102, 59)], "#141516", 1.6, smooth=True)
    canvas.wash(("#2a2c2e", "#151617"), 60)
    for x in (24, 74):
        canvas.ellipse((x, 39), (6.4, 6.4), look.shade(0.5), blur=0.5)
        canvas.ellipse((x, 38.6), (5.8, 5.8), (look.shade(1.1), look.shade(0.7)))
        canvas.ellipse((x, 38.6), (3.8, 3.8), ("#3a3c3e", "#131415"))
        canvas.ellipse((x - 1, 37.2), (1, 0.7), "#ffffff", blur=0.3, opacity=0.6)
    canvas.speckle(0.06, 0.5)
