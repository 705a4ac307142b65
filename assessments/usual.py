"""The default values of new rows. The documents use them when a row is missing or its value is not valid."""

from decimal import Decimal

ACCENT_COLOUR = "#1f5f8b"
CURRENCY = "ZAR"
# Per cent of a vehicle's value: the two limits at which a client writes the vehicle off, and the salvage.
BORDERLINE = Decimal("65.00")
TOTAL_WRITE_OFF = Decimal("70.00")
SALVAGE = Decimal("28.00")
