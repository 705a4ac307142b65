"""The data of the demo: vehicles, people, lines of an estimate, and what was photographed. All of them are made up."""

from dataclasses import dataclass

from assessments.models import Accessory, Damage, Estimate, Photo, Tyre

from .look import Look

# What is photographed, section by section, and what is written below it. Assessors write in the language they think in.
SUBJECTS = {
    Photo.Section.VEHICLE_IDENTIFICATION: [
        ("vin plate", "VIN plate"),
        ("registration plate", "Registration plate, front"),
        ("engine number", "Engine number"),
        ("licence disc", "Lisensieskyf (licence disc)"),
        ("driver licence", "Driver licence"),
    ],
    Photo.Section.EXTERIOR_360: [
        ("front left", "Front left"),
        ("front", "Front"),
        ("rear", "Rear"),
        ("left", "Left side"),
        ("right", "Right side"),
        ("front right", "Front right"),
        ("rear left", "Rear left"),
        ("rear right", "Rear right"),
    ],
    Photo.Section.INTERIOR_MECHANICAL: [
        ("dashboard", "Dashboard, no warning lights"),
        ("odometer", "Odometer"),
        ("engine bay", "Engine bay"),
        ("seats", "Front seats"),
        ("gear lever", "Gear lever"),
        ("battery", "Battery, 652"),
        ("engine bay", "Oil: clean, at the upper mark"),
        ("engine bay", "Coolant: pink, between the marks"),
    ],
    Photo.Section.TYRES_AND_RIMS: [
        ("tyre", "Right front"),
        ("tread", "Right front, tread"),
        ("tyre", "Right rear"),
        ("tread", "Right rear, tread"),
        ("tyre", "Left rear: rim scuffed"),
        ("tread", "Left rear, tread"),
        ("tyre", "Left front"),
        ("tread", "Left front, tread"),
        ("tyre", "Spare"),
    ],
    Photo.Section.DAMAGE: [
        ("dent", "Linkeragterdeur: duik en kneusplek (sien raming)"),
        ("broken bumper", "Rear bumper 後保險槓 <cracked through> & loose"),
        ("scratches", "Umonakalo emnyango wangemuva (rear door)"),
        ("broken lamp", "Left tail lamp “broken”"),
        ("dent", "左後葉子板凹痕: left rear quarter"),
        ("scratches", "Πόρτα πίσω αριστερά"),
        ("broken bumper", "خدش على المصد"),
        ("dent", "पिछला दरवाज़ा"),
        ("scratches", "Sill, left: paint through to the primer"),
        ("broken lamp", "Lamp mounting torn"),
        ("dent", "Quarter panel, left"),
        ("scratches", "Left front door, lower half"),
        ("broken bumper", "Bumper bracket bent 12 mm"),
        ("dent", "Tailgate, lower left corner"),
        ("scratches", "Left rear wheel arch"),
        ("dent", "Left rear door, from above, with a rule held along the crease to show how deep it is"),
    ],
    Photo.Section.PRE_INCIDENT: [
        ("stone chips", "Stone chips on the bonnet"),
        ("scratches", "Old scratch, right front door"),
        ("stone chips", "Stone chips, front bumper"),
        ("scratches", "Tailgate: loading marks"),
    ],
    Photo.Section.ADDITIONALS: [
        ("road", "Place of the incident: R43, km 12"),
        ("clipboard", "Towing slip"),
        ("road", "Skid marks, seen against the traffic"),
        ("clipboard", "Statement of the driver, page 1"),
        ("clipboard", "Statement of the driver, page 2"),
    ],
    Photo.Section.ACCESSORIES: [
        ("tow bar", "Tow bar"),
        ("park sensors", "Park sensors, rear"),
        ("tyre", "Mags, 17 inch"),
        ("tow bar", "Tow bar plug, 7-pin"),
        ("park sensors", "Nudge bar sensors"),
    ],
}
# How the phone was held, photo by photo.
ORIENTATIONS = (1, 6, 1, 3, 8, 1)


@dataclass(frozen=True, slots=True)
class Story:
    """What is different about each assessment."""

    make: str
    model: str
    variant: str
    year: int
    colour: str
    look: Look
    retail: int
    client: str
    repairer: str
    insured: str
    town: str
    place: str
    event: str
    kind: str = Damage.Kind.COLLISION
    result: str = Estimate.Result.REPAIR
    # Times the usual prices of parts: what is written off has much to replace.
    prices: int = 1


STORIES = (
    Story(
        "Toyota", "Hilux", "2.8 GD-6 Raider double cab", 2021, "Glacier white", Look(), 529_000,
        "Protea Mutual Insurance", "Boland Panel and Paint", "Nomvula Dlamini", "Worcester", "R43 near Villiersdorp",
        "While waiting to turn right, the vehicle was struck on the left rear by a light truck that could not stop on "
        "the wet road. It was pushed against the kerb. Nobody was hurt.",
    ),
    Story(
        "Volkswagen", "Polo", "1.0 TSI Life", 2022, "Reef blue",
        Look("#2f5c92", "hatch", "CY 318-204", "AAVZZZAWZNU041877", "DLA 208144", 41_902), 289_500,
        "Karoo Short-Term", "Helderberg Autobody", "Pieter van Wyk", "Somerset West", "Main Road, Somerset West",
        "The parked vehicle was struck on the left by a delivery van that left the scene.",
    ),
    Story(
        "Toyota", "Fortuner", "2.4 GD-6 4x2", 2019, "Attitude black",
        Look("#2b2d31", "wagon", "KT 71 PL GP", "AHTJA3GS800412233", "2GD 3318207", 126_480), 412_000,
        "Protea Mutual Insurance", "Jukskei Collision Repairs", "Lerato Mokoena", "Midrand", "N1 at Allandale",
        "In slow traffic the driver swerved for a vehicle ahead and scraped along the barrier.",
    ),
    Story(
        "Ford", "Ranger", "2.0 SiT XLT super cab", 2020, "Agate red",
        Look("#8c1f25", "bakkie", "ND 604-118", "AFAPXXMJ2PLK07741", "YN2S 118402", 98_115), 398_000,
        "Umhlanga General", "Durban North Panelbeaters", "Sipho Ndlovu", "Umhlanga", "M4, La Lucia",
        "Hail the size of golf balls fell for some ten minutes while the vehicle stood in the open.",
        Damage.Kind.HAIL,
    ),
    Story(
        "Suzuki", "Swift", "1.2 GL", 2023, "Fire red",
        Look("#b3222c", "hatch", "JB 52 RR GP", "MBHZC83S900117246", "K12N 447120", 18_733), 214_000,
        "Karoo Short-Term", "Jukskei Collision Repairs", "Anneke Botha", "Randburg", "Beyers Naudé Drive, Randburg",
        "Thieves forced the left rear door and the lock of the tailgate.",
        Damage.Kind.THEFT,
    ),
    Story(
        "Isuzu", "D-Max", "3.0 LSE double cab", 2018, "Mercury silver",
        Look("#b8bcc0", "bakkie", "FZW 221 EC", "ACVNRCHR3J4064419", "4JJ1 PK7731", 187_250), 326_000,
        "Umhlanga General", "Algoa Bay Panel Works", "Thabo Sithole", "Gqeberha", "N2 at Storms River",
        "The vehicle left the road at night after a tyre burst, and rolled once.",
        result=Estimate.Result.CODE_3,
        prices=16,
    ),
    Story(
        "Haval", "Jolion", "1.5T Luxury", 2022, "Hamilton white",
        Look("#e3e4e0", "wagon", "BX 09 TT MP", "LGWEF4A54NH622018", "GW4B15C 90217", 52_607), 301_000,
        "Protea Mutual Insurance", "Lowveld Autobody", "Zanele Khumalo", "White River", "White River, R40",
        "A branch fell on the left rear in a storm.",
        Damage.Kind.WEATHER,
    ),
    Story(
        "Nissan", "NP200", "1.6i base", 2017, "Kalahari gold",
        Look("#a98b53", "bakkie", "CEM 40172", "ADNUSN1D5U0138846", "K7M D118275", 164_880), 132_000,
        "Karoo Short-Term", "Boland Panel and Paint", "Willem Jacobs", "Worcester", "Church Street, Worcester",
        "Reversed against a loading bay and struck on the left by the truck beside it.",
        result=Estimate.Result.CODE_2,
        prices=2,
    ),
)  # fmt: skip

# Process type, part type, description, part price, strip hours, labour hours, panels, outwork, betterment on the part.
LINES = (
    ("N", "OEM", "Rear bumper, chrome", "6842.35", "1.20", "0.50", "0", "0", "0"),
    ("N", "OEM", "Tail lamp, left", "3418.90", "0.40", "0", "0", "0", "0"),
    ("N", "ALT", "Bumper bracket, left", "486.20", "0", "0.30", "0", "0", "0"),
    ("N", "OEM", "Rear door shell, left", "11260.00", "2.50", "1.80", "1.50", "0", "0"),
    ("N", "2ND", "Door trim, left rear", "1450.00", "0.60", "0", "0", "0", "0"),
    ("N", "ALT", "Tyre, left rear", "2895.00", "0.50", "0", "0", "0", "40"),
    ("N", "OEM", "Wheel arch moulding, left rear", "1287.45", "0.30", "0", "0.25", "0", "0"),
    ("N", "OEM", "Clips and fasteners, set", "218.60", "0", "0", "0", "0", "0"),
    ("R", "", "Quarter panel, left", "0", "2.00", "6.50", "2.00", "0", "0"),
    ("R", "", "Tailgate, lower left corner", "0", "0.80", "3.20", "1.00", "0", "0"),
    ("R", "", "Sill, left", "0", "0.50", "2.40", "0.50", "0", "0"),
    ("R", "", "Chassis leg, left rear: pull and measure", "0", "1.00", "4.00", "0", "0", "0"),
    ("P", "", "Rear door, left", "0", "0", "0", "1.00", "0", "0"),
    ("P", "", "Quarter panel, left", "0", "0.40", "0", "1.50", "0", "0"),
    ("P", "", "Tailgate", "0", "0.40", "0", "1.00", "0", "0"),
    ("B", "", "Front door, left", "0", "0.30", "0", "0.50", "0", "0"),
    ("B", "", "Roof rail, left", "0", "0.20", "0", "0.25", "0", "0"),
    ("A", "", "Four-wheel alignment", "0", "0", "1.20", "0", "0", "0"),
    ("A", "", "Headlamps, set", "0", "0", "0.40", "0", "0", "0"),
    ("O", "", "Park sensors: calibrate", "0", "0", "0", "0", "1250.00", "0"),
    ("O", "", "Towing to the repairer", "0", "0", "0", "0", "1875.00", "0"),
    ("O", "", "Diagnostic scan, before and after", "0", "0", "0", "0", "980.00", "0"),
)

TYRE_SIZES = {"bakkie": "265/65 R17 112S", "wagon": "235/60 R18 103V", "hatch": "185/60 R15 84H"}
TYRES = (
    (Tyre.Position.RIGHT_FRONT, "5.8", Tyre.Condition.GOOD, ""),
    (Tyre.Position.RIGHT_REAR, "5.1", Tyre.Condition.GOOD, ""),
    (Tyre.Position.LEFT_REAR, "4.8", Tyre.Condition.REPLACE, "Cut in the wall, from this incident"),
    (Tyre.Position.LEFT_FRONT, "5.6", Tyre.Condition.GOOD, ""),
    (Tyre.Position.SPARE, "2.2", Tyre.Condition.FAIR, "Other make, older"),
)

# Kind, name, condition, value.
ACCESSORIES = (
    (Accessory.Kind.TOW_BAR, "", Accessory.Condition.GOOD, "3850.00"),
    (Accessory.Kind.MAGS, "", Accessory.Condition.FAIR, "9600.00"),
    (Accessory.Kind.PARK_SENSORS, "", Accessory.Condition.DAMAGED, "2400.00"),
    (Accessory.Kind.NUDGE_BAR, "", Accessory.Condition.EXCELLENT, "5200.00"),
    (Accessory.Kind.CUSTOM, "Dash camera, front and rear", Accessory.Condition.GOOD, "4750.00"),
)

DAMAGE = (
    (
        Damage.Area.NON_STRUCTURAL,
        Damage.Severity.MODERATE,
        "Left rear",
        "Rear door dented along the crease, quarter panel pushed in, bumper cracked through, tail lamp broken.",
    ),
    (
        Damage.Area.STRUCTURAL,
        Damage.Severity.MINOR,
        "Left rear chassis leg",
        "Out by 6 mm, without a fold. It can be pulled on the bench and measured.",
    ),
    (
        Damage.Area.NON_STRUCTURAL,
        Damage.Severity.MINOR,
        "Left rear wheel",
        "Rim scuffed, tyre cut in the wall.",
    ),
)
