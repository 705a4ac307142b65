"""Requests for documents: one batch for each assessment, and the bulk requests that begin many batches."""

from collections.abc import Iterable
from typing import Self, TypedDict

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models, transaction
from django.db.models.functions import Now

from .assessment import Assessment
from .fields import ChoiceField


class BulkRequest(models.Model):
    """One action of one person on the assessments that the person chose, even if it did not change all of them."""

    class Action(models.TextChoices):
        GENERATE = "generate", "Generate all"
        RETRY = "retry", "Retry the failed"
        CANCEL = "cancel", "Cancel"

    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    requested_at = models.DateTimeField(db_default=Now())
    action = ChoiceField(choices=Action)
    assessments = models.ManyToManyField(Assessment, related_name="bulk_requests")

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"Bulk request {self.pk}: {self.get_action_display().lower()}"

    @classmethod
    def begin(cls, action: "BulkRequest.Action", assessments: Iterable[Assessment], by: AbstractBaseUser) -> Self:
        """Record the chosen assessments before the first request: an interrupted bulk request still shows them all."""
        with transaction.atomic():
            bulk_request = cls.objects.create(action=action, requested_by=by)
            bulk_request.assessments.add(*assessments)
        return bulk_request


class Mailed(models.Model):
    """A request whose person is mailed its failures."""

    # When the mail was sent. One conditional UPDATE sets this before, so that one process sends it.
    mailed_at = models.DateTimeField(null=True)
    # A mail that could not be sent is due again after a pause.
    mail_tries = models.PositiveSmallIntegerField(db_default=0, default=0, editable=False)
    mail_due_at = models.DateTimeField(null=True, editable=False)
    # Why no mail is sent any more.
    mail_problem = models.CharField(max_length=120, blank=True, db_default="", editable=False)

    class Meta:
        abstract = True


class Batch(Mailed):
    """One request for documents of one assessment, with the later requests that joined it while it ran."""

    assessment = models.ForeignKey(Assessment, models.CASCADE, related_name="batches")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    requested_at = models.DateTimeField(db_default=Now(), editable=False)
    # The place of the request: page, api, admin or command.
    origin = models.CharField(max_length=12, blank=True)
    # The office's bulk request that began the batch, if there was one.
    bulk_request = models.ForeignKey(BulkRequest, models.SET_NULL, null=True, related_name="batches")

    class Meta:
        verbose_name_plural = "batches"
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"Batch {self.pk} of {self.assessment}"


class Joining(Mailed):
    """A later request of another person that joined a running batch. That person is mailed the failures, too."""

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="joinings")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    requested_at = models.DateTimeField(db_default=Now())
    bulk_request = models.ForeignKey(BulkRequest, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["batch", "requested_by"], name="person_joins_a_batch_once")]

    def __str__(self) -> str:
        return f"{self.batch}, joined by {self.requested_by}"

    @property
    def assessment(self) -> Assessment:
        return self.batch.assessment


class Asker(TypedDict, total=False):
    """The user who requests documents, the place (page, api, admin or command), and the office's bulk request."""

    by: AbstractBaseUser | None
    origin: str
    bulk_request: BulkRequest | None
