"""A photo of the assessment: the original, byte for byte, and the small pictures made from it."""

import random
import uuid
from datetime import timedelta
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Min, Q
from django.db.models.functions import Now

from .assessment import Assessment
from .document import Document
from .fields import ChoiceField
from .heartbeat import Heartbeat
from .lease import MAX_ATTEMPTS, PATIENCE, from_now


def original_name(photo: "Photo", filename: str) -> str:
    return f"photos/{photo.assessment.number}/{photo.sha256[:16]}.{photo.extension}"


def print_image_name(photo: "Photo", filename: str) -> str:
    return f"photos/{photo.assessment.number}/print/{photo.sha256[:16]}.jpg"


def thumbnail_name(photo: "Photo", filename: str) -> str:
    return f"photos/{photo.assessment.number}/thumbnail/{photo.sha256[:16]}.jpg"


class PhotoQuerySet(models.QuerySet["Photo"]):
    def new(self) -> Self:
        return self.filter(state=Photo.State.NEW)

    def waiting(self) -> Self:
        """New photos that no worker is looking at, and of which a worker has not yet stopped too often."""
        free = Q(lease_expires_at=None) | Q(lease_expires_at__lt=Now())
        return self.new().filter(free, attempts__lt=MAX_ATTEMPTS)

    def claim(self) -> "Photo | None":
        """Take the lease of the photo that comes next of this query set, or return None when none waits.

        Among the people who wait lots are drawn, one for each, and the person's oldest photo comes next.
        """
        while oldest := self.waiting().order_by().values("uploaded_by").annotate(oldest=Min("pk")):
            token = uuid.uuid4()
            # Nobody renews it: it is longer than a look at a photo may take.
            expiry = from_now(settings.LEASE + timedelta(seconds=settings.PHOTO_DEADLINE))
            chosen = Photo.objects.waiting().filter(pk=random.choice(oldest)["oldest"])
            if chosen.update(lease_token=token, lease_expires_at=expiry, attempts=F("attempts") + 1):
                return self.select_related("assessment").filter(lease_token=token).first()
        return None

    def give_up(self, problem: str) -> None:
        lost = self.new().filter(lease_expires_at__lt=Now(), attempts__gte=MAX_ATTEMPTS)
        lost.update(**Photo.unreadable(problem))

    def forgotten(self) -> bool:
        """Whether photos wait although a worker is alive and none is at work: the wake-up for them was lost."""
        busy = self.filter(lease_expires_at__gte=Now()).exists() or Document.objects.processing().exists()
        return not busy and self.waiting().exists() and Heartbeat.alive(Heartbeat.Role.WORKER) > 0


class Photo(models.Model):
    class Section(models.TextChoices):
        """In the order of the documents; the label is the heading, see ``folder`` for the ZIP."""

        VEHICLE_IDENTIFICATION = "vehicle_identification", "Vehicle identification"
        EXTERIOR_360 = "exterior_360", "Exterior 360"
        INTERIOR_MECHANICAL = "interior_mechanical", "Interior and mechanical"
        TYRES_AND_RIMS = "tyres_and_rims", "Tyres and rims"
        DAMAGE = "damage", "Damage"
        PRE_INCIDENT = "pre_incident", "Pre-incident"
        ADDITIONALS = "additionals", "Additionals"
        ACCESSORIES = "accessories", "Accessories"

        @property
        def folder(self) -> str:
            """Its folder in the ZIP, such as ``04_Tyres_and_Rims``."""
            place = type(self).values.index(self.value) + 1
            return f"{place:02}_{self.value.title().replace('_And_', '_and_')}"

    class State(models.TextChoices):
        NEW = "new", "Being looked at"
        READY = "ready", "Ready"
        UNREADABLE = "unreadable", "Unreadable"

    assessment = models.ForeignKey(Assessment, models.CASCADE, related_name="photos")
    section = ChoiceField(choices=Section, default=Section.DAMAGE)
    position = models.PositiveIntegerField(default=0)
    caption = models.CharField(max_length=200, blank=True)
    original = models.FileField(upload_to=original_name)
    # The name the file came with: shown and listed, never used as a path.
    name = models.CharField("file name", max_length=255)
    # The type by its first bytes: an extension without the dot, such as "jpg".
    extension = models.CharField(max_length=5, editable=False)
    size = models.PositiveBigIntegerField("bytes", editable=False)
    sha256 = models.CharField("SHA-256", max_length=64, editable=False)
    state = ChoiceField(choices=State, default=State.NEW, db_default=State.NEW, editable=False)
    # Of the upright photo; known when it is ready.
    width = models.PositiveIntegerField("width (px)", null=True, editable=False)
    height = models.PositiveIntegerField("height (px)", null=True, editable=False)
    print_image = models.FileField(upload_to=print_image_name, blank=True, editable=False)
    thumbnail = models.FileField(upload_to=thumbnail_name, blank=True, editable=False)
    # Why it is unreadable and what to do, in the user's words.
    problem = models.CharField(max_length=200, blank=True, editable=False)
    # While a worker looks at it, and until it is tried again: nobody else looks at it before the lease expires.
    lease_token = models.UUIDField(null=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    uploaded_at = models.DateTimeField(auto_now_add=True)
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+"
    )

    objects = PhotoQuerySet.as_manager()

    class Meta:
        ordering = ["position", "pk"]
        indexes = [models.Index(fields=["state"], condition=Q(state="new"), name="photo_new")]

    def __str__(self) -> str:
        return self.caption or self.name

    # The ways out of a worker's hands. Each is one conditional UPDATE, and tells whether the lease was still held.

    def make_ready(self, size: tuple[int, int], print_image: str, thumbnail: str) -> bool:
        width, height = size
        return self._end(
            state=self.State.READY, width=width, height=height, print_image=print_image, thumbnail=thumbnail
        )

    def make_unreadable(self, problem: str) -> bool:
        return self._end(**self.unreadable(problem))

    def try_again(self, problem: str) -> bool:
        """Have it looked at again in a while; where that was tried often enough, it is unreadable."""
        if self.attempts >= MAX_ATTEMPTS:
            return self.make_unreadable(problem)
        return self._end(lease_expires_at=from_now(PATIENCE))

    def release(self) -> bool:
        """Have it looked at again in a while, as if this time had not been: the photo is not to blame."""
        return self._end(lease_expires_at=from_now(PATIENCE), attempts=F("attempts") - 1)

    def begin_again(self, original: str) -> None:
        """Be new again, with another file in the place of one that is missing."""
        missing = Photo.objects.filter(pk=self.pk, state=self.State.UNREADABLE)
        missing.update(state=self.State.NEW, original=original, problem="", attempts=0)
        self.refresh_from_db()

    def _end(self, **values: Any) -> bool:
        mine = Photo.objects.new().filter(pk=self.pk, lease_token=self.lease_token)
        if ended := bool(mine.update(**{"lease_token": None, "lease_expires_at": None, **values})):
            self.state = values.get("state", self.state)
        return ended

    @classmethod
    def unreadable(cls, problem: str) -> dict[str, Any]:
        return {"state": cls.State.UNREADABLE, "problem": problem, "lease_token": None, "lease_expires_at": None}
