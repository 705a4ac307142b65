"""Papers with all that is hard to print and to read out: the cases of the tests of the archive, and of `make paper`."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import cache, partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.utils.module_loading import import_string

from assessments.documents import snapshot
from assessments.documents.kinds import KINDS
from assessments.models import Accessory, Damage, Estimate, EstimateLine, Office, Photo, Tyre, Vehicle
from assessments.operations.demo.content import WITHOUT_PHOTOS, make_assessment
from assessments.operations.demo.pictures import picture
from assessments.printing.data import PhotoItem, Snapshot
from tests.cast import row
from tests.site.test_paper import ESTIMATE, FULL, LINES

# A text in each script, with the language that it is read in when people type English.
SCRIPTS = {
    "Arabic": (
        "\u0627\u0644\u0628\u0627\u0628 \u0627\u0644\u0623\u0645\u0627\u0645\u064a \u0645\u062e\u062f\u0648\u0634",
        "und-Arab",
    ),
    "Hebrew": (
        "\u05d4\u05d3\u05dc\u05ea \u05d4\u05e7\u05d3\u05de\u05d9\u05ea \u05e9\u05e8\u05d5\u05d8\u05d4",
        "und-Hebr",
    ),
    "Chinese": ("\u5de6\u524d\u95e8\u522e\u4f24", "und-Hani"),
    "Hangul": ("\uc67c\ucabd \uc55e\ubb38 \uae01\ud798", "und-Hang"),
    "Devanagari": (
        "\u0938\u093e\u092e\u0928\u0947 \u0915\u093e \u0926\u093f\u0930\u0935\u093e\u091c\u093c\u093e",
        "und-Deva",
    ),
}
EMOJI = "Cracked \U0001f697\U0001f4a5 glass \U0001f527"
# The first letter is for private use, the second has no meaning yet: no font has them.
UNKNOWN = "Logo \ue123 and \u0378 here"
WORD = "donaudampfschiff" * 562 + "fahrtgesellschaft"[:8]
PROSE = "The rails are straight, the boot floor is not. " * 40
TEXTS = [*(text for text, _ in SCRIPTS.values()), f"Left door: {SCRIPTS['Arabic'][0]} (left)", EMOJI, UNKNOWN]

LEAST = Snapshot(
    kind="report",
    title="Assessment Report",
    number="ASM-2026-002",
    version=1,
    made_on=FULL.made_on,
    office=row(Office, name="Bay Assessors"),
    claim=FULL.claim.changed(number="", policy_number="", excess=Decimal(0)),
    insured=FULL.insured.changed(name="", address=""),
    incident=FULL.incident.changed(happened_on=None, place="", description=""),
    inspection=FULL.inspection,
    vehicle=row(Vehicle, make="Toyota", model="Corolla"),
)


def of_kind(kind: str, content: Snapshot, **values: Any) -> Snapshot:
    return replace(content, kind=kind, title=KINDS[kind].label, **values)


def with_lines(count: int, dear: bool = False) -> Snapshot:
    """Return an estimate of many lines; when it is ``dear``, its pages are broad."""
    assert ESTIMATE.estimate is not None
    lines = [
        line.changed(description=f"{line.description} {number}")
        for number, line in enumerate(islice(cycle(LINES), count))
    ]
    if dear:
        lines[-2] = lines[-2].changed(part_price=Decimal("1234567.00"))
    order = sorted(lines, key=lambda line: "NRPBAO".index(line.process_type))
    return replace(ESTIMATE, estimate=ESTIMATE.estimate.changed(lines=tuple(order)))


@cache
def small(number: int) -> bytes:
    return picture(400, 300, seed=number)


def photos(folder: Path, captions: list[str], broken: int = 0, sections: int = 3) -> tuple[PhotoItem, ...]:
    """Return photos with these captions; the last ``broken`` ones cannot be read."""
    found = []
    names = [Photo.Section.EXTERIOR_360, Photo.Section.DAMAGE, Photo.Section.ACCESSORIES][:sections]
    for number, caption in enumerate(captions):
        section = names[number * len(names) // len(captions)]
        original = folder / f"original-{number}.jpg"
        original.write_bytes(b"no photo" if number >= len(captions) - broken else small(number % 8))
        found.append(
            PhotoItem(
                section=str(section),
                section_label=section.label,
                folder=section.folder,
                position=number,
                caption=caption,
                name=f"IMG_{number:04}.jpg",
                extension="jpg",
                size=original.stat().st_size,
                sha256=f"{number:064}",
                original=original,
            )
        )
    return tuple(found)


def captions(count: int) -> list[str]:
    """Return captions; each third photo has none."""
    return [f"View {number}" if number % 3 else "" for number in range(1, count + 1)]


def in_all_scripts(kind: str, folder: Path) -> Snapshot:
    assert ESTIMATE.estimate is not None
    everywhere = "\n\n".join(TEXTS)
    return of_kind(
        kind,
        FULL,
        notes=everywhere,
        office=row(Office, name="Bay Assessors", address="12 Marine Drive\nDurban", terms="\n".join(TEXTS)),
        insured=FULL.insured.changed(name=SCRIPTS["Arabic"][0], address="\n".join(TEXTS)),
        incident=FULL.incident.changed(description=everywhere, place=SCRIPTS["Hebrew"][0]),
        vehicle=FULL.vehicle.changed(model=SCRIPTS["Hangul"][0], condition_notes=everywhere),  # type: ignore[union-attr]
        tyres=tuple(row(Tyre, position="Spare", make=text, notes=text) for text in TEXTS),
        accessories=tuple(row(Accessory, name=text, value=Decimal(1)) for text in TEXTS),
        damage=tuple(
            row(Damage, kind="Collision", severity="Severe", location=text, description=text) for text in TEXTS
        ),
        estimate=ESTIMATE.estimate.changed(
            notes=everywhere,
            lines=tuple(
                row(EstimateLine, process_type="R", description=text, labour_hours=Decimal(1)) for text in TEXTS
            ),
        ),
        photos=()
        if kind == "estimate"
        else photos(folder, TEXTS, sections=2)[-6:]
        if kind == "report"
        else photos(folder, TEXTS),
    )


def with_a_word(kind: str, folder: Path) -> Snapshot:
    assert ESTIMATE.estimate is not None
    line = row(EstimateLine, process_type="R", description=WORD[:200], labour_hours=Decimal(1))
    return of_kind(
        kind,
        FULL,
        notes=WORD,
        incident=FULL.incident.changed(description=WORD),
        insured=FULL.insured.changed(address=WORD),
        damage=(row(Damage, kind="Collision", severity="Severe", location="left", description=WORD),),
        estimate=ESTIMATE.estimate.changed(notes=WORD, lines=(line,)),
        photos=() if kind == "estimate" else photos(folder, [WORD[:200], WORD[:200]], sections=1),
    )


def with_photos(count: int, broken: int = 0) -> Callable[[Path], Snapshot]:
    return lambda folder: of_kind("photos-pdf", FULL, photos=photos(folder, captions(count), broken))


LONG_TERMS = row(Office, name="Bay Assessors", terms="\n".join(f"{number}. {PROSE}" for number in range(1, 9)))
CASES: dict[str, Callable[[Path], Snapshot]] = {
    "least-report": lambda folder: LEAST,
    "least-estimate": lambda folder: of_kind(
        "estimate", LEAST, estimate=row(Estimate, repairer=None, result_key="", lines=LINES[:1])
    ),
    "report": lambda folder: replace(FULL, photos=photos(folder, captions(6), sections=1)),
    "report-unreadable": lambda folder: replace(FULL, photos=photos(folder, captions(4), broken=2, sections=1)),
    "report-terms": lambda folder: replace(FULL, office=LONG_TERMS),
    "report-prose": lambda folder: replace(FULL, notes="\n\n".join([PROSE] * 12), damage=FULL.damage * 30),
    "estimate": lambda folder: ESTIMATE,
    "estimate-120": lambda folder: with_lines(120),
    "estimate-120-broad": lambda folder: with_lines(120, dear=True),
    "photos-1": with_photos(1),
    "photos-unreadable": with_photos(9, broken=4),
    "photos-60": with_photos(60),
    **{f"{kind}-scripts": partial(in_all_scripts, kind) for kind in ("report", "estimate", "photos-pdf")},
    **{f"{kind}-word": partial(with_a_word, kind) for kind in ("report", "estimate", "photos-pdf")},
}
HEAVY: dict[str, Callable[[Path], Snapshot]] = {
    "estimate-300": lambda folder: with_lines(300),
    "estimate-300-broad": lambda folder: with_lines(300, dear=True),
    "photos-200": with_photos(200),
}


def printed(content: Snapshot, folder: Path) -> Path:
    """Print a paper as a worker's child does; return the place of the file."""
    path: Path = import_string(KINDS[content.kind].generator)(content, folder, lambda progress, message: None).path
    return path


def of_the_demo() -> dict[str, Callable[[Path], Snapshot]]:
    """Make the assessments of the demo in the database, and return their papers."""
    assessor = User.objects.create_user("assessor", first_name="Priya", last_name="Nkosi")
    found = {}
    for number in range(3):
        assessment = make_assessment(assessor, 0 if number == WITHOUT_PHOTOS else 4, 0.1, number)
        for kind in KINDS.values():
            if kind.opens and (kind.work != "photos" or number != WITHOUT_PHOTOS):
                read = snapshot.with_data(kind).get(pk=assessment.pk)
                taken = snapshot.of(read, kind, Office.current(), version=1)
                found[f"demo-{number + 1}-{kind.slug}"] = partial(_as_it_is, taken)
    return found


def _as_it_is(content: Snapshot, folder: Path) -> Snapshot:
    return content
