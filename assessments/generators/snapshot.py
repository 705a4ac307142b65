"""What a generator gets: the data of one assessment at one moment, as plain values that can be pickled.

Choices are already in words, amounts are ``Decimal`` in the currency of the estimate, hours and panels ``Decimal``,
shares ``Decimal`` per cent. A date or number that is not known is None, a text that is not known is empty.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from assessments import estimating, usual

# The sections of photos in the order of the documents, and the folder of each in the ZIP.
PHOTO_FOLDERS = {
    "vehicle_identification": "01_Vehicle_Identification",
    "exterior_360": "02_Exterior_360",
    "interior_mechanical": "03_Interior_Mechanical",
    "tyres_and_rims": "04_Tyres_and_Rims",
    "damage": "05_Damage",
    "pre_incident": "06_Pre_Incident",
    "additionals": "07_Additionals",
    "accessories": "08_Accessories",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    name: str
    registration: str = ""
    address: str = ""
    phone: str = ""
    email: str = ""
    # As #rrggbb.
    accent_colour: str = usual.ACCENT_COLOUR
    terms: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    name: str
    contact: str = ""
    phone: str = ""
    email: str = ""
    borderline_percent: Decimal = usual.BORDERLINE
    total_percent: Decimal = usual.TOTAL_WRITE_OFF
    salvage_percent: Decimal = usual.SALVAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    number: str = ""
    policy_number: str = ""
    instructed_on: date | None = None
    excess: Decimal = Decimal("0.00")


@dataclass(frozen=True, slots=True, kw_only=True)
class Insured:
    name: str = ""
    phone: str = ""
    email: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    happened_on: date | None = None
    place: str = ""
    description: str = ""
    driver_name: str = ""
    police_reference: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    assessor: str = ""
    assessor_email: str = ""
    inspected_on: date | None = None
    place: str = ""
    # Of the assessment, such as "Submitted".
    status: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vehicle:
    make: str
    model: str
    variant: str = ""
    year: int | None = None
    registration: str = ""
    vin: str = ""
    engine_number: str = ""
    colour: str = ""
    odometer: int | None = None
    transmission: str = ""
    licence_expires_on: date | None = None
    condition: str = ""
    condition_notes: str = ""
    service_history: str = ""
    last_service_on: date | None = None
    last_service_odometer: int | None = None
    interior_condition: str = ""
    interior_notes: str = ""
    srs: str = ""
    steering: str = ""
    brakes: str = ""
    handbrake: str = ""
    mechanical_notes: str = ""

    @property
    def title(self) -> str:
        return " ".join(str(part) for part in (self.year, self.make, self.model, self.variant) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tyre:
    position: str
    make: str = ""
    size: str = ""
    tread: Decimal | None = None
    condition: str = ""
    notes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accessory:
    name: str
    condition: str = ""
    value: Decimal = Decimal("0.00")


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    area: str
    kind: str
    severity: str
    location: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Valuation:
    warranty: str = ""
    warranty_expires_on: date | None = None
    warranty_odometer: int | None = None
    source: str = ""
    valued_on: date | None = None
    trade: Decimal = Decimal("0.00")
    market: Decimal = Decimal("0.00")
    retail: Decimal = Decimal("0.00")
    adjustment: Decimal = Decimal("0.00")
    adjustment_percent: Decimal = Decimal("0.00")
    condition_amount: Decimal = Decimal("0.00")
    extras: Decimal = Decimal("0.00")
    notes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repairer:
    name: str
    contact: str = ""
    phone: str = ""
    email: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateLine:
    # N, R, P, B, A or O; part type OEM, ALT or 2ND, on N lines only. These codes are printed as they are.
    process_type: str
    part_type: str = ""
    description: str
    part_price: Decimal = Decimal("0.00")
    strip_hours: Decimal = Decimal("0.00")
    labour_hours: Decimal = Decimal("0.00")
    paint_panels: Decimal = Decimal("0.00")
    outwork: Decimal = Decimal("0.00")
    betterment_part: Decimal = Decimal("0.00")
    betterment_strip: Decimal = Decimal("0.00")
    betterment_labour: Decimal = Decimal("0.00")
    betterment_paint: Decimal = Decimal("0.00")
    betterment_outwork: Decimal = Decimal("0.00")


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    repairer: Repairer | None = None
    # The outcome in words, and its key: repair, code_2, code_3, total_loss, or empty while it is not decided.
    result: str = ""
    result_key: str = ""
    labour_rate: Decimal = usual.LABOUR_RATE
    paint_rate: Decimal = usual.PAINT_RATE
    markup_oem: Decimal = usual.MARKUP
    markup_aftermarket: Decimal = usual.MARKUP
    markup_second_hand: Decimal = usual.MARKUP
    markup_outwork: Decimal = usual.MARKUP
    sundries_percent: Decimal = usual.SUNDRIES
    vat_percent: Decimal = usual.VAT
    notes: str = ""
    # By group in the order of estimating.GROUPS, then by position.
    lines: tuple[EstimateLine, ...] = ()

    @property
    def figures(self) -> tuple[object, ...]:
        """What a summary prints of the lines: how many they are and their sums, or why these contradict."""
        try:
            cost = estimating.cost(self, self.lines)
        except estimating.EstimateError as error:
            return (str(error),)
        return (len(self.lines), *cost.charges.values(), cost.sundries, cost.vat)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoItem:
    # A key of PHOTO_FOLDERS, its heading in words, and its folder in the ZIP.
    section: str
    section_label: str
    folder: str
    position: int
    caption: str
    # The file name it came with; never a path.
    name: str
    # The true type by content, without the dot.
    extension: str
    # In bytes.
    size: int
    sha256: str
    original: Path
    # The prepared small picture, or None when none has been made yet.
    print_image: Path | None = None
    # Why none could be made, in the user's words; empty when nobody has found a reason.
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    # The slug and the label of the document to make, such as "photos-pdf" and "Photos PDF".
    kind: str
    title: str
    # Of the assessment, ASM-YYYY-NNN.
    number: str
    # REP-YYYY-NNNNN; empty while no report has been asked for.
    report_number: str = ""
    # The number that the version made from this will get.
    version: int
    made_on: date
    currency: str = usual.CURRENCY
    office: Office
    client: Client | None = None
    claim: Claim = Claim()
    insured: Insured = Insured()
    incident: Incident = Incident()
    inspection: Inspection = Inspection()
    vehicle: Vehicle | None = None
    tyres: tuple[Tyre, ...] = ()
    accessories: tuple[Accessory, ...] = ()
    damage: tuple[Damage, ...] = ()
    valuation: Valuation | None = None
    estimate: Estimate | None = None
    # By section in the order of PHOTO_FOLDERS, then by position. The report gets those it shows, the estimate none.
    photos: tuple[PhotoItem, ...] = ()
    # Pixels that a photo may have; one that no worker has looked at yet may have more.
    max_pixels: int = 1_000_000_000
    notes: str = ""
    # The work there is: photos for the photo documents, lines for the estimate, 1 for the report.
    units: int = 1
