"""What says which vehicle it is: plates, numbers, licences."""

from .canvas import Canvas
from .look import BLACK_PLASTIC, STEEL, Look
from .outside import number_plate


def vin_plate(canvas: Canvas, look: Look) -> None:
    canvas.wash((look.shade(0.75), look.shade(0.5)))
    canvas.speckle(0.18, 9)
    canvas.line([(-5, 12), (40, 9), (105, 15)], "#1c1d1f", 5, smooth=True, blur=1.4)
    canvas.line([(8, -5), (12, 30), (4, 80)], "#2a2b2e", 4, smooth=True, blur=1.8)
    canvas.soften(0.5)
    canvas.box((17, 23), (68, 36), "#000000", radius=1.5, blur=1.2, opacity=0.6)
    canvas.box((16, 21), (68, 36), ("#d9dcde", "#aab0b4", "#c8cdd0"), radius=1.5)
    for rivet in ((19, 24), (81, 24), (19, 54), (81, 54)):
        canvas.ellipse(rivet, (1.3, 1.3), ("#f2f3f4", "#6c7276"))
    lines = [("VEHICLE IDENTIFICATION", 2.6, 27.0), (look.vin, 5.2, 34), (f"ENGINE  {look.engine_number}", 3, 42)]
    for words, size, y in [
        *lines,
        ("GVM 3 000 kg    AXLE 1 500 / 1 700 kg", 2.5, 48),
        ("MADE IN SOUTH AFRICA", 2.3, 53),
    ]:
        canvas.text((50, y), words, size, "#1c1f22")
    for _ in range(18):
        left, top = canvas.random.uniform(17, 83), canvas.random.uniform(22, 56)
        canvas.line(
            [(left, top), (left + canvas.random.uniform(-6, 6), top + canvas.random.uniform(-1, 1))],
            "#ffffff",
            0.08,
            opacity=0.5,
        )
    canvas.shape([(16, 21), (38, 21), (27, 57), (16, 57)], "#ffffff", opacity=0.16)


def registration_plate(canvas: Canvas, look: Look) -> None:
    canvas.wash(look.paint)
    canvas.box((-4, 50), (108, 30), BLACK_PLASTIC, blur=0.5)
    canvas.line([(0, 19), (100, 17)], look.shade(0.5), 0.8, blur=0.3)
    canvas.soften(0.5)
    canvas.box((9, 28), (84, 21), "#000000", radius=2, blur=1, opacity=0.55)
    number_plate(canvas, look, (50, 37.5), 84)
    for x in (24, 76):
        canvas.ellipse((x, 31), (0.9, 0.9), STEEL)
    canvas.shape([(60, 27.5), (74, 27.5), (64, 47.5), (50, 47.5)], "#ffffff", opacity=0.14)


def engine_number(canvas: Canvas, look: Look) -> None:
    canvas.wash(("#54514c", "#37352f", "#22211e"))
    canvas.speckle(0.4, 1.2)
    canvas.shape([(4, 30), (96, 22), (99, 50), (6, 57)], ("#a7a59e", "#75736d"))
    canvas.speckle(0.22, 0.7)
    for dark, shift in (("#2e2d2a", 0.0), ("#d9d7d0", 0.35)):
        canvas.text((51 + shift, 40 + shift), look.engine_number, 9, dark, turn=4.6, opacity=0.75)
    canvas.line([(-5, 68), (30, 60), (70, 72), (105, 62)], "#141414", 5, smooth=True, blur=0.8)
    canvas.line([(10, -4), (24, 14), (60, 10), (90, -4)], "#191a1b", 4, smooth=True, blur=1)
    canvas.ellipse((88, 12), (7, 7), ("#8c8a84", "#3a3936"), blur=0.4)
    canvas.ellipse((15, 44), (4, 4), ("#b9b6ae", "#4d4b46"), blur=0.3)


def licence_disc(canvas: Canvas, look: Look) -> None:
    canvas.wash(("#a9c3d2", "#7d97a3", "#3b474d"))
    canvas.box((40, 0), (30, 30), "#dfe9ee", blur=7, opacity=0.8)
    canvas.shape([(0, 62), (75, 55), (75, 100), (0, 100)], BLACK_PLASTIC, blur=0.8)
    canvas.soften(1.2)
    canvas.ellipse((37.5, 46), (23.5, 23.5), "#000000", blur=1, opacity=0.4)
    canvas.ellipse((37.5, 45), (23.5, 23.5), ("#f6f1e2", "#e5dfcc"))
    canvas.arc((37.5, 45), 22.4, (0, 360), "#b98a2f", 1.2)
    lines = [("REPUBLIC OF SOUTH AFRICA", 2.1, 29), ("MOTOR VEHICLE LICENCE", 2.3, 33), (look.registration, 4.6, 39)]
    for words, size, y in [
        *lines,
        (look.vin, 2.3, 45),
        ("GVM 3000   TARE 2095", 2, 49),
        ("EXPIRES 2027-02-28", 2.8, 54),
    ]:
        canvas.text((37.5, y), words, size, "#23262a")
    for bar in range(34):
        if canvas.random.random() < 0.6:
            canvas.box((25.6 + bar * 0.7, 57.5), (canvas.random.choice((0.3, 0.6)), 5), "#17191b")
    canvas.shape([(8, 0), (26, 0), (62, 100), (44, 100)], "#ffffff", opacity=0.12)


def driver_licence(canvas: Canvas, look: Look) -> None:
    canvas.wash(("#a07b57", "#825f3f"))
    canvas.speckle(0.2, 3)
    canvas.box((15, 20), (72, 43), "#000000", radius=3, blur=1.3, opacity=0.5)
    canvas.box((14, 18), (72, 43), ("#e9f0ea", "#d5e3ea", "#ecdfe0"), radius=3)
    canvas.box((14, 18), (72, 6), ("#3f7d5e", "#2f6650"), radius=2)
    canvas.text((50, 21), "DRIVING LICENCE", 3, "#ffffff")
    canvas.box((18, 28), (18, 25), ("#c3ced6", "#9aa7b0"), radius=0.6)
    canvas.ellipse((27, 37), (4.6, 5.8), ("#a8795b", "#7f573f"), blur=0.5)
    canvas.shape([(18.5, 53), (21, 46.5), (27, 44), (33, 46.5), (35.5, 53)], ("#3b4a66", "#26324a"), blur=0.5)
    for row, length in enumerate((30, 24, 34, 20, 28)):
        canvas.box((41, 30 + row * 5), (length, 1.5), "#4d5a63", blur=0.35, opacity=0.75)
    canvas.box((41, 56), (22, 2.4), "#39434a", blur=0.4, opacity=0.6)
    canvas.shape([(60, 18), (72, 18), (56, 61), (44, 61)], "#ffffff", opacity=0.15)
