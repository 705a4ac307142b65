"""The input of a generator: the data of one assessment at one moment, as plain values that can be pickled.

Choices are already in words, amounts are ``Decimal`` in the currency of the estimate, hours and panels ``Decimal``,
shares ``Decimal`` per cent. An unknown date or number is None, an unknown text is empty.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Self

from assessments import estimating, usual
from assessments.currencies import decimals_of


class Row(SimpleNamespace):
    """A row of a table: the values of its columns by their names, choices in words; see ``models``."""

    def changed(self, **values: object) -> Self:
        return type(self)(**{**vars(self), **values})


class Vehicle(Row):
    @property
    def title(self) -> str:
        return " ".join(str(part) for part in (self.year, self.make, self.model, self.variant) if part)


class Estimate(Row):
    """An estimate with its repairer and its lines, and with ``result_key``: the outcome as it is in the database."""

    @property
    def figures(self) -> tuple[object, ...]:
        """The figures that a summary prints of the lines: their number and their sums, or the error in them."""
        try:
            cost = estimating.cost(self, self.lines)
        except estimating.EstimateError as error:
            return (str(error),)
        return (len(self.lines), *cost.charges.values(), cost.sundries, cost.vat)


class PhotoItem(Row):
    """A photo, with the key, the heading and the ZIP folder of its section.

    ``print_image`` is None when none has been made yet; ``problem`` says why none could be made.
    """

    original: Path
    print_image: Path | None = None
    problem = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    # The slug and the label of the document to make, such as "photos-pdf" and "Photos PDF".
    kind: str
    title: str
    # The number of the assessment, ASM-YYYY-NNN.
    number: str
    # REP-YYYY-NNNNN; empty until the first report is made.
    report_number: str = ""
    # The number of the version that is made from this snapshot.
    version: int
    made_on: date
    currency: str = usual.CURRENCY
    # The language of the texts that people typed, as a BCP 47 tag. The words of the templates are English.
    language: str = "en"
    office: Row
    client: Row | None = None
    # Columns of the assessment itself, under shorter names; see ``assessments.documents.snapshot.own``.
    claim: Row
    insured: Row
    incident: Row
    inspection: Row
    vehicle: Row | None = None
    tyres: tuple[Row, ...] = ()
    accessories: tuple[Row, ...] = ()
    damage: tuple[Row, ...] = ()
    valuation: Row | None = None
    # The lines of the estimate are by group in the order of estimating.GROUPS, then by position.
    estimate: Row | None = None
    # By section in the order of the documents, then by position. The report gets only a few, the estimate none.
    photos: tuple[PhotoItem, ...] = ()
    # The most pixels of a photo. A photo that no worker has decoded yet may have more.
    max_pixels: int = 1_000_000_000
    notes: str = ""
    # The amount of work: photos for the photo documents, lines for the estimate, 1 for the report.
    units: int = 1

    @property
    def decimals(self) -> int:
        return decimals_of(self.currency)
