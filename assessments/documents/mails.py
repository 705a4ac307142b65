"""The mails about failed documents, to the people who requested them."""

import logging
import threading
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, mailers
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now
from django.template.loader import render_to_string
from django.urls import reverse

from assessments import words
from assessments.models import Assessment, Batch, Document, Joining
from assessments.models.lease import FromNow

logger = logging.getLogger(__name__)

# The ages up to which failures are mailed: in the frequent rounds, and in the rare rounds that try unsent mails again.
# After a day, a mail would be old news: the page shows the present state.
FRESH, NEWS = timedelta(minutes=1), timedelta(hours=24)
# The most mails that one round sends.
ROUND = 100
# Both kinds of requests, each with the lookup of its batch.
REQUESTS: dict[type[Batch | Joining], str] = {Batch: "pk", Joining: "batch"}
# Held while a mail is sent. A process acquires this lock before it ends, so that no mail is left half sent.
sending = threading.Lock()


def report_failures(since: timedelta = NEWS) -> int:
    """Mail the failures of each ended batch to everybody who requested it; return how many mails were sent.

    Of several processes that report at the same time, one sends the mail. A mail that cannot be sent is logged, and its
    request is unreported again, for the next round. A server that fails after it has accepted a mail causes a second
    one, which does less harm than no mail. A server that does not answer is tried once a round, not once a mail.
    """
    sent = 0
    try:
        for model, batch in REQUESTS.items():
            recent = failed_documents(batch).filter(ended_at__gte=FromNow(-since))
            for request in unreported(model).filter(Exists(recent)).order_by("pk")[:ROUND]:
                with sending:
                    sent += report(request)
    except OSError:
        logger.exception("The mails about failures could not be sent, as the mail server does not answer")
    return sent


def report(request: Batch | Joining) -> bool:
    """Report to one person, unless another process has. Raises OSError when the mail server does not answer."""
    if not unreported(type(request)).filter(pk=request.pk).exists():
        return False
    if not reachable(request):
        if take(request):
            reason = "whoever asked for them has no mail address, or may no longer see them"
            logger.info("%s: some documents failed; no mail about it, as %s", request, reason)
        return False
    # The request is taken only when the server has answered: one that is taken but not mailed is never tried again.
    with mailers.default as mailer:
        if not take(request):
            return False
        try:
            mailer.send_messages([message(request)])
        # Each mail backend has errors of its own. A refused mail must not keep other mails from being sent.
        except Exception:
            logger.exception("%s: the mail about its failures could not be sent", request)
            type(request).objects.filter(pk=request.pk).update(mailed_at=None)
            return False
    logger.info("%s: mailed its failures to %s", request, request.requested_by)
    return True


def take(request: Batch | Joining) -> bool:
    return bool(unreported(type(request)).filter(pk=request.pk).update(mailed_at=Now()))


def reachable(request: Batch | Joining) -> bool:
    """Return whether the person of the request has a mail address and may still see the assessment."""
    user = request.requested_by
    visible = Assessment.objects.visible_to(user) if user and user.email else Assessment.objects.none()
    return visible.filter(pk=request.assessment.pk).exists()


def failed_documents(batch: str) -> QuerySet[Document]:
    return Document.objects.failed().filter(batch=OuterRef(batch))


def unreported(model: type[Batch | Joining]) -> QuerySet[Any]:
    """Return requests whose batch has ended, in which a document failed, and about which no mail was sent."""
    batch = REQUESTS[model]
    running = Document.objects.filter(batch=OuterRef(batch)).active()
    return model.objects.filter(~Exists(running), Exists(failed_documents(batch)), mailed_at=None)


def message(request: Batch | Joining) -> EmailMultiAlternatives:
    """Return the mail about the batch of a request: plain text, and the same in HTML."""
    batch = request.batch if isinstance(request, Joining) else request
    assessment = batch.assessment
    documents = list(assessment.documents.all())
    made = sum(document.status == Document.Status.SUCCESS for document in documents)
    context = {
        "assessment": assessment,
        "outcome": words.ready(made, len(documents)),
        "page": settings.SITE_URL + reverse("assessments:detail", args=[assessment.number]),
        "failed": [
            (document, settings.SITE_URL + reverse("assessments:retry", args=[assessment.number, document.kind]))
            for document in documents
            if document.batch_id == batch.pk and document.status == Document.Status.ERROR
        ],
    }
    mail = EmailMultiAlternatives(
        # White space becomes single spaces, because a line break in the number would begin another header.
        subject=" ".join(f"{assessment.number}: {context['outcome']}".split()),
        body=render_to_string("mails/failures.txt", context),
        to=[request.requested_by.email] if request.requested_by else [],
    )
    mail.attach_alternative(render_to_string("mails/failures.html", context), "text/html")
    return mail
