"""The searches themselves, ours and a peer: the usual way with Django, every word in any column, with ``icontains``.

Runs within the environment of a site (``manage.py shell``).
"""

import json
import statistics
import time
from collections.abc import Callable

from django.db import connection
from django.db.models import Q, QuerySet

from assessments.models import Assessment, Vehicle
from assessments.views.pages import PAGE, by_urgency
from tests import cast

COLUMNS = (
    "number", "report_number", "claim_number", "policy_number", "insured_name", "client__name",
    "vehicle__registration", "vehicle__vin", "vehicle__engine_number", "vehicle__make", "vehicle__model",
    "vehicle__variant",
)  # fmt: skip
# Texts that find the assessment in the middle. The plate is stored as CA 050-000, where the peer finds it alone.
TEXTS = {
    "VIN": "AHTVIN{0:09}",
    "plate": "CA{0:06}",
    "policy": "POL-{0:07}",
    "report number": "REP-2026-{0:06}",
    "client": "Insurer aahh",
    "claim and make": "KI-{0:07} toyota",
    "name of some": "person 1219",
    "make of a quarter": "toyota",
    "two makes": "toyota ford",
    "nothing found": "zzzz",
    "list without a search": "",
}
FILL = """
INSERT INTO assessments_client (name, contact, phone, email, borderline_percent, total_percent, salvage_percent)
    SELECT 'Insurer ' || translate(to_char(n, 'FM0000'), '0123456789', 'abcdefghij'), '', '', '',
        55, 70, 30 FROM generate_series(1, 1000) n;
INSERT INTO assessments_assessment (number, report_number, created_at, assessor_id, client_id, status, notes,
        claim_number, policy_number, excess, insured_name, insured_phone, insured_email, insured_address,
        incident_place, incident_description, driver_name, police_reference, inspection_place, revision, standing)
    SELECT 'ASM-2025-' || to_char(n, 'FM000000'), 'REP-2026-' || to_char(n, 'FM000000'),
        now() - n * interval '30 minutes', {person},
        (SELECT min(id) FROM assessments_client WHERE name LIKE 'Insurer%') + n % 1000,
        CASE n % 3 WHEN 0 THEN 'in_progress' ELSE 'archived' END, '',
        'KI-' || to_char(n, 'FM0000000'), 'POL-' || to_char(n, 'FM0000000'), 0, 'Person ' || n % 5000,
        '', '', '12 Protea Street', 'N2', repeat('Hit from behind. ', 10), '', '', '', 0,
        CASE WHEN n % 101 = 0 THEN 1 WHEN n % 11 = 0 THEN 3 ELSE 4 END
    FROM generate_series(1, {count}) n;
INSERT INTO assessments_vehicle (assessment_id, make, model, variant, registration, vin, engine_number, colour,
        transmission, condition, condition_notes, service_history, interior_condition, interior_notes, srs, steering,
        brakes, handbrake, mechanical_notes)
    SELECT id,
        CASE substr(number, 10)::int % 4 WHEN 0 THEN 'Toyota' WHEN 1 THEN 'Ford' WHEN 2 THEN 'VW' ELSE 'Isuzu' END,
        'Model', '', 'CA ' || substr(number, 10, 3) || '-' || substr(number, 13), 'AHTVIN000' || substr(number, 10),
        '', '', '', '', '', 'unknown', '', '', '', '', '', '', ''
    FROM assessments_assessment WHERE number LIKE 'ASM-2025-%';
INSERT INTO assessments_document (assessment_id, kind, position, status, attempts, progress, message, error, reference,
        revision, outdated_by)
    SELECT id, kind, position, CASE standing WHEN 1 THEN 'error' WHEN 3 THEN 'idle' ELSE 'success' END,
        0, 0, '', '', '', 0, '' FROM assessments_assessment,
        unnest(ARRAY['report', 'estimate', 'photos-pdf', 'photos-zip']) WITH ORDINALITY AS kinds (kind, position)
    WHERE number LIKE 'ASM-2025-%';
ANALYZE;
"""


def fill(count: int) -> None:
    """Make the assessments, all of one assessor: a third is open, and some of those have failed or no documents."""
    person = cast.make_person("office")
    with connection.cursor() as cursor:
        cursor.execute(FILL.format(person=person.pk, count=count))
        # Without this, the first searches would also do the work of autovacuum.
        cursor.execute("VACUUM ANALYZE")


def by_columns(text: str) -> QuerySet[Assessment]:
    found = Assessment.objects.all()
    for word in text.split():
        found = found.filter(Q(*((f"{column}__icontains", word) for column in COLUMNS), _connector=Q.OR))
    return found


def ours(text: str) -> QuerySet[Assessment]:
    return by_urgency(Assessment.objects.all()).search(text)[0]


def theirs(text: str) -> QuerySet[Assessment]:
    return by_urgency(by_columns(text))  # type: ignore[arg-type]


def seconds_of(search: Callable[[str], QuerySet[Assessment]], text: str, runs: int) -> float:
    """Return the median of the seconds that the queries of a search take: one page of the list, and the count."""

    def once() -> float:
        begun = time.perf_counter()
        found = search(text)
        assert len(list(found[:PAGE])) == min(found.count(), PAGE)
        return time.perf_counter() - begun

    # The first search plans the statements.
    return statistics.median([once() for _ in range(runs + 1)][1:])


def measure(name: str, count: int, runs: int) -> str:
    """Return JSON: the seconds of our search for one kind of text, and of the peer's."""
    words = plate = TEXTS[name].format(count // 2)
    if name == "plate":
        plate = Vehicle.objects.values_list("registration", flat=True).get(searched__contains=words.lower())
    return json.dumps([seconds_of(ours, words, runs), seconds_of(theirs, plate, min(runs, 3))])
