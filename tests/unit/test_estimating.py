"""The arithmetic of the estimate and of the values, worked out by hand, and its promises for any input."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assessments import estimating
from assessments.models import Client, Estimate, EstimateLine, Valuation

RATES = Estimate(
    labour_rate=Decimal("500"),
    paint_rate=Decimal("2000"),
    markup_oem=Decimal("25"),
    markup_aftermarket=Decimal("20"),
    markup_second_hand=Decimal("10"),
    markup_outwork=Decimal("30"),
    sundries_percent=Decimal("1"),
    vat_percent=Decimal("15"),
)
# A value in every component, so that a component that must not count would show.
EVERYTHING = {
    "description": "Everything",
    "part_price": Decimal("1000.00"),
    "strip_hours": Decimal("1.50"),
    "labour_hours": Decimal("2.00"),
    "paint_panels": Decimal("1.00"),
    "outwork": Decimal("400.00"),
}


def line(process_type: str, **values: Any) -> EstimateLine:
    values = {"description": "A line", "part_type": "OEM" if process_type == "N" else "", **values}
    return EstimateLine(process_type=process_type, **values)


@pytest.mark.parametrize(
    ("process_type", "components"),
    [
        ("N", ("1000.00", "750.00", "1000.00", "2000.00", "0.00")),
        ("R", ("0.00", "750.00", "1000.00", "2000.00", "0.00")),
        ("P", ("0.00", "750.00", "0.00", "2000.00", "0.00")),
        ("B", ("0.00", "750.00", "0.00", "2000.00", "0.00")),
        ("A", ("0.00", "0.00", "1000.00", "0.00", "0.00")),
        ("O", ("0.00", "0.00", "0.00", "0.00", "400.00")),
    ],
)
def test_a_process_type_counts_its_own_components_and_no_others(process_type: str, components: tuple[str, ...]) -> None:
    cost = estimating.line_cost(RATES, line(process_type, **EVERYTHING))
    assert [str(amount) for amount in cost.components] == list(components)
    assert cost.total == sum(map(Decimal, components))


def test_an_estimate_agrees_with_one_worked_out_by_hand() -> None:
    new_part = line("N", **{**EVERYTHING, "betterment_part": Decimal("10")})
    outwork = line("O", outwork=Decimal("400.00"), betterment_outwork=Decimal("5"))
    cost = estimating.cost(RATES, [new_part, outwork], excess=Decimal("1000.00"))
    # 1000 + 750 + 1000 + 2000 - 100, and 400 - 20.
    assert [one.total for one in cost.lines] == [Decimal("4650.00"), Decimal("380.00")]
    # 25 % of 900, and 30 % of 380: betterment comes off before markup goes on.
    assert (cost.parts_markup, cost.outwork_markup) == (Decimal("225.00"), Decimal("114.00"))
    assert cost.sums.betterment == Decimal("120.00")
    assert cost.subtotal == Decimal("5369.00")
    assert cost.sundries == Decimal("53.69")
    # 15 % of 5422.69 is 813.4035.
    assert cost.vat == Decimal("813.40")
    assert cost.total == Decimal("6236.09")
    assert cost.net_payable == Decimal("5236.09")


@pytest.mark.parametrize(("part_type", "markup"), [("OEM", "25.00"), ("ALT", "20.00"), ("2ND", "10.00")])
def test_each_part_type_has_its_own_markup(part_type: str, markup: str) -> None:
    assert estimating.cost(RATES, [line("N", part_type=part_type, part_price=Decimal("100"))]).parts_markup == Decimal(
        markup
    )


def test_betterment_is_taken_off_every_component_at_its_own_percentage() -> None:
    better = {
        "betterment_part": Decimal(10),
        "betterment_strip": Decimal(20),
        "betterment_labour": Decimal(30),
        "betterment_paint": Decimal(40),
    }
    cost = estimating.line_cost(RATES, line("N", **EVERYTHING, **better, betterment_outwork=Decimal(50)))
    assert cost.betterment == Decimal("100.00") + Decimal("150.00") + Decimal("300.00") + Decimal("800.00")


def test_betterment_of_a_component_that_does_not_count_takes_nothing_off() -> None:
    cost = estimating.line_cost(
        RATES, line("A", **EVERYTHING, betterment_part=Decimal(100), betterment_paint=Decimal(100))
    )
    assert (cost.betterment, cost.total) == (Decimal("0.00"), Decimal("1000.00"))


def test_half_a_cent_is_rounded_up() -> None:
    # 0.01 hours at 50.50 is 0.505; rounding half to even would give 0.50.
    rates = Estimate(labour_rate=Decimal("50.50"))
    assert estimating.line_cost(rates, line("A", labour_hours=Decimal("0.01"))).labour == Decimal("0.51")


def test_values_are_rounded_to_the_unit_of_the_currency() -> None:
    worth = Valuation(retail=Decimal("1000000.50"), adjustment_percent=Decimal("-1.50"), extras=Decimal("99.40"))
    retail = estimating.values(worth, Client(), decimals=0)["retail"]
    # 1000001 - 15000.015 + 99, of which 65 % are 640315.
    assert (retail.base, retail.percent_amount, retail.total_adjusted) == (1000001, -15000, 985100)
    assert str(retail.borderline) == "640315"


def test_rates_of_zero_count_as_rates() -> None:
    zero = Estimate(
        vat_percent=Decimal(0),
        sundries_percent=Decimal(0),
        markup_oem=Decimal(0),
        markup_outwork=Decimal(0),
        labour_rate=Decimal(0),
    )
    cost = estimating.cost(zero, [line("N", **EVERYTHING), line("O", outwork=Decimal("400.00"))])
    assert not any((cost.vat, cost.sundries, cost.parts_markup, cost.outwork_markup))
    assert cost.total == cost.subtotal == Decimal("3400.00")


def test_no_lines_cost_nothing() -> None:
    cost = estimating.cost(RATES, [])
    assert not any((cost.lines, cost.subtotal, cost.total, cost.net_payable))


def test_an_excess_above_the_total_leaves_nothing_to_pay() -> None:
    assert estimating.cost(RATES, [line("A", labour_hours=Decimal(1))], excess=Decimal("9000")).net_payable == 0


def test_a_total_that_differs_from_the_sum_of_its_breakdown_is_refused() -> None:
    cost = estimating.cost(RATES, [line("N", **EVERYTHING)])
    with pytest.raises(estimating.EstimateError, match=r"sums to 5\u202f807\.50, but its total is 5\u202f807\.51\."):
        replace(cost, total=cost.total + Decimal("0.01")).check()


def test_amounts_too_long_to_add_exactly_are_refused_rather_than_printed_wrong() -> None:
    rates = Estimate(
        labour_rate=Decimal("0.07"), markup_oem=Decimal(0), sundries_percent=Decimal(0), vat_percent=Decimal(0)
    )
    huge = [
        line("N", part_price=Decimal("99999999999999999999999988.99"), strip_hours=Decimal(86)),
        line("N", part_price=Decimal("99999999999999999999999953.99"), strip_hours=Decimal(855)),
    ]
    with pytest.raises(estimating.EstimateError, match="The office has to check the figures of its lines"):
        estimating.cost(rates, huge)


# For any estimate ---------------------------------------------------------------------------------------------------

for_any = settings(deadline=None, database=None)
money = st.decimals(min_value=0, max_value=9_999_999, places=2)
quantity = st.decimals(min_value=0, max_value=999, places=2)
percent = st.decimals(min_value=0, max_value=100, places=2)


@st.composite
def lines(draw: st.DrawFn) -> EstimateLine:
    process_type = draw(st.sampled_from("NRPBAO"))
    return EstimateLine(
        process_type=process_type,
        part_type=draw(st.sampled_from(["OEM", "ALT", "2ND"])) if process_type == "N" else "",
        description="A line",
        part_price=draw(money),
        strip_hours=draw(quantity),
        labour_hours=draw(quantity),
        paint_panels=draw(quantity),
        outwork=draw(money),
        betterment_part=draw(percent),
        betterment_strip=draw(percent),
        betterment_labour=draw(percent),
        betterment_paint=draw(percent),
        betterment_outwork=draw(percent),
    )


rates = st.builds(
    Estimate,
    labour_rate=money,
    paint_rate=money,
    markup_oem=percent,
    markup_aftermarket=percent,
    markup_second_hand=percent,
    markup_outwork=percent,
    sundries_percent=percent,
    vat_percent=percent,
)
estimates = st.lists(lines(), max_size=8)


@for_any
@given(rates, estimates, money)
def test_printed_amounts_always_add_up_to_the_cent(rates: Estimate, lines: list[EstimateLine], excess: Decimal) -> None:
    cost = estimating.cost(rates, lines, excess)
    assert sum(cost.charges.values()) == cost.subtotal
    assert cost.subtotal + cost.sundries + cost.vat == cost.total
    assert sum(one.total for one in cost.lines) + cost.parts_markup + cost.outwork_markup == cost.subtotal
    printed = [*cost.charges.values(), cost.subtotal, cost.sundries, cost.vat, cost.total, cost.net_payable]
    assert all(figure == figure.quantize(Decimal("0.01")) for figure in printed)


@for_any
@given(rates, estimates, money)
def test_no_amount_is_ever_below_zero(rates: Estimate, lines: list[EstimateLine], excess: Decimal) -> None:
    cost = estimating.cost(rates, lines, excess)
    assert cost.net_payable >= 0
    assert cost.total >= cost.subtotal >= 0
    assert all(one.total >= 0 and one.betterment >= 0 for one in cost.lines)


@for_any
@given(rates, estimates, st.randoms())
def test_the_order_of_lines_changes_no_sum(rates: Estimate, lines: list[EstimateLine], random: Any) -> None:
    shuffled = random.sample(lines, len(lines))
    assert estimating.cost(rates, lines).total == estimating.cost(rates, shuffled).total


@for_any
@given(rates, estimates)
def test_groups_of_lines_sum_to_the_whole(rates: Estimate, lines: list[EstimateLine]) -> None:
    costs = [estimating.line_cost(rates, one) for one in lines]
    halves = [estimating.together(costs[::2]), estimating.together(costs[1::2])]
    assert estimating.together(halves) == estimating.together(costs)


# Values -------------------------------------------------------------------------------------------------------------


def test_values_agree_with_values_worked_out_by_hand() -> None:
    worth = Valuation(
        retail=Decimal("221900.00"),
        adjustment=Decimal("-2500.00"),
        adjustment_percent=Decimal("-1.50"),
        condition_amount=Decimal("3000.00"),
        extras=Decimal("14699.90"),
    )
    retail = estimating.values(worth, Client()).get("retail")
    assert retail is not None
    # 221900 - 2500 - 3328.50 + 3000, then the extras.
    assert (retail.percent_amount, retail.adjusted) == (Decimal("-3328.50"), Decimal("219071.50"))
    assert retail.total_adjusted == Decimal("233771.40")
    # 65 %, 70 % and 28 % of the adjusted total: 151951.41, 163639.98 and 65455.992.
    assert (retail.borderline, retail.total_write_off) == (Decimal("151951.41"), Decimal("163639.98"))
    assert retail.salvage == Decimal("65455.99")


def test_a_client_sets_its_own_limits() -> None:
    client = Client(borderline_percent=Decimal(50), total_percent=Decimal(60), salvage_percent=Decimal(10))
    value = estimating.values(Valuation(trade=Decimal("1000.00")), client).get("trade")
    assert value is not None
    assert [value.borderline, value.total_write_off, value.salvage] == [500, 600, 100]


def test_a_value_without_a_base_is_not_valued() -> None:
    values = estimating.values(Valuation(retail=Decimal("1000.00"), condition_amount=Decimal("50.00")), Client())
    assert list(values) == ["retail"]


@pytest.mark.parametrize(
    ("total", "words"),
    [
        ("0.00", "Green: far below"),
        ("249.99", "Green: far below"),
        ("250.00", "Yellow: below"),
        ("599.99", "Yellow: below"),
        ("600.00", "Orange: approaching"),
        ("900.00", "Orange: approaching"),
        ("900.01", "Red: almost at"),
        ("1000.00", "Red: almost at"),
        ("1000.01", "Red: over"),
    ],
)
def test_an_estimate_stands_in_a_band_against_the_borderline(total: str, words: str) -> None:
    band = estimating.band(Decimal(total), Decimal("1000.00"))
    assert band is not None
    assert band.words.startswith(words)


@pytest.mark.parametrize("borderline", ["0.00", "-10.00"])
def test_an_estimate_without_a_borderline_stands_in_no_band(borderline: str) -> None:
    assert estimating.band(Decimal("100.00"), Decimal(borderline)) is None


@for_any
@given(st.lists(money, min_size=2, max_size=6), st.decimals(min_value=1, max_value=9_999_999, places=2))
def test_a_dearer_estimate_never_stands_in_a_milder_band(totals: list[Decimal], borderline: Decimal) -> None:
    order = ["Green", "Yellow", "Orange", "Red"]
    bands = [estimating.band(total, borderline) for total in sorted(totals)]
    places = [order.index(band.words.partition(":")[0]) for band in bands if band]
    assert len(places) == len(totals)
    assert all(before <= after for before, after in pairwise(places))
