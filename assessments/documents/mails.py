"""The mails about failed documents, to the people who requested them: one for a batch, and one for a bulk request."""

import logging
import threading
from collections import defaultdict
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, mailers
from django.db import transaction
from django.db.models import Case, Exists, F, Min, OuterRef, Q, QuerySet, When
from django.db.models.functions import Now
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.text import capfirst

from assessments.models import Assessment, Batch, BulkRequest, Document, Joining
from assessments.models.lease import FromNow
from assessments.words import counted

logger = logging.getLogger(__name__)

# The ages up to which failures are mailed: in the frequent rounds, and in the rare rounds that try unsent mails again.
# After a day, a mail would be old news: the page shows the present state.
FRESH, NEWS = timedelta(minutes=1), timedelta(hours=24)
# The pause before the second try of a mail, which doubles with each further try, and the number of tries: the last one
# comes 17 hours after the first.
PAUSE, TRIES = timedelta(minutes=1), 11
# The admin shows one of these texts with a request that nobody is mailed about.
NOBODY = "Not mailed: whoever asked has no mail address, or may no longer see the assessment"
GIVEN_UP = f"Not mailed: the mail server did not take the mail in {TRIES} tries"
# The most mails that one round sends.
ROUND = 100
# The most reasons that the mail about a bulk request gives, and the most assessments that it names for each reason.
REASONS, NAMED = 20, 5
# Servers that answer mails, such as an absence notice, leave a mail with this header (RFC 3834) alone.
AUTOMATIC = {"Auto-Submitted": "auto-generated"}
# Both kinds of requests, each with the lookup of its batch.
REQUESTS: dict[type[Batch | Joining], str] = {Batch: "pk", Joining: "batch"}
# Requests that one mail reports: their keys, or a query for them, by their kind.
type Requests[Rows] = dict[type[Batch | Joining], Rows]
# Held while a mail is sent by a server that has answered. A process acquires this lock before it ends, so that no mail
# is left half sent.
sending = threading.Lock()


def report_failures(since: timedelta = NEWS) -> int:
    """Mail the failures that ended within ``since`` to the people who requested them; return how many mails were sent.

    Of several processes that report at the same time, one sends the mail. A mail that cannot be sent is logged and due
    again after a pause, until it is given up. A server that fails after it has accepted a mail causes a second
    one, which does less harm than no mail. A server that does not answer is tried once a round, not once a mail.
    """
    recent = Document.objects.failed().filter(ended_at__gte=FromNow(-since)).order_by()
    alone = Case(When(bulk_request=None, then=F("pk")))
    sent = 0
    try:
        for kind, batch in REQUESTS.items():
            found = unreported(kind).filter(**{f"{batch}__in": recent.values("batch")}).order_by()
            reports = found.values("bulk_request", "requested_by", alone=alone).annotate(first=Min("pk"))
            for pk in list(reports.order_by("first").values_list("first", flat=True)[:ROUND]):
                request = kind.objects.select_related("requested_by", "bulk_request").get(pk=pk)
                sent += report(request)
    except OSError:
        logger.exception("The mails about failures could not be sent, as the mail server does not answer")
    return sent


def report(request: Batch | Joining) -> bool:
    """Report a request, with all of its bulk request, unless another process has.

    Raises OSError when the mail server does not answer.
    """
    subject = request.bulk_request or request
    if request.bulk_request and still_runs(request.bulk_request):
        return False
    together = in_one_mail(request)
    if not any(rows.exists() for rows in together.values()):
        return False
    if not reachable(request.requested_by, together):
        if sum(rows.update(mail_problem=NOBODY) for rows in together.values()):
            logger.info("%s: some documents failed. %s", subject, NOBODY)
        return False
    try:
        mailer = mailers.default
        mailer.open()
    except OSError:
        postpone(request, together)
        raise
    # Requests are taken only when the server has answered: one that is taken but not mailed is never tried again.
    with mailer, sending:
        taken = take(request, together)
        if not taken:
            return False
        try:
            mailer.send_messages([message(request, taken)])
        # Each mail backend has errors of its own. A refused mail must not keep other mails from being sent.
        except Exception:
            logger.exception("%s: the mail about its failures could not be sent", subject)
            postpone(request, {kind: kind.objects.filter(pk__in=pks) for kind, pks in taken.items()})
            return False
    logger.info("%s: mailed its failures to %s", subject, request.requested_by)
    return True


def still_runs(bulk_request: BulkRequest) -> bool:
    """Return whether documents are active of a batch that a bulk request began or joined.

    Asked for one bulk request at a time: as a part of ``unreported``, no index would find the answer.
    """
    ways = ("batch__bulk_request", "batch__joinings__bulk_request")
    return any(Document.objects.active().filter(**{way: bulk_request}).exists() for way in ways)


def in_one_mail(request: Batch | Joining) -> Requests[QuerySet[Any]]:
    """Return the unreported requests that one mail reports: one alone, or all of one person's bulk request."""
    if request.bulk_request_id is None:
        return {type(request): unreported(type(request)).filter(pk=request.pk)}
    run = {"bulk_request": request.bulk_request_id, "requested_by": request.requested_by_id}
    return {kind: unreported(kind).filter(**run) for kind in REQUESTS}


def take(request: Batch | Joining, together: Requests[QuerySet[Any]]) -> Requests[list[int]]:
    """Mark requests as reported; return those that no other process has taken."""
    taken: Requests[list[int]] = {}
    with transaction.atomic():
        # Two processes that take the same bulk request must not share its requests out between two mails.
        if request.bulk_request_id:
            runs = BulkRequest.objects.select_for_update(no_key=True).filter(pk=request.bulk_request_id)
            list(runs.order_by().values_list("pk"))
        for kind, rows in together.items():
            pks = list(rows.order_by("pk").values_list("pk", flat=True))
            if kind.objects.filter(pk__in=pks, mailed_at=None).update(mailed_at=Now()):
                taken[kind] = pks
    return taken


def postpone(request: Batch | Joining, together: Requests[QuerySet[Any]]) -> None:
    """Have requests reported again after a pause; after the last try, note that they are not reported any more."""
    tries = request.mail_tries + 1
    for rows in together.values():
        rows.update(
            mailed_at=None,
            mail_tries=tries,
            mail_due_at=FromNow(PAUSE * 2**request.mail_tries),
            mail_problem=GIVEN_UP if tries >= TRIES else "",
        )
    if tries >= TRIES:
        logger.error("%s: some documents failed. %s", request.bulk_request or request, GIVEN_UP)


def batches_of(requests: Requests[Any]) -> list[int]:
    return [pk for kind, rows in requests.items() for pk in rows.order_by().values_list(REQUESTS[kind], flat=True)]


def reachable(user: Any, together: Requests[QuerySet[Any]]) -> bool:
    """Return whether the person of the requests has a mail address and may still see their assessments."""
    if not user or not user.email:
        return False
    batches = Batch.objects.filter(pk__in=batches_of(together)).order_by()
    assessments = Assessment.objects.filter(pk__in=batches.values("assessment"))
    visible: int = assessments.visible_to(user).count()
    return visible == assessments.count()


def unreported(kind: type[Batch | Joining]) -> QuerySet[Any]:
    """Return requests whose batch has ended, in which a document failed, and whose mail is due."""
    active, failed, batch = Document.objects.active(), Document.objects.failed(), OuterRef(REQUESTS[kind])
    return kind.objects.filter(
        ~Exists(active.filter(batch=batch)),
        Exists(failed.filter(batch=batch)),
        Q(mail_due_at=None) | Q(mail_due_at__lt=Now()),
        mailed_at=None,
        mail_problem="",
    )


# The texts ------------------------------------------------------------------------------------------------------------


def message(request: Batch | Joining, taken: Requests[list[int]]) -> EmailMultiAlternatives:
    """Return the mail about the taken requests: plain text, and the same in HTML."""
    rows = {kind: kind.objects.filter(pk__in=pks) for kind, pks in taken.items()}
    failed = (
        Document.objects.failed()
        .filter(batch__in=batches_of(rows))
        .select_related("assessment__vehicle")
        .order_by("assessment__number", "position")
    )
    template, context = about_run(request.bulk_request, failed) if request.bulk_request else about_one(request, failed)
    mail = EmailMultiAlternatives(
        # White space becomes single spaces, because a line break in the number would begin another header.
        subject=" ".join(context["outcome"].split()),
        body=render_to_string(f"mails/{template}.txt", context),
        to=[request.requested_by.email] if request.requested_by else [],
        headers=AUTOMATIC,
    )
    mail.attach_alternative(render_to_string(f"mails/{template}.html", context), "text/html")
    return mail


def about_one(request: Batch | Joining, failed: QuerySet[Document]) -> tuple[str, dict[str, Any]]:
    assessment = request.assessment
    documents = list(assessment.documents.all())
    made = sum(document.status == Document.Status.SUCCESS for document in documents)
    return "failures", {
        "assessment": assessment,
        "about": about(assessment),
        "outcome": f"{assessment.number}: {counted(len(failed), 'document')} failed, {made} of {len(documents)} ready",
        "page": settings.SITE_URL + reverse("assessments:detail", args=[assessment.number]),
        "failed": [
            (document, settings.SITE_URL + reverse("assessments:retry", args=[assessment.number, document.kind]))
            for document in failed
        ],
    }


def about(assessment: Assessment) -> list[str]:
    """Return the vehicle and the claim, by which people know an assessment. They are for the text of a mail alone."""
    vehicle = getattr(assessment, "vehicle", None)
    car = ", ".join(filter(None, [str(vehicle), vehicle.registration])) if vehicle else ""
    claim = {"Client": assessment.client, "claim": assessment.claim_number, "insured": assessment.insured_name}
    return [*filter(None, [car, capfirst(", ".join(f"{name} {fact}" for name, fact in claim.items() if fact))])]


def with_plate(assessment: Assessment) -> str:
    vehicle = getattr(assessment, "vehicle", None)
    return f"{assessment.number} ({vehicle.registration})" if vehicle and vehicle.registration else assessment.number


def about_run(run: BulkRequest, failed: QuerySet[Document]) -> tuple[str, dict[str, Any]]:
    """Return the facts of a bulk request: how many documents failed, and which for each reason, frequent reasons first.

    Reasons that differ only in the reference for support are one reason.
    """
    by_reason: defaultdict[tuple[str, str], list[Document]] = defaultdict(list)
    for document in failed:
        reason = document.error.replace(document.reference, "") if document.reference else document.error
        by_reason[document.get_kind_display(), reason].append(document)
    reasons = sorted(by_reason.values(), key=len, reverse=True)
    assessments = {document.assessment_id for document in failed}
    return "run", {
        "outcome": f"{counted(len(failed), 'document')} failed in {len(assessments)} of "
        f"{counted(run.assessments.count(), 'assessment')}",
        "page": settings.SITE_URL + reverse("admin:assessments_assessment_progress", args=[run.pk]),
        "reasons": [reason_of(documents) for documents in reasons[:REASONS]],
        "more": sum(map(len, reasons[REASONS:])),
    }


def reason_of(documents: list[Document]) -> dict[str, Any]:
    first = documents[0]
    numbers = [with_plate(document.assessment) for document in documents]
    return {
        "kind": first.get_kind_display(),
        "count": len(documents),
        "error": first.error,
        "reference": first.reference if first.reference not in first.error else "",
        "numbers": ", ".join(numbers[:NAMED]),
        "others": len(numbers[NAMED:]),
    }
