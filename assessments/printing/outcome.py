"""The outcome of an assessment: the estimate against the borderline write-off, and what the insurer does next."""

from decimal import Decimal
from typing import Any

from assessments import estimating

REPAIR = "repair"
STEPS = {
    REPAIR: "The insurer may instruct {repairer} to begin the repair.",
    "code_2": "Settle as a repairable write-off; the vehicle may be rebuilt.",
    "code_3": "Settle as a non-repairable write-off; the vehicle is not to be rebuilt.",
    "total_loss": "Settle as a total loss.",
}
UNDECIDED = "The assessor has still to decide the outcome."
OVER = "The estimate is over the borderline write-off: the insurer decides whether {repairer} may begin the repair."


def gauge(cost: estimating.Cost | None, values: dict[str, estimating.Value], result: str) -> dict[str, Any]:
    """Return the band of the estimate by the retail borderline, and its position on a scale from 0 to 1000.

    ``contradiction`` says in words that the band and the outcome contradict each other; else it is empty.
    """
    band = estimating.band(cost.total, values["retail"].borderline) if cost and "retail" in values else None
    position = min(max(10 * band.percent, Decimal(8)), Decimal(992)) if band else None
    return {"band": band, "band_position": position, "contradiction": contradiction(band, result)}


def contradiction(band: estimating.Band | None, result: str) -> str:
    if band is None or result not in STEPS or band.over == (result != REPAIR):
        return ""
    return f"This contradicts the outcome, a {'repair' if result == REPAIR else 'write-off'}."


def next_step(result: str, band: estimating.Band | None, repairer: str) -> str:
    step = OVER if result == REPAIR and band and band.over else STEPS.get(result, UNDECIDED)
    return step.format(repairer=repairer or "the repairer")
