"""What an assessor photographs, by name."""

from . import damage, inside, outside, plates, surroundings
from .look import Scene

SCENES: dict[str, Scene] = {
    "vin plate": plates.vin_plate,
    "registration plate": plates.registration_plate,
    "engine number": plates.engine_number,
    "licence disc": plates.licence_disc,
    "driver licence": plates.driver_licence,
    "front": outside.front,
    "rear": outside.rear,
    "left": outside.side,
    "right": outside.right_side,
    "front left": outside.turned(outside.side, 0.3),
    "front right": outside.turned(outside.right_side, -0.3),
    "rear left": outside.turned(outside.side, -0.3),
    "rear right": outside.turned(outside.right_side, 0.3),
    "dashboard": inside.dashboard,
    "seats": inside.seats,
    "gear lever": inside.gear_lever,
    "engine bay": inside.engine_bay,
    "odometer": inside.odometer,
    "battery": inside.battery,
    "tyre": outside.tyre,
    "tread": outside.tread,
    "dent": damage.dent,
    "scratches": damage.scratches,
    "broken bumper": damage.broken_bumper,
    "broken lamp": damage.broken_lamp,
    "stone chips": damage.stone_chips,
    "road": surroundings.road,
    "clipboard": surroundings.clipboard,
    "tow bar": surroundings.tow_bar,
    "park sensors": surroundings.park_sensors,
}
# The scenes that are taken with the phone upright.
STANDING = {"licence disc", "gear lever", "tyre", "tread", "clipboard", "dent"}
