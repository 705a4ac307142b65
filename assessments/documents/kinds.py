"""The kinds of document: one entry for each, in the order in which they are made. All other modules read this list.

A new kind needs an entry here, a generator, a template, and a migration: the new choices of ``Document.kind``, then
``RunPython(open_slots("the-slug"))``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings
from django.utils.module_loading import import_string

PDF, ZIP = "application/pdf", "application/zip"


@dataclass(frozen=True, slots=True)
class Kind:
    # The name in addresses, in ids of elements and in the database.
    slug: str
    # The name in JSON.
    key: str
    label: str
    # The end of a download's name, after the assessment's number.
    file_name: str
    # The dotted path of the function that makes the file. The fork server imports its module beforehand.
    generator: str
    # The parts of the snapshot that the document prints, each with the printed names; without names, the whole part.
    # Nothing else is read for the document, and no other change puts the document out of date.
    prints: Mapping[str, str]
    media_type: str = PDF
    # The most photos that the document shows, of the damage or else of the outside. None: all photos.
    most_photos: int | None = None
    # Whether the document needs the photos as they were uploaded. Otherwise it needs their print images.
    packs_originals: bool = False
    # The rows whose number measures the work: "photos" or "lines". Empty: the work is always the same.
    work: str = ""

    @property
    def extension(self) -> str:
        return self.file_name.rpartition(".")[2]

    @property
    def opens(self) -> bool:
        return self.media_type == PDF

    @property
    def short_label(self) -> str:
        """The name in messages of the JSON stream, such as "Report" of "Assessment Report"."""
        return self.label.removeprefix("Assessment ")


# The head of every PDF prints these parts.
HEAD = {
    "number": "",
    "office": "name registration address phone email accent_colour",
    "vehicle": "year make model variant registration",
}
# The report and the estimate both print these parts.
CLAIM = {
    **HEAD,
    "office": "",
    "report_number": "",
    "currency": "",
    "claim": "",
    "client": "name contact phone email borderline_percent",
    "inspection": "",
}

REPORT = Kind(
    slug="report",
    key="report",
    label="Assessment Report",
    file_name="Report.pdf",
    generator="assessments.printing.report.generate",
    most_photos=6,
    prints={
        **CLAIM,
        "client": "",
        "insured": "",
        "incident": "",
        "vehicle": "",
        "tyres": "",
        "accessories": "",
        "damage": "",
        "valuation": "",
        "estimate": "repairer.name result result_key sundries_percent vat_percent figures",
        "photos": "caption sha256",
        "notes": "",
    },
)
ESTIMATE = Kind(
    slug="estimate",
    key="estimate",
    label="Estimate",
    file_name="Estimate.pdf",
    generator="assessments.printing.estimate.generate",
    work="lines",
    prints={
        **CLAIM,
        "insured": "name",
        "incident": "happened_on place description",
        "vehicle": (
            "year make model variant registration vin engine_number colour odometer transmission licence_expires_on"
        ),
        "damage": "kind",
        "valuation": "retail adjustment adjustment_percent condition_amount extras",
        "estimate": "",
    },
)
PHOTOS_PDF = Kind(
    slug="photos-pdf",
    key="photosPdf",
    label="Photos PDF",
    file_name="Photos.pdf",
    generator="assessments.printing.photos_pdf.generate",
    work="photos",
    prints={
        **HEAD,
        "claim": "number",
        "client": "name",
        "insured": "name",
        "inspection": "assessor inspected_on place",
        "photos": "section_label caption name sha256 problem",
    },
)
PHOTOS_ZIP = Kind(
    slug="photos-zip",
    key="photosZip",
    label="Photos ZIP",
    file_name="Photos.zip",
    generator="assessments.printing.photos_zip.generate",
    media_type=ZIP,
    packs_originals=True,
    work="photos",
    prints={"photos": "folder caption extension size sha256"},
)

KINDS: dict[str, Kind] = {
    kind.slug: kind
    for kind in (REPORT, ESTIMATE, PHOTOS_PDF, PHOTOS_ZIP, *map(import_string, settings.EXTRA_DOCUMENT_KINDS))
}
SLUGS = list(KINDS)
CHOICES = [(kind.slug, kind.label) for kind in KINDS.values()]
# The modules that a worker's fork server imports before there is a document to make.
PRELOAD = [kind.generator.rpartition(".")[0] for kind in KINDS.values()]


def percent_done(ended: int, running: int = 0, kinds: int = len(KINDS)) -> int:
    """Return the done share of the work in per cent. Each document has an equal share; a failed one counts as done.

    ``running`` is the sum of the per cents of running documents, 99 at most for each, so 100 means that all have ended.
    """
    return (100 * ended + running) // kinds
