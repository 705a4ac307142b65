"""The documents of an assessment: asked for, cancelled, watched, downloaded."""

import asyncio
import contextvars
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from asgiref.sync import sync_to_async
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.csp import CSP
from django.views.decorators.cache import never_cache
from django.views.decorators.csp import csp_override
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from assessments import logs
from assessments.connections import insist, keep_one
from assessments.documents import panel, tasks
from assessments.live.door import Claim, door
from assessments.live.stream import event_stream, events_for, together, watch
from assessments.live.viewers import TooManyStreams
from assessments.models import Assessment, AuditEntry, DocumentVersion
from assessments.models.assessment import EVENT_ID
from assessments.models.audit import TooManyRequests
from assessments.models.states import NotAllowed
from assessments.storage import download as files

from . import notes
from .access import changeable_assessment, no_assessment, visible_assessment
from .errors import DAMAGED, FILES_AWAY, answer, plain

logger = logging.getLogger(__name__)

# This thread notes downloads in the audit log, one after another: a note may have to wait, a download must not.
DOWNLOADS = ThreadPoolExecutor(1, "downloads", initializer=keep_one)


@require_POST
def generate(request: HttpRequest, number: str) -> HttpResponse:
    """Ask for all documents, or with ``?only=failed`` for those that failed. Refuse any other ``only``."""
    if not request.user.is_authenticated:
        return back_to_page(number)
    assessment = changeable_assessment(request.user, number)
    kinds = None
    if "only" in request.GET:
        if request.GET.getlist("only") != ["failed"]:
            raise BadRequest("Only the failed documents can be asked for alone.")
        kinds = list(assessment.documents.failed().values_list("kind", flat=True))
    return ask(request, assessment, kinds)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def retry(request: HttpRequest, number: str, slug: str) -> HttpResponse:
    """GET shows a page with one button, so that a link in a mail changes nothing; POST asks for the document."""
    if request.method == "POST":
        return ask(request, changeable_assessment(request.user, number), [slug])
    assessment = visible_assessment(request.user, number)
    view = panel.load([assessment.pk])[assessment.pk]
    row = next(row for row in view.rows if row.document.kind == slug)
    may_change = assessment.may_be_changed_by(request.user)
    context = {"assessment": assessment, "panel": view, "row": row, "may_change": may_change}
    return render(request, "assessments/retry.html", context)


def ask(request: HttpRequest, assessment: Assessment, kinds: list[str] | None) -> HttpResponse:
    try:
        tasks.request(assessment, kinds, by=request.user, origin="page")  # type: ignore[arg-type]
    except TooManyRequests as refusal:
        return refused(request, assessment, str(refusal), 429, {"Retry-After": str(refusal.RETRY_AFTER)})
    except NotAllowed as refusal:
        return refused(request, assessment, str(refusal), 409)
    return panel_or_page(request, assessment)


def refused(
    request: HttpRequest, assessment: Assessment, words: str, status: int, headers: dict[str, str] | None = None
) -> HttpResponse:
    """Answer htmx with the reason of a refusal, and a plain browser with a redirect to the page, which shows it."""
    if request.htmx:  # type: ignore[attr-defined]
        return plain(words, status, headers)
    notes.leave(request, assessment.number, notes.DOCUMENTS, [("error", words)])
    return redirect("assessments:detail", assessment.number)


@require_POST
def cancel(request: HttpRequest, number: str) -> HttpResponse:
    if not request.user.is_authenticated:
        return back_to_page(number)
    assessment = changeable_assessment(request.user, number)
    tasks.cancel_many([assessment], by=request.user, origin="page")
    return panel_or_page(request, assessment)


def back_to_page(number: str) -> HttpResponse:
    """Redirect to the login, and from there to the page with the button: a login cannot repeat the POST."""
    return redirect_to_login(reverse("assessments:detail", args=[number]))


def panel_or_page(request: HttpRequest, assessment: Assessment) -> HttpResponse:
    """Answer htmx with the panel, and a plain browser with a redirect to the page."""
    if request.htmx:  # type: ignore[attr-defined]
        return HttpResponse(panel.everything(panel.load([assessment.pk])[assessment.pk]))
    return redirect("assessments:detail", assessment.number)


@require_GET
async def events(request: HttpRequest, number: str) -> HttpResponseBase:
    """Stream the changes of an assessment, and with ``?also=<number>:<revision>`` those of further assessments.

    So a browser needs one connection for all its pages. The stream is for people who may see all its assessments.
    """
    session_key = request.session.session_key or ""
    also = [EVENT_ID.fullmatch(text) for text in request.GET.getlist("also")]
    numbers = list(dict.fromkeys([number, *(more[1] for more in also if more)]))
    found = await asyncio.gather(*(door.knock(Claim(session_key, one)) for one in numbers))
    rights = dict(zip(numbers, found, strict=True))
    person = rights[number].person
    if person is None:
        # A script cannot follow a redirect to a form; a person can.
        wants_events = "text/event-stream" in request.headers.get("Accept", "")
        return HttpResponse(status=401) if wants_events else redirect_to_login(request.get_full_path())
    revisions = {one: right.revision for one, right in rights.items() if right.revision is not None}
    if unseen := [one for one in numbers if one not in revisions]:
        raise no_assessment(unseen[0])
    logs.subject.set({**logs.subject.get(), "user": str(person.pk)})
    resume = request.headers.get("Last-Event-ID") or request.GET.get("lastEventId", "")
    seen = EVENT_ID.fullmatch(resume)
    if (resume and not seen) or not all(also):
        return plain("This is no event id of this stream. Reload the page.", 400)
    try:
        viewers = watch(person, session_key, *numbers)
    except TooManyStreams as refusal:
        return plain(str(refusal), 429)
    since = {known[1]: int(known[2]) for known in [*also, seen] if known}
    streams = [
        events_for(viewer, since.get(viewer.number, revisions[viewer.number]), revisions[viewer.number])
        for viewer in viewers
    ]
    return event_stream(together(streams) if len(streams) > 1 else streams[0])


@login_required
@require_safe
# The policy of our pages would block the browser's own PDF viewer; a document cannot run scripts of ours.
@csp_override({"frame-ancestors": [CSP.NONE]})
async def file(request: HttpRequest, number: str, slug: str) -> HttpResponseBase:
    """Send the newest good file of a document, or with ``?version=N`` an older file."""
    user = await request.auser()
    version = await sync_to_async(find_version)(user, number, slug, request.GET.get("version", ""))
    try:
        response = await files.send(
            request,
            version.file.storage,
            str(version.file.name),
            name=version.document.file_name,
            content_type=version.document.entry.media_type,
            size=version.size,
            etag=f'"{version.sha256}"',
            modified=version.made_at,
            as_attachment="download" in request.GET or not version.document.entry.opens,
        )
    except (FileNotFoundError, NotADirectoryError):
        raise Http404("The file of this document is gone. Make the document again.") from None
    except files.Damaged as damage:
        logger.error("%s is damaged: %s", version, damage)
        return answer(DAMAGED)
    except OSError:
        logger.exception("%s could not be read", version)
        return answer(FILES_AWAY)
    if request.method == "GET" and response.status_code in {200, 206, 302}:
        DOWNLOADS.submit(contextvars.copy_context().run, note, version, user)  # type: ignore[arg-type]
    return response


def note(version: DocumentVersion, user: AbstractBaseUser) -> None:
    """Note a download in the audit log; while the database does not answer, try again for the time of a lease."""
    try:
        insist(partial(AuditEntry.objects.record_download, version, user))
    except Exception:
        logger.exception("%s downloaded %s, and the audit log does not say so", user, version)


def find_version(user: object, number: str, slug: str, wanted: str) -> DocumentVersion:
    assessment = visible_assessment(user, number)  # type: ignore[arg-type]
    versions = DocumentVersion.objects.filter(document__assessment=assessment, document__kind=slug)
    if wanted:
        versions = versions.filter(number=int(wanted)) if wanted.isdecimal() and len(wanted) < 9 else versions.none()
    version = versions.select_related("document__assessment").first()
    if version is None:
        raise Http404("This document has not been made yet.")
    return version
