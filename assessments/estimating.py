"""The cost of a repair and the value of a vehicle, to the smallest unit of the currency, such as the cent.

Every printed figure is rounded half-up to this unit when it is calculated. Later figures are calculated from the
rounded ones, so the printed figures add up.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

# A row of the database or its plain copy: an estimate, a line of one, a valuation or a client.
Row = Any

ZERO = Decimal("0.00")
# The components of a line.
PART, STRIP, LABOUR, PAINT, OUTWORK = "part", "strip", "labour", "paint", "outwork"
# The heading of each component in a table of lines.
COLUMNS = {PART: "Parts", STRIP: "S&A", LABOUR: "Labour", PAINT: "Paint", OUTWORK: "Outwork"}
# The components that count for each process type.
ALLOWED = {
    "N": {PART, STRIP, LABOUR, PAINT},
    "R": {STRIP, LABOUR, PAINT},
    "P": {STRIP, PAINT},
    "B": {STRIP, PAINT},
    "A": {LABOUR},
    "O": {OUTWORK},
}
# The groups in which lines are printed, and the process types of each.
GROUPS = {"New parts (N)": "N", "Repairs (R)": "R", "Paint & blend (P, B)": "PB", "Other services (A, O)": "AO"}
# The fields of a line with the quantity of each component, and with the per cent of betterment of the component.
STORED = {
    PART: ("part_price", "betterment_part"),
    STRIP: ("strip_hours", "betterment_strip"),
    LABOUR: ("labour_hours", "betterment_labour"),
    PAINT: ("paint_panels", "betterment_paint"),
    OUTWORK: ("outwork", "betterment_outwork"),
}
# The columns of a valuation that are base values.
VALUES = ("trade", "market", "retail")
# The narrow no-break space between groups of digits.
GROUP = "\u202f"
MINUS = "\u2212"


class EstimateError(Exception):
    """The figures of an estimate contradict each other; the text says how, in the user's words."""


@dataclass(frozen=True, slots=True)
class LineCost:
    """The cost of one line or of several: the components that count, nett, and the total after betterment."""

    part: Decimal
    strip: Decimal
    labour: Decimal
    paint: Decimal
    outwork: Decimal
    betterment: Decimal

    @property
    def components(self) -> tuple[Decimal, ...]:
        return self.part, self.strip, self.labour, self.paint, self.outwork

    @property
    def total(self) -> Decimal:
        return sum(self.components, ZERO) - self.betterment


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of the repair: of each line, of all lines together, and the charges on top."""

    lines: tuple[LineCost, ...]
    sums: LineCost
    parts_markup: Decimal
    outwork_markup: Decimal
    subtotal: Decimal
    sundries: Decimal
    vat: Decimal
    total: Decimal
    excess: Decimal

    @property
    def net_payable(self) -> Decimal:
        return max(ZERO, self.total - self.excess)

    @property
    def charges(self) -> dict[str, Decimal]:
        """The breakdown, as printed, down to the subtotal."""
        return {
            "Parts, nett": self.sums.part,
            "Strip and assemble (S&A)": self.sums.strip,
            "Labour": self.sums.labour,
            "Paint": self.sums.paint,
            "Outwork, nett": self.sums.outwork,
            "Markup on parts": self.parts_markup,
            "Markup on outwork": self.outwork_markup,
            "Less betterment": -self.sums.betterment,
        }

    def check(self) -> None:
        """Raise EstimateError unless the printed breakdown sums to the printed total."""
        breakdown = sum((*self.charges.values(), self.sundries, self.vat), ZERO)
        if breakdown != self.total:
            raise EstimateError(
                f"The breakdown of this estimate sums to {digits(breakdown)}, but its total is {digits(self.total)}. "
                "The office has to check the figures of its lines; then retry."
            )


@dataclass(frozen=True, slots=True)
class Value:
    base: Decimal
    adjustment: Decimal
    percent_amount: Decimal
    condition_amount: Decimal
    adjusted: Decimal
    extras: Decimal
    total_adjusted: Decimal
    borderline: Decimal
    total_write_off: Decimal
    salvage: Decimal


@dataclass(frozen=True, slots=True)
class Band:
    """The estimate's total as ``percent`` of the borderline write-off, and the same in words."""

    percent: Decimal
    words: str
    over: bool = False


def digits(amount: Decimal, decimals: int = 2) -> str:
    """Return an amount as people read it, without its currency, such as ``12 345.67``."""
    with localcontext(rounding=ROUND_HALF_UP):
        return f"{amount:,.{decimals}f}".replace(",", GROUP).replace("-", MINUS)


def rounded(amount: Decimal, decimals: int = 2) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)


def cost(rates: Row, lines: Sequence[Row], excess: Decimal = ZERO, decimals: int = 2) -> Cost:
    """Return the cost of lines at these rates. Raises EstimateError when the breakdown does not sum to the total."""
    costs = tuple(line_cost(rates, line, decimals) for line in lines)
    markups = {"": ZERO, "OEM": rates.markup_oem, "ALT": rates.markup_aftermarket, "2ND": rates.markup_second_hand}
    parts_markup = outwork_markup = ZERO
    for line, figures in zip(lines, costs, strict=True):
        parts_markup += _kept(figures.part, line.betterment_part) * markups[line.part_type] / 100
        outwork_markup += _kept(figures.outwork, line.betterment_outwork) * rates.markup_outwork / 100
    parts_markup, outwork_markup = rounded(parts_markup, decimals), rounded(outwork_markup, decimals)
    sums = together(costs)
    subtotal = sum((figures.total for figures in costs), ZERO) + parts_markup + outwork_markup
    sundries = rounded(subtotal * rates.sundries_percent / 100, decimals)
    vat = rounded((subtotal + sundries) * rates.vat_percent / 100, decimals)
    total, excess = subtotal + sundries + vat, rounded(excess, decimals)
    result = Cost(costs, sums, parts_markup, outwork_markup, subtotal, sundries, vat, total, excess)
    result.check()
    return result


def line_cost(rates: Row, line: Row, decimals: int = 2) -> LineCost:
    """Return the cost of one line. A component that the process type does not allow is zero, whatever its value."""
    prices = {STRIP: rates.labour_rate, LABOUR: rates.labour_rate, PAINT: rates.paint_rate}
    counted, betterment = dict.fromkeys(STORED, ZERO), ZERO
    for name in ALLOWED[line.process_type]:
        amount, percent = (getattr(line, column) for column in STORED[name])
        counted[name] = rounded(amount * prices.get(name, 1), decimals)
        betterment += counted[name] * percent / 100
    return LineCost(**counted, betterment=rounded(betterment, decimals))


def together(costs: Iterable[LineCost]) -> LineCost:
    rows = [(*figures.components, figures.betterment) for figures in costs]
    return LineCost(*(sum(column, ZERO) for column in zip(*rows, strict=True))) if rows else LineCost(*[ZERO] * 6)


def _kept(component: Decimal, betterment_percent: Decimal) -> Decimal:
    """Return a component less its betterment. Markup is charged on this amount."""
    return component - component * betterment_percent / 100


def values(worth: Row | None, limits: Row, decimals: int = 2) -> dict[str, Value]:
    """Return the vehicle's values that are known, adjusted, and the amounts at which the client writes it off."""
    return {name: value(base, worth, limits, decimals) for name in VALUES if (base := getattr(worth, name, None))}


def value(base: Decimal, worth: Row, limits: Row, decimals: int = 2) -> Value:
    entered = (base, worth.adjustment, worth.condition_amount, worth.extras)
    base, adjustment, condition_amount, extras = (rounded(figure, decimals) for figure in entered)
    percent_amount = rounded(base * worth.adjustment_percent / 100, decimals)
    adjusted = base + adjustment + percent_amount + condition_amount
    total_adjusted = adjusted + extras
    return Value(
        base=base,
        adjustment=adjustment,
        percent_amount=percent_amount,
        condition_amount=condition_amount,
        adjusted=adjusted,
        extras=extras,
        total_adjusted=total_adjusted,
        borderline=rounded(total_adjusted * limits.borderline_percent / 100, decimals),
        total_write_off=rounded(total_adjusted * limits.total_percent / 100, decimals),
        salvage=rounded(total_adjusted * limits.salvage_percent / 100, decimals),
    )


def band(total: Decimal, borderline: Decimal) -> Band | None:
    """Return the band of an estimate's total by the retail borderline; None when there is no such borderline."""
    if borderline <= 0:
        return None
    percent = total / borderline * 100
    printed = percent.quantize(Decimal("0.1"), ROUND_HALF_UP)
    if percent < 25:
        return Band(printed, "Green: far below the borderline write-off")
    if percent < 60:
        return Band(printed, "Yellow: below the borderline write-off")
    if percent <= 90:
        return Band(printed, "Orange: approaching the borderline write-off")
    if percent <= 100:
        return Band(printed, "Red: almost at the borderline write-off")
    return Band(printed, "Red: over the borderline write-off", over=True)
