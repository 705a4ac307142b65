"""What holds until somebody says otherwise: the values that rows begin with and that papers fall back on."""

from decimal import Decimal

ACCENT_COLOUR = "#1f5f8b"
CURRENCY = "ZAR"
# Per cent of the value at which a client writes a vehicle off, and that the salvage brings.
BORDERLINE = Decimal("65.00")
TOTAL_WRITE_OFF = Decimal("70.00")
SALVAGE = Decimal("28.00")
