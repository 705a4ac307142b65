"""The mails about failed documents, to the people who requested them."""

import logging
import threading
from datetime import timedelta

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, mailers
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now
from django.template.loader import render_to_string
from django.urls import reverse

from assessments import words
from assessments.models import Assessment, Batch, Document
from assessments.models.lease import FromNow

logger = logging.getLogger(__name__)

# The ages up to which failures are mailed: in the frequent rounds, and in the rare rounds that try unsent mails again.
# After a day, a mail would be old news: the page shows the present state.
FRESH, NEWS = timedelta(minutes=1), timedelta(hours=24)
# The most mails that one round sends.
ROUND = 100
# Held while a mail is sent. A process acquires this lock before it ends, so that no mail is left half sent.
sending = threading.Lock()


def report_failures(since: timedelta = NEWS) -> int:
    """Mail the failures of each ended batch to the person who requested it; return how many mails were sent.

    Of several processes that report at the same time, one sends the mail. A mail that cannot be sent is logged, and its
    batch is unreported again, for the next round. A server that fails after it has accepted a mail causes a second one,
    which does less harm than no mail. A server that does not answer is tried once a round, not once a mail.
    """
    recent = failed_documents().filter(ended_at__gte=FromNow(-since))
    batches = unreported().filter(Exists(recent)).select_related("assessment", "requested_by").order_by("pk")[:ROUND]
    sent = 0
    try:
        for batch in batches:
            with sending:
                sent += report(batch)
    except OSError:
        logger.exception("The mails about failures could not be sent, as the mail server does not answer")
    return sent


def report(batch: Batch) -> bool:
    """Report one batch, unless another process has. Raises OSError when the mail server does not answer."""
    if not unreported().filter(pk=batch.pk).exists():
        return False
    if not reachable(batch):
        if take(batch):
            reason = "whoever asked for them has no mail address, or may no longer see them"
            logger.info("%s: some documents failed; no mail about it, as %s", batch, reason)
        return False
    # The batch is taken only when the server has answered: a batch that is taken but not mailed is never tried again.
    with mailers.default as mailer:
        if not take(batch):
            return False
        try:
            mailer.send_messages([message(batch)])
        # Each mail backend has errors of its own. A refused mail must not keep other mails from being sent.
        except Exception:
            logger.exception("%s: the mail about its failures could not be sent", batch)
            Batch.objects.filter(pk=batch.pk).update(mailed_at=None)
            return False
    logger.info("%s: mailed its failures to %s", batch, batch.requested_by)
    return True


def take(batch: Batch) -> bool:
    return bool(unreported().filter(pk=batch.pk).update(mailed_at=Now()))


def reachable(batch: Batch) -> bool:
    """Return whether the person who requested the batch has a mail address and may still see the assessment."""
    user = batch.requested_by
    visible = Assessment.objects.visible_to(user) if user and user.email else Assessment.objects.none()
    return visible.filter(pk=batch.assessment_id).exists()


def failed_documents() -> QuerySet[Document]:
    return Document.objects.failed().filter(batch=OuterRef("pk"))


def unreported() -> QuerySet[Batch]:
    """Return batches that have ended, in which a document failed, and about which no mail was sent."""
    running = Document.objects.filter(batch=OuterRef("pk")).active()
    return Batch.objects.filter(~Exists(running), Exists(failed_documents()), mailed_at=None)


def message(batch: Batch) -> EmailMultiAlternatives:
    """Return the mail about a batch: plain text, and the same in HTML."""
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
        to=[batch.requested_by.email] if batch.requested_by else [],
    )
    mail.attach_alternative(render_to_string("mails/failures.html", context), "text/html")
    return mail
