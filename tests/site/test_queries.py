"""The queries that come again and again use indexes: no table that grows with the history is read as a whole.

This is a test on PostgreSQL, which says by EXPLAIN how it would read tables of many rows.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from assessments.documents import mails, queue, tasks, worker
from assessments.models import Assessment, Attempt, Batch, Document, Heartbeat, Photo, Tally
from assessments.operations.metrics import SiteCollector
from assessments.operations.prune import prune
from assessments.views.pages import PAGE, by_urgency
from tests.running import Site

# Rows of the history. EXPLAIN gives the same plans for 1,000,000.
ATTEMPTS = 20_000
GROWING = ("assessment", "attempt", "batch", "document", "documentversion", "photo", "auditentry")
WHOLE = re.compile(rf"Seq Scan on assessments_({'|'.join(GROWING)})\b")
FILL = """
INSERT INTO assessments_assessment (number, assessor_id, status, notes, claim_number, policy_number, excess,
        insured_name, insured_phone, insured_email, insured_address, incident_place, incident_description, driver_name,
        police_reference, inspection_place, revision)
    SELECT 'ASM-2025-' || to_char(n, 'FM0000000'), (SELECT min(id) FROM auth_user), 'in_progress', '', '', '', 0,
        '', '', '', '', '', '', '', '', '', 0 FROM generate_series(1, {count} / 4) n;
INSERT INTO assessments_batch (assessment_id, requested_by_id, origin)
    SELECT id, assessor_id, 'page' FROM assessments_assessment WHERE number LIKE 'ASM-2025-%';
INSERT INTO assessments_document (assessment_id, batch_id, kind, position, status, attempts, progress, message, error,
        reference, revision, outdated_by, counted_as, ended_at)
    SELECT assessment_id, id, kind, position, CASE WHEN id % 50 = 0 THEN 'error' ELSE 'success' END, 1, 100, '', '',
        '', 0, '', CASE WHEN id % 1000 = 0 THEN '' WHEN id % 50 = 0 THEN 'error' ELSE 'success' END,
        now() - id * interval '1 hour' FROM assessments_batch,
        unnest(ARRAY['report', 'estimate', 'photos-pdf', 'photos-zip']) WITH ORDINALITY AS kinds (kind, position);
INSERT INTO assessments_attempt (document_id, batch_id, token, worker, outcome, error, units, seconds, counted,
        ended_at)
    SELECT id, batch_id, gen_random_uuid(), 'w', CASE WHEN id % 5 = 0 THEN 'lost' ELSE 'success' END, '', 1, 1,
        id % 1000 <> 0, ended_at FROM assessments_document WHERE batch_id IS NOT NULL;
INSERT INTO assessments_documentversion (document_id, number, attempt_id, batch_id, file, size, sha256, message,
        seconds)
    SELECT document_id, 1, id, batch_id, 'documents/x/' || token, 1, '', '', 1 FROM assessments_attempt
        WHERE outcome = 'success';
INSERT INTO assessments_photo (assessment_id, section, position, caption, original, name, extension, size, sha256,
        state, print_image, thumbnail, problem)
    SELECT id, 'damage', 1, '', 'photos/' || id, '', 'jpg', 1, '', 'ready', '', '', '' FROM assessments_assessment;
ANALYZE;
"""


class Seen(list[tuple[str, Any]]):
    """The statements of a block, with their parameters."""

    def __call__(self, execute: Callable[..., Any], statement: str, values: Any, many: bool, context: Any) -> Any:
        if not many and re.match(r"\(*(SELECT|UPDATE|DELETE)", statement):
            self.append((statement, values))
        return execute(statement, values, many, context)


def work() -> dict[str, Callable[[], object]]:
    """Return the work that is done again and again: by the sweep, the workers, the relays, and for each scrape."""
    attempt = queue.claim(Assessment.objects.order_by("pk")[0].pk)
    assert attempt
    return {
        "recovering": tasks.recover,
        "mailing fresh failures": lambda: mails.report_failures(mails.FRESH),
        "mailing failures": mails.report_failures,
        "removing lost files": Attempt.remove_lost_files,
        "a sign of life": lambda: Heartbeat.beat(Heartbeat.Role.WORKER),
        "whose turn it is": queue.in_turn,
        "the expected time": lambda: worker.expected_seconds(attempt, 1),
        "progress": lambda: attempt.report(50, "Page 3 of 7"),
        "pruning": prune,
        "a scrape of the metrics": lambda: list(SiteCollector().collect()),
        "counting for the metrics": Tally.count_changes,
        "the list of all": lambda: list(first_page(Assessment.objects.all())),
        "the list of one assessor": lambda: list(first_page(Assessment.objects.filter(assessor=1))),
    }


def first_page(assessments: Any) -> Any:
    return by_urgency(assessments)[:PAGE]


def plans(count: int) -> Iterator[tuple[str, str, str, float]]:
    """Yield each statement of the work with its plan and the milliseconds that it takes, beside a long history.

    Runs within the environment of a site (``manage.py shell``), and leaves its database as it was.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(FILL.format(count=count))
        first = Assessment.objects.order_by("pk")[0]
        Document.objects.filter(assessment=first).update(status="idle")
        queue.request(first, by=first.assessor)
        lost = Attempt.objects.filter(outcome="lost").order_by("-pk")[:3]
        Attempt.objects.filter(pk__in=[attempt.pk for attempt in lost]).update(ended_at=timezone.now())
        # A photo waits, and a batch ended just now with failures that nobody was told about.
        Photo.objects.filter(pk=Photo.objects.order_by("-pk")[0].pk).update(state="new")
        failed = Document.objects.failed().order_by("-pk")[0]
        Document.objects.filter(pk=failed.pk).update(ended_at=timezone.now())
        Batch.objects.filter(pk=failed.batch_id).update(mailed_at=None)
        for name, do in work().items():
            seen = Seen()
            with connection.execute_wrapper(seen):
                do()
            for statement, values in seen:
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute(f"EXPLAIN (ANALYZE, FORMAT TEXT) {statement}", values)
                    plan = "\n".join(line for (line,) in cursor.fetchall())
                    transaction.set_rollback(True)
                took = re.search(r"Execution Time: ([\d.]+)", plan)
                yield name, statement, plan, float(took[1]) if took else 0.0
        transaction.set_rollback(True)


def whole_tables(count: int) -> str:
    """Return JSON: the work and the plan of each statement that reads a growing table as a whole; how many others."""
    found, others = [], 0
    for name, statement, plan, _ in plans(count):
        if WHOLE.search(plan):
            found.append(f"{name}:\n{statement}\n{plan}")
        else:
            others += 1
    return json.dumps([found, others])


@pytest.fixture(scope="session")
def database() -> str:
    return "postgresql"


def test_no_work_that_comes_again_and_again_reads_a_growing_table_as_a_whole(site: Site) -> None:
    module = f"tests.site.{Path(__file__).stem}"
    found, others = site.python(f"from {module} import whole_tables; print(whole_tables({ATTEMPTS}))")
    assert not found, "\n\n".join(found)
    assert others > 20
