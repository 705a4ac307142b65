"""The mail to whoever asked for documents, when some of them failed."""

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
from assessments.models.lease import from_now

logger = logging.getLogger(__name__)

# How long ago documents failed that are mailed about: at once, and when that did not succeed, now and then. After a day
# the page is the better news.
FRESH, NEWS = timedelta(minutes=1), timedelta(hours=24)
# Mails that one round sends at most.
ROUND = 100
# Held for each mail. A process that ends takes it, and leaves none half sent.
sending = threading.Lock()


def report_failures(since: timedelta = NEWS) -> int:
    """Mail what failed to whoever asked for a batch, once all of it has ended; return how many mails were sent.

    Of several that report at the same time, one sends. A mail that cannot be sent is logged. The batch then counts as
    unreported again, for the next round: a mail that comes twice, because the server failed after it had taken it, does
    less harm than one that never comes. A server that does not answer is asked once a round, not once a mail.
    """
    recent = failed_documents().filter(ended_at__gte=from_now(-since))
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
    """Report one batch, unless somebody else has. Raises OSError when the mail server does not answer."""
    if not unreported().filter(pk=batch.pk).exists():
        return False
    if not reachable(batch):
        if take(batch):
            reason = "whoever asked for them has no mail address, or may no longer see them"
            logger.info("%s: some documents failed; no mail about it, as %s", batch, reason)
        return False
    # The batch is taken when the server has answered: of one that was taken and not mailed, nobody would hear again.
    with mailers.default as mailer:
        if not take(batch):
            return False
        try:
            mailer.send_messages([message(batch)])
        # Each mail backend has errors of its own, and a mail that one refuses keeps no other from being sent.
        except Exception:
            logger.exception("%s: the mail about its failures could not be sent", batch)
            Batch.objects.filter(pk=batch.pk).update(mailed_at=None)
            return False
    logger.info("%s: mailed its failures to %s", batch, batch.requested_by)
    return True


def take(batch: Batch) -> bool:
    return bool(unreported().filter(pk=batch.pk).update(mailed_at=Now()))


def reachable(batch: Batch) -> bool:
    """Whether whoever asked for the batch has a mail address, and may still see the assessment."""
    user = batch.requested_by
    visible = Assessment.objects.visible_to(user) if user and user.email else Assessment.objects.none()
    return visible.filter(pk=batch.assessment_id).exists()


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
        # On one line, whatever the number was made of: a line break would begin another header.
        subject=" ".join(f"{assessment.number}: {context['outcome']}".split()),
        body=render_to_string("mails/failures.txt", context),
        to=[batch.requested_by.email] if batch.requested_by else [],
    )
    mail.attach_alternative(render_to_string("mails/failures.html", context), "text/html")
    return mail
