"""The mail to whoever asked for documents, when some of them failed."""

import logging
from datetime import timedelta

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now
from django.template.loader import render_to_string
from django.urls import reverse

from .models import Assessment, Batch, Document
from .models.document import from_now

logger = logging.getLogger(__name__)

# For how long a mail that could not be sent is tried again; after a day the page is the better news.
NEWS = timedelta(hours=24)


def report_failures(batch_id: int) -> bool:
    """Mail what failed to whoever asked for the batch, once all of it has ended. True when a mail was sent.

    Whoever calls first after the end sends; the other calls find nothing to do. A mail that cannot be sent is logged
    and never raises. The batch then counts as unreported again, for report_overdue(): a mail that comes twice, because
    the server failed after it had taken it, does less harm than one that never comes.
    """
    batch = unreported().filter(pk=batch_id).select_related("assessment", "requested_by").first()
    if batch is None:
        return False
    why_not = unreachable(batch)
    if why_not:
        logger.info("%s: some documents failed; no mail about it, as %s", batch, why_not)
        return False
    return send(batch)


def report_overdue() -> int:
    """Send the mails of the last day that no worker sent; return how many. For the sweep, about once a minute.

    Some could not be sent, and some had no worker left to send them. Ends with the first that fails again: the mail
    server is asked once a round, not once a mail.
    """
    sent = 0
    recent = failed_documents().filter(ended_at__gte=from_now(-NEWS))
    overdue = unreported().filter(Exists(recent), requested_by__isnull=False).exclude(requested_by__email="")
    for batch in overdue.select_related("assessment", "requested_by").order_by("pk"):
        if unreachable(batch):
            continue
        if not send(batch):
            break
        sent += 1
    return sent


def unreachable(batch: Batch) -> str:
    """Why whoever asked for the batch gets no mail about it; empty when there is no reason."""
    user = batch.requested_by
    if user is None or not user.email:
        return "whoever asked for them has no mail address"
    if not Assessment.objects.visible_to(user).filter(pk=batch.assessment_id).exists():
        return f"{user} may no longer see them"
    return ""


def send(batch: Batch) -> bool:
    if not unreported().filter(pk=batch.pk).update(mailed_at=Now()):
        return False
    try:
        message(batch).send()
    # Each mail backend has errors of its own, and none of them may end a worker.
    except Exception:
        logger.exception("%s: the mail about its failures could not be sent", batch)
        Batch.objects.filter(pk=batch.pk).update(mailed_at=None)
        return False
    logger.info("%s: mailed its failures to %s", batch, batch.requested_by)
    return True


def failed_documents() -> QuerySet[Document]:
    return Document.objects.failed().filter(batch=OuterRef("pk"))


def unreported() -> QuerySet[Batch]:
    """Batches that have ended, in which a document failed, and about which no mail was sent."""
    running = Document.objects.filter(batch=OuterRef("pk")).active()
    return Batch.objects.filter(~Exists(running), Exists(failed_documents()), mailed_at=None)


def message(batch: Batch) -> EmailMultiAlternatives:
    """The mail as it is sent: plain text, and the same in HTML."""
    assessment = batch.assessment
    documents = list(assessment.documents.all())
    ready = sum(document.status == Document.Status.SUCCESS for document in documents)
    context = {
        "assessment": assessment,
        "outcome": f"{ready} of {len(documents)} documents ready",
        "page": settings.SITE_URL + reverse("assessments:detail", args=[assessment.number]),
        "failed": [
            (document, settings.SITE_URL + reverse("assessments:retry", args=[assessment.number, document.kind]))
            for document in documents
            if document.batch_id == batch.pk and document.status == Document.Status.ERROR
        ],
    }
    mail = EmailMultiAlternatives(
        # On one line, whatever the number was made of: a line break would begin another header.
        subject=" ".join(f"{assessment.number}: {context['outcome']}".split()),
        body=render_to_string("mails/failures.txt", context),
        to=[batch.requested_by.email] if batch.requested_by else [],
    )
    mail.attach_alternative(render_to_string("mails/failures.html", context), "text/html")
    return mail
