"""Documents in the terminal: ask for an assessment's documents and follow them."""

import logging
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connection
from django.template.defaultfilters import filesizeformat
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from assessments.documents import queue, tasks, worker
from assessments.documents.kinds import SLUGS
from assessments.models import Assessment, Batch, Document, Heartbeat
from assessments.models.slots import DocumentQuerySet
from assessments.words import ready

# Seconds between two checks of the documents.
LOOK = 0.2
# The exit code that a shell gives to a command that Ctrl-C has ended.
INTERRUPTED = 130


def generate(assessment: Assessment, only: list[str] | None, inline: bool) -> None:
    """Ask for documents and follow them to their end. Raises SystemExit when not all were made."""
    # The encoding of a terminal or a pipe may lack letters of a name or a path.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    console = Console(highlight=False, soft_wrap=True)
    batch, asked = tasks.ask(assessment, only, origin="command")
    assert batch
    if not asked:
        console.print(f"The documents of {assessment} are being made already; following them.")
    documents = Document.objects.filter(assessment=assessment, kind__in=only or SLUGS)
    try:
        run(documents, assessment, inline, console)
    except KeyboardInterrupt:
        console.print("No longer followed here. What is not made yet is left to a worker.")
        raise SystemExit(INTERRUPTED) from None
    conclude(documents, batch, console)


def run(documents: DocumentQuerySet, assessment: Assessment, inline: bool, console: Console) -> None:
    """Have the documents made, and show their progress until none of them waits or runs."""
    over = threading.Event()
    # Documents are made in this thread, where Ctrl-C interrupts: the document in the making is given back.
    with ThreadPoolExecutor(max_workers=1) as pool:
        try:
            if not inline:
                tasks.advance.enqueue(assessment.pk)
                if not Heartbeat.alive(Heartbeat.Role.WORKER):
                    console.print("No worker is running; this starts as soon as one does (or use --inline).")
            followed = pool.submit(follow, documents, console, over)
            if inline:
                make(documents, assessment, console)
            followed.result()
        finally:
            over.set()


def make(documents: DocumentQuerySet, assessment: Assessment, console: Console) -> None:
    if console.is_terminal:
        # Lines of the log would break up the progress bars.
        logging.getLogger(worker.__name__).setLevel(logging.WARNING)
    try:
        while documents.active().exists():
            if not worker.advance(assessment.pk):
                # A worker holds the document, or held it and was killed.
                queue.recover()
                time.sleep(LOOK)
    finally:
        Heartbeat.stop()


def follow(documents: DocumentQuerySet, console: Console, over: threading.Event) -> None:
    """Show the documents' progress until none of them waits or runs; bars in a terminal, else lines."""
    with Progress(
        TextColumn("{task.description:<18}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[says]}", markup=False),
        console=console,
        disable=not console.is_terminal,
    ) as bars:
        try:
            bar = {document.kind: bars.add_task(document.get_kind_display(), says="") for document in documents.all()}
            told: dict[str, str] = {}
            while not over.is_set():
                found = list(documents.all())
                for document in found:
                    bars.update(bar[document.kind], completed=document.progress or 0, says=says(document))
                    if not console.is_terminal and told.get(document.kind) != document.status:
                        console.print(f"{document.get_kind_display()}: {says(document)}", markup=False)
                    told[document.kind] = document.status
                if not any(document.active for document in found):
                    return
                over.wait(LOOK)
        finally:
            connection.close()


def says(document: Document) -> str:
    return document.failure or document.message or document.get_status_display()


def conclude(documents: DocumentQuerySet, batch: Batch, console: Console) -> None:
    """Print the outcome of each document. Raises SystemExit when this batch has not made all documents."""
    made = 0
    found = documents.select_related("current")
    for document in found:
        version = document.current
        # A document that was cancelled still has the version of an older batch.
        if document.status == Document.Status.SUCCESS and version and (version.batch_id or 0) >= batch.pk:
            made += 1
            storage: Any = version.file.storage
            size = filesizeformat(version.size).replace("\N{NO-BREAK SPACE}", " ")
            outcome = f"{storage.place(version.file.name)} ({size})"
        else:
            outcome = document.failure if (document.batch_id or 0) >= batch.pk else "cancelled"
        console.print(f"{document.get_kind_display()}: {outcome}", markup=False)
    console.print(ready(made, len(found)))
    if made < len(found):
        raise SystemExit(1)
