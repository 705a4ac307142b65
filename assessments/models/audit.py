"""The audit log: who requested, cancelled or downloaded which documents or removed an assessment, and when."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, NoReturn, Self, Unpack

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models
from django.db.models.functions import Now

from .assessment import Assessment
from .batch import Asker
from .fields import ChoiceField
from .lease import FromNow
from .version import DocumentVersion

MINUTE = timedelta(minutes=1)
# The reads of one file by one person within this time count as one download.
SITTING = timedelta(minutes=10)


class TooManyRequests(Exception):  # noqa: N818
    """A person requested documents more often than REQUESTS_PER_MINUTE allows. Nothing was requested."""

    # Seconds after which a new request makes sense.
    RETRY_AFTER = 60

    def __init__(self) -> None:
        super().__init__(
            f"You asked for documents {settings.REQUESTS_PER_MINUTE} times within a minute, which is as often as is "
            "allowed. Nothing was asked for this time. Wait a minute, then try again."
        )


def refuse(*arguments: Any, **options: Any) -> NoReturn:
    raise TypeError("Nobody changes the audit log, or deletes from it.")


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    """Entries are added, and never changed or deleted."""

    update = delete = refuse

    def asked(self) -> Self:
        return self.filter(action__in=[AuditEntry.Action.REQUESTED, AuditEntry.Action.RETRIED])

    def admit(self, **asker: Unpack[Asker]) -> None:
        """Raise TooManyRequests when a person requests too often within a minute on the pages or over the API.

        Call this method in the transaction that records the request. The method locks the person's row, so that
        simultaneous requests cannot exceed the limit together.
        """
        by = asker.get("by")
        if by is None or asker.get("origin") not in AuditEntry.COUNTED:
            return
        people = get_user_model()._default_manager.filter(pk=by.pk)
        list(people.select_for_update(no_key=True).values_list("pk"))
        lately = self.asked().filter(user_id=by.pk, origin__in=AuditEntry.COUNTED, at__gt=FromNow(-MINUTE))
        if lately.count() >= settings.REQUESTS_PER_MINUTE:
            raise TooManyRequests

    def record(
        self,
        action: "AuditEntry.Action",
        kinds: Mapping[Assessment, Iterable[str]],
        version: DocumentVersion | None = None,
        **asker: Unpack[Asker],
    ) -> None:
        """Add one entry for each assessment, with the kinds of the documents concerned.

        The entry of a command has no user, as a command needs no sign-in. ``version`` is the downloaded version.
        """
        by = asker.get("by")
        self.bulk_create(
            AuditEntry(
                action=action,
                user_id=by.pk if by else None,
                username=by.get_username() if by else "",
                assessment=assessment,
                number=assessment.number,
                documents=", ".join(concerned),
                origin=asker.get("origin", ""),
                version=version,
            )
            for assessment, concerned in kinds.items()
        )

    def record_download(self, version: DocumentVersion, by: AbstractBaseUser) -> None:
        """Add an entry for a download, unless this person has an entry for the same file within SITTING.

        A viewer reads a PDF in pieces, and a browser resumes a broken download: each is one download.
        """
        mine = self.filter(action=AuditEntry.Action.DOWNLOADED, user_id=by.pk, version=version)
        if not mine.filter(at__gt=FromNow(-SITTING)).exists():
            document = version.document
            read = {document.assessment: [document.kind]}
            self.record(AuditEntry.Action.DOWNLOADED, read, version, by=by, origin="page")


class AuditEntry(models.Model):
    """One act of one person. The entry also keeps names, which stay when the person or the assessment is deleted."""

    class Action(models.TextChoices):
        REQUESTED = "requested", "Asked for all"
        RETRIED = "retried", "Asked again for some"
        CANCELLED = "cancelled", "Cancelled"
        DOWNLOADED = "downloaded", "Downloaded"
        REMOVED = "removed", "Removed with all its data"

    # The origins that admit() counts: the office's bulk actions and the commands request many documents on purpose.
    COUNTED = ("page", "api")

    at = models.DateTimeField("time", db_default=Now())
    action = ChoiceField(choices=Action)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    username = models.CharField("user name", max_length=150, blank=True)
    assessment = models.ForeignKey(Assessment, models.SET_NULL, null=True, related_name="audit_entries")
    number = models.CharField(max_length=20)
    # The kinds concerned; empty when a request only joined a batch that already ran, and at a removal.
    documents = models.CharField(max_length=100, blank=True)
    version = models.ForeignKey(DocumentVersion, models.SET_NULL, null=True, related_name="+")
    # The place of the act: page, api, admin or command.
    origin = models.CharField(max_length=12, blank=True)

    objects = AuditQuerySet.as_manager()
    delete = refuse

    class Meta:
        verbose_name_plural = "audit entries"
        ordering = ["-pk"]
        indexes = [models.Index(fields=["user", "at"], name="audit_of_a_person")]

    def __str__(self) -> str:
        return f"{self.username or self.origin}: {self.get_action_display().lower()}, {self.number}"

    def save(self, *args: Any, **options: Any) -> None:
        if not self._state.adding:
            refuse()
        super().save(*args, **options)
