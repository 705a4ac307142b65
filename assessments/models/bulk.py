"""The office's bulk requests: who chose which assessments, when, and what for."""

from collections.abc import Iterable
from typing import Self

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models, transaction
from django.db.models.functions import Now

from .assessment import Assessment
from .fields import ChoiceField


class BulkRequest(models.Model):
    """One action of one person on the assessments that this person chose, whether or not it changed them all."""

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
        """Record the choice before anything is asked for: what is interrupted later still shows all that was chosen."""
        with transaction.atomic():
            bulk_request = cls.objects.create(action=action, requested_by=by)
            bulk_request.assessments.add(*assessments)
        return bulk_request
