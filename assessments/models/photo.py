"""A photo of the assessment: the original, byte for byte, and the small pictures made from it."""

import random
import uuid
from collections.abc import Iterable
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
from .lease import MAX_ATTEMPTS, PATIENCE, FromNow


def photos_folder(number: str) -> str:
    """Return the folder of all photos of the assessment of that number, and of their small pictures."""
    return f"photos/{number}"


def numbers_of(files: Iterable[str]) -> set[str]:
    """Return the numbers of the assessments in whose folders files are."""
    return {name.split("/")[1] for name in files}


def original_name(photo: "Photo", filename: str) -> str:
    return f"{photos_folder(photo.assessment.number)}/{photo.sha256[:16]}.{photo.extension}"


def print_image_name(photo: "Photo", filename: str) -> str:
    return f"{photos_folder(photo.assessment.number)}/print/{photo.sha256[:16]}.jpg"


def thumbnail_name(photo: "Photo", filename: str) -> str:
    return f"{photos_folder(photo.assessment.number)}/thumbnail/{photo.sha256[:16]}.jpg"


class PhotoQuerySet(models.QuerySet["Photo"]):
    def new(self) -> Self:
        return self.filter(state=Photo.State.NEW)

    def waiting(self) -> Self:
        """Return new photos that no worker has leased and that have attempts left."""
        free = Q(lease_expires_at=None) | Q(lease_expires_at__lt=Now())
        return self.new().filter(free, attempts__lt=MAX_ATTEMPTS)

    def claim(self) -> "Photo | None":
        """Lease and return the next photo of this query set, or return None when no photo waits.

        A random draw chooses one of the people whose photos wait. That person's oldest photo is next.
        """
        while oldest := self.waiting().order_by().values("uploaded_by").annotate(oldest=Min("pk")):
            token = uuid.uuid4()
            # The lease is never renewed, so it is longer than decoding a photo may take.
            expiry = FromNow(settings.LEASE + timedelta(seconds=settings.PHOTO_DEADLINE))
            chosen = Photo.objects.waiting().filter(pk=random.choice(oldest)["oldest"])
            if chosen.update(lease_token=token, lease_expires_at=expiry, attempts=F("attempts") + 1):
                return self.select_related("assessment").filter(lease_token=token).first()
        return None

    def give_up(self, problem: str) -> list[int]:
        """Record that photos are unreadable at which workers stopped too often; return their assessments."""
        lost = self.new().filter(lease_expires_at__lt=Now(), attempts__gte=MAX_ATTEMPTS)
        concerned = list(lost.order_by().values_list("assessment", flat=True).distinct())
        if concerned:
            lost.update(**Photo.unreadable(problem))
        return concerned

    def forgotten(self) -> bool:
        """Return whether photos wait while a worker is alive and no worker is busy: their wake-up was lost."""
        if not self.waiting().exists():
            return False
        busy = self.new().filter(lease_expires_at__gte=Now()).exists() or Document.objects.processing().exists()
        return not busy and Heartbeat.alive(Heartbeat.Role.WORKER) > 0

    def unnamed(self, files: Iterable[str]) -> set[str]:
        """Return those of the stored files that no photo names, as its original or as a small picture."""
        left = set(files)
        # The number of an assessment may have changed since, so the rest is looked up by name.
        for there in (Q(assessment__number__in=numbers_of(left)), None):
            if left:
                named = there or Q(*((f"{column}__in", left) for column in Photo.PICTURES), _connector=Q.OR)
                left = left.difference(*self.filter(named).order_by().values_list(*Photo.PICTURES))
        return left


class Photo(models.Model):
    PICTURES = ("original", "print_image", "thumbnail")

    class Section(models.TextChoices):
        """The sections in the order of the documents. The label is the heading; ``folder`` is for the ZIP."""

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
            """The section's folder in the ZIP, such as ``04_Tyres_and_Rims``."""
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
    # The file name of the upload: shown and listed, never used as a path.
    name = models.CharField("file name", max_length=255)
    # The format, by the first bytes: an extension without the dot, such as "jpg".
    extension = models.CharField(max_length=5, editable=False)
    size = models.PositiveBigIntegerField("bytes", editable=False)
    sha256 = models.CharField("SHA-256", max_length=64, editable=False)
    state = ChoiceField(choices=State, default=State.NEW, db_default=State.NEW, editable=False)
    # The size of the upright photo; known when the photo is ready.
    width = models.PositiveIntegerField("width (px)", null=True, editable=False)
    height = models.PositiveIntegerField("height (px)", null=True, editable=False)
    print_image = models.FileField(upload_to=print_image_name, blank=True, editable=False)
    thumbnail = models.FileField(upload_to=thumbnail_name, blank=True, editable=False)
    # Why the photo is unreadable and what to do, in the user's words.
    problem = models.CharField(max_length=200, blank=True, editable=False)
    # No other worker decodes the photo before this lease expires. A failed attempt sets the time of the next attempt.
    lease_token = models.UUIDField(null=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    uploaded_at = models.DateTimeField(db_default=Now(), editable=False)
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+"
    )

    objects = PhotoQuerySet.as_manager()

    class Meta:
        ordering = ["position", "pk"]
        indexes = [models.Index(fields=["state"], condition=Q(state="new"), name="photo_new")]

    def __str__(self) -> str:
        return self.caption or self.name

    # The ends of a worker's attempt. Each is one conditional UPDATE, and returns whether the lease was still held.

    def make_ready(self, size: tuple[int, int], print_image: str, thumbnail: str) -> bool:
        width, height = size
        return self._end(
            state=self.State.READY, width=width, height=height, print_image=print_image, thumbnail=thumbnail
        )

    def make_unreadable(self, problem: str) -> bool:
        return self._end(**self.unreadable(problem))

    def try_again(self, problem: str) -> bool:
        """Let a worker decode the photo again after PATIENCE; after the last attempt, make it unreadable."""
        if self.attempts >= MAX_ATTEMPTS:
            return self.make_unreadable(problem)
        return self._end(lease_expires_at=FromNow(PATIENCE))

    def release(self) -> bool:
        """Let a worker decode the photo again after PATIENCE. Do not count this attempt: the photo is not to blame."""
        return self._end(lease_expires_at=FromNow(PATIENCE), attempts=F("attempts") - 1)

    def begin_again(self, lost: str, found: str) -> bool:
        """Make a photo new again, with the file ``found`` in place of ``lost``; return whether it still had that."""
        mine = Photo.objects.filter(pk=self.pk, original=lost)
        begun = bool(mine.update(**self.anew(), original=found))
        self.refresh_from_db()
        return begun

    def _end(self, **values: Any) -> bool:
        mine = Photo.objects.new().filter(pk=self.pk, lease_token=self.lease_token)
        if ended := bool(mine.update(**{"lease_token": None, "lease_expires_at": None, **values})):
            self.state = values.get("state", self.state)
        return ended

    @classmethod
    def unreadable(cls, problem: str) -> dict[str, Any]:
        return {"state": cls.State.UNREADABLE, "problem": problem, "lease_token": None, "lease_expires_at": None}

    @classmethod
    def anew(cls) -> dict[str, Any]:
        nothing = dict.fromkeys(("problem", "print_image", "thumbnail"), "")
        return {"state": cls.State.NEW, "attempts": 0, "lease_token": None, "lease_expires_at": None, **nothing}
