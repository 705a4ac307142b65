"""The mails with which people reset their passwords."""

from datetime import timedelta

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from .lease import FromNow


class ResetMail(models.Model):
    """When a person was last mailed a link: a stranger who knows the address must not fill the mailbox."""

    PAUSE = timedelta(minutes=5)

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="+")
    mailed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return str(self.user)

    @classmethod
    def take(cls, user: AbstractBaseUser) -> bool:
        """Return whether a mail may be sent now, and note it: of several processes, one sends it."""
        mine, _ = cls.objects.get_or_create(user=user)
        rested = Q(mailed_at=None) | Q(mailed_at__lt=FromNow(-cls.PAUSE))
        return bool(cls.objects.filter(rested, pk=mine.pk).update(mailed_at=Now()))
