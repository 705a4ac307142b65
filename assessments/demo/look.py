"""What the vehicle in the pictures looks like, and what its parts are made of."""

from collections.abc import Callable
from dataclasses import dataclass

from PIL import ImageColor

from .canvas import Canvas, Paint

GLASS = ("#8fa5b3", "#3d4d58", "#1d262c")
RUBBER = ("#3a3b3d", "#1b1c1e")
STEEL = ("#d7dadd", "#8e9499", "#c2c6c9")
TAR = ("#77756f", "#4e4d4a")
BLACK_PLASTIC = ("#45474a", "#232527")


@dataclass(frozen=True, slots=True)
class Look:
    """What the vehicle in the pictures looks like, and what is written on it."""

    body: str = "#e8e8e4"
    # The shape of its side: "bakkie", "hatch" or "wagon".
    shape: str = "bakkie"
    registration: str = "CA 482-917"
    vin: str = "AHTKB3CD502917364"
    engine_number: str = "1GD 4471902"
    odometer: int = 84_310

    def shade(self, light: float) -> str:
        """The colour of the body in more light (1.2) or less (0.6)."""
        red, green, blue = ImageColor.getrgb(self.body)[:3]
        return "#{:02x}{:02x}{:02x}".format(*(min(round(part * light), 255) for part in (red, green, blue)))

    @property
    def paint(self) -> Paint:
        return self.shade(1.12), self.shade(0.95), self.shade(0.62)


Scene = Callable[[Canvas, Look], None]
