"""The JSON stream: all documents of an assessment, asked for and followed in one response.

The response only shows the batch: a client that goes away stops nothing, and a second client that asks while the batch
runs follows the same batch to its end.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import Error
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt

from assessments.documents import tasks
from assessments.documents.kinds import KINDS, percent_done
from assessments.live.stream import event_stream, watch
from assessments.live.threads import in_own_thread, in_stream_thread
from assessments.live.viewers import TooManyStreams, Viewer
from assessments.models import Assessment, Batch, Document
from assessments.models.audit import TooManyRequests
from assessments.models.states import NotAllowed

from .access import changeable_assessment

logger = logging.getLogger(__name__)

# Seconds of silence after which a comment line shows that the stream still lives.
KEEP_ALIVE = 15.0

Result = dict[str, Any]


def refusal(status: int, message: str, **headers: str) -> JsonResponse:
    return JsonResponse({"message": message}, status=status, headers=headers)


class TokenCheck(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> JsonResponse:
        return refusal(403, "The X-CSRFToken header is missing or wrong. Reload the page, then try again.")


token_check = TokenCheck(lambda request: HttpResponse())


# Exempt only so that refusals come in this order and as JSON: the token is checked below.
@csrf_exempt
async def generate_all_documents(request: HttpRequest) -> HttpResponseBase:
    if request.method != "POST":
        return refusal(405, "Ask for documents with POST.", Allow="POST")
    user = await request.auser()
    if not user.is_authenticated:
        return refusal(401, "Sign in to generate documents.")
    # This comes before the check of the token, which would read a form, and refuse a malformed form with a page.
    if request.content_type != "application/json":
        return refusal(415, "Send the body as application/json.")
    if rejection := token_check.process_view(request, refusal, (), {}):
        return rejection
    try:
        number = assessment_id(request)
    except ValueError as error:
        return refusal(400, str(error))
    try:
        # Access is checked first, so that a viewer is only made for an assessment that the user may see.
        assessment = await in_stream_thread(changeable_assessment, user, number)
        [viewer] = watch(user, request.session.session_key or "", number)
        batch, begun, documents = await in_own_thread(ask, user, assessment)
    except Http404 as error:
        return refusal(404, str(error))
    except PermissionDenied as error:
        return refusal(403, str(error))
    except NotAllowed as error:
        return refusal(409, str(error))
    except TooManyStreams as error:
        return refusal(429, str(error))
    except TooManyRequests as error:
        return refusal(429, str(error), **{"Retry-After": str(error.RETRY_AFTER)})
    return event_stream(lines(viewer, batch, begun, documents))


def assessment_id(request: HttpRequest) -> str:
    """Return the assessment's number from the request's body. Raises ValueError that says what is wrong."""
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError, RequestDataTooBig):
        raise ValueError('The body is no JSON. Send {"assessmentId": "ASM-2026-001"}.') from None
    number = body.get("assessmentId") if isinstance(body, dict) else None
    if not isinstance(number, str) or not number:
        raise ValueError('The body has no assessmentId. Send {"assessmentId": "ASM-2026-001"}.')
    return number


def ask(user: AbstractBaseUser, assessment: Assessment) -> tuple[Batch | None, bool, list[Document]]:
    """Ask for the documents; return the batch that runs, whether this call began the batch, and the documents."""
    batch, asked = tasks.request(assessment, by=user, origin="api")
    return batch, len(asked) == len(KINDS), read(assessment.number)


def read(number: str) -> list[Document]:
    return list(
        Document.objects.filter(assessment__number=number).select_related("current", "assessment").order_by("position")
    )


async def lines(viewer: Viewer, batch: Batch | None, begun: bool, documents: list[Document]) -> AsyncIterator[str]:
    """Yield the messages, each as one ``data:`` line and a blank line, until the batch or the right to it ends."""
    account = Account(batch.pk if batch else None)
    yield data(account.opening(documents) if begun else account.joining(documents))
    async with viewer:
        while not viewer.dismissed:
            try:
                documents = await in_stream_thread(read, viewer.number)
            except Error:
                # Like the relay, wait until the database is back: the rows then show all changes.
                logger.warning("%s: the database does not answer", viewer.number, exc_info=True)
                yield ": keep-alive\n\n"
                await asyncio.sleep(1)
                continue
            if not documents:
                yield data(account.message("error", "The assessment was removed."))
                return
            for message in account.messages(documents):
                yield data(message)
            if account.closed:
                return
            while not await viewer.changed(KEEP_ALIVE):
                yield ": keep-alive\n\n"
    yield data(account.message("error", "You may no longer watch this. Sign in again; the documents go on being made."))


def data(message: dict[str, Any]) -> str:
    return f"data: {json.dumps(message)}\n\n"


@dataclass
class Account:
    """The messages to one client about a batch, made of the documents' states; their progress never goes back."""

    batch: int | None
    results: dict[str, Result] = field(default_factory=dict)
    # The end that was last told of each document, by its key. A document that is made again ends again.
    ends: dict[str, datetime | None] = field(default_factory=dict)
    progress: int = 0
    closed: bool = False

    def opening(self, documents: list[Document]) -> dict[str, Any]:
        waiting: Result = {"status": "pending", "progress": 0, "message": "Waiting"}
        self.results = {document.entry.key: {**NOT_MADE, **waiting} for document in documents}
        return self.message("processing", "Starting")

    def joining(self, documents: list[Document]) -> dict[str, Any]:
        self.results = {document.entry.key: self.result(document) for document in documents}
        self.ends = {document.entry.key: document.ended_at for document in documents}
        return self.doing(documents)

    def messages(self, documents: list[Document]) -> Iterator[dict[str, Any]]:
        """Yield the messages that lead from the last message to the documents' present state.

        Every document that has ended since then gets a message of its own, so that each step of progress is seen.
        """
        told, results = self.results, {document.entry.key: self.result(document) for document in documents}
        newly = [d for d in documents if ended(results[d.entry.key]) and self.ends.get(d.entry.key) != d.ended_at]
        for document in sorted(newly, key=lambda d: d.revision):
            self.ends[document.entry.key] = document.ended_at
            self.results = {**self.results, document.entry.key: results[document.entry.key]}
            if not all(map(ended, self.results.values())):
                yield self.message("processing", ending(document, results[document.entry.key]))
        self.results = results
        if not any(document.active and document.batch_id == self.batch for document in documents):
            self.closed = True
            yield self.closing(documents)
        elif told != results and not newly:
            yield self.doing(documents)

    def doing(self, documents: list[Document]) -> dict[str, Any]:
        for document in documents:
            if document.status == Document.Status.PROCESSING:
                words = f"{document.get_kind_display()}: {document.message}"
                return self.message("processing", words, document.progress or 0)
        return self.message("processing", "Waiting for a worker")

    def closing(self, documents: list[Document]) -> dict[str, Any]:
        made = sum(result["success"] for result in self.results.values())
        failed = sum(result["error"] is not None for result in self.results.values())
        if made == len(documents):
            return self.message("complete", "All documents generated.")
        if made + failed == len(documents):
            return self.message("partial", f"{made}/{len(documents)} documents generated. Some failed.")
        return self.message("error", f"Cancelled. {made} of {len(documents)} documents were made.")

    def message(self, status: str, message: str, running: int = 0) -> dict[str, Any]:
        # A document that is made again has ended before, so the sum may fall; the progress must not.
        self.progress = max(self.progress, percent_done(sum(map(ended, self.results.values())), running))
        return {"status": status, "progress": self.progress, "message": message, "results": self.results}

    def result(self, document: Document) -> Result:
        version = document.current
        state: Result = {"status": document.status, "progress": document.progress, "message": document.message}
        if document.status == Document.Status.ERROR and document.batch_id == self.batch:
            return {**NOT_MADE, **state, "progress": 0, "error": document.error}
        if document.status == Document.Status.SUCCESS and version and version.batch_id == self.batch:
            path = reverse("assessments:file", args=[document.assessment.number, document.kind])
            return {**state, "success": True, "url": path, "error": None, "message": version.message}
        if document.active:
            return {**NOT_MADE, **state}
        # The document was set aside: this batch has made no file of it, even if an older batch has.
        return {**NOT_MADE, **state, "status": Document.Status.IDLE, "progress": 0}


NOT_MADE: Result = {"success": False, "url": None, "error": None}


def ended(result: Result) -> bool:
    """Return whether this batch has made the document or has failed; a cancelled document is neither."""
    return result["success"] or result["error"] is not None


def ending(document: Document, result: Result) -> str:
    return f"{document.entry.short_label} {'complete' if result['success'] else 'failed'}"
