"""Asks for an assessment's documents from the terminal and follows them."""

import time
from argparse import ArgumentParser
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.template.defaultfilters import filesizeformat
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from assessments import tasks, worker
from assessments.documents.kinds import SLUGS
from assessments.models import Assessment, Document, Heartbeat

# Seconds between two looks at the documents.
LOOK = 0.2


class Command(BaseCommand):
    help = "Asks for the documents of an assessment and follows them; ends with 0 when all were made, 1 otherwise."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("number", help="The assessment, such as ASM-2026-001.")
        parser.add_argument("--only", nargs="+", choices=SLUGS, metavar="DOCUMENT", help="Ask for these alone.")
        parser.add_argument("--inline", action="store_true", help="Make them here, without a worker.")

    def handle(self, *, number: str, only: list[str] | None, inline: bool, **options: Any) -> None:
        assessment = Assessment.objects.filter(number=number).first()
        if assessment is None:
            raise CommandError(f"There is no assessment {number}.", returncode=2)
        _, asked = tasks.ask(assessment, only, origin="command")
        kinds = only or SLUGS
        console = Console(highlight=False, soft_wrap=True)
        if not asked:
            console.print(f"The documents of {number} are being made already; following them.")
        with making(assessment, inline):
            if not inline:
                tasks.advance.enqueue(assessment.pk)
                if not Heartbeat.alive(Heartbeat.Role.WORKER):
                    console.print("No worker is running; this starts as soon as one does (or use --inline).")
            documents = follow(assessment, kinds, console)
        self.conclude(documents, console)

    def conclude(self, documents: list[Document], console: Console) -> None:
        made = 0
        for document in documents:
            version = document.current
            if document.status == Document.Status.SUCCESS and version:
                made += 1
                storage: Any = version.file.storage
                place = storage.place(version.file.name)
                console.print(f"{document.get_kind_display()}: {place} ({filesizeformat(version.size)})", markup=False)
            else:
                console.print(f"{document.get_kind_display()}: {document.error or 'cancelled'}", markup=False)
        console.print(f"{made} of {len(documents)} documents ready")
        if made < len(documents):
            raise SystemExit(1)


@contextmanager
def making(assessment: Assessment, inline: bool) -> Iterator[None]:
    """With ``inline``, make the assessment's documents in a thread of this process while the block runs."""
    if not inline:
        yield
        return
    with ThreadPoolExecutor(max_workers=1) as pool:
        work = pool.submit(make_all, assessment.pk)
        yield
        work.result()


def make_all(assessment_id: int) -> None:
    documents = Document.objects.filter(assessment_id=assessment_id)
    try:
        while documents.active().exists():
            if not worker.advance(assessment_id):
                # A worker has it, or had it and was killed.
                Document.objects.recover()
                time.sleep(LOOK)
    finally:
        connection.close()


def follow(assessment: Assessment, kinds: list[str], console: Console) -> list[Document]:
    """Show the documents' progress until none of them waits or runs; bars in a terminal, else lines."""
    with Progress(
        TextColumn("{task.description:<18}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[says]}", markup=False),
        console=console,
        disable=not console.is_terminal,
    ) as bars:
        tasks_of: dict[str, TaskID] = {}
        told: dict[str, str] = {}
        while True:
            documents = list(assessment.documents.filter(kind__in=kinds).select_related("current__document"))
            for document in documents:
                if document.kind not in tasks_of:
                    tasks_of[document.kind] = bars.add_task(document.get_kind_display(), total=100, says="")
                bars.update(tasks_of[document.kind], completed=document.progress or 0, says=says(document))
                if not console.is_terminal and told.get(document.kind) != document.status:
                    console.print(f"{document.get_kind_display()}: {says(document)}", markup=False)
                told[document.kind] = document.status
            if not any(document.active for document in documents):
                return documents
            time.sleep(LOOK)


def says(document: Document) -> str:
    return document.error or document.message or document.get_status_display()
