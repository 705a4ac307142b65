"""A photo of the assessment: the original, byte for byte, and the small pictures made from it."""

from datetime import timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.utils import timezone

from .assessment import Assessment
from .fields import ChoiceField


def original_name(photo: "Photo", filename: str) -> str:
    return f"photos/{photo.assessment.number}/{photo.sha256[:16]}.{photo.extension}"


def print_image_name(photo: "Photo", filename: str) -> str:
    return f"photos/{photo.assessment.number}/print/{photo.sha256[:16]}.jpg"


def thumbnail_name(photo: "Photo", filename: str) -> str:
    return f"photos/{photo.assessment.number}/thumbnail/{photo.sha256[:16]}.jpg"


class PhotoQuerySet(models.QuerySet["Photo"]):
    def unprepared(self) -> Self:
        return self.filter(print_image="", problem="")

    def forgotten(self) -> Self:
        """Those that should have been prepared long ago; after a day, whatever stops it will not go away."""
        now = timezone.now()
        return self.unprepared().filter(uploaded_at__range=(now - timedelta(days=1), now - timedelta(minutes=10)))


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

    assessment = models.ForeignKey(Assessment, models.CASCADE, related_name="photos")
    section = ChoiceField(choices=Section, default=Section.DAMAGE)
    position = models.PositiveIntegerField(default=0)
    caption = models.CharField(max_length=200, blank=True)
    original = models.FileField(upload_to=original_name)
    # The name the file came with: shown and listed, never used as a path.
    name = models.CharField("file name", max_length=255)
    # The true type, by content: an extension without the dot, such as "jpg".
    extension = models.CharField(max_length=5, editable=False)
    size = models.PositiveBigIntegerField("bytes", editable=False)
    width = models.PositiveIntegerField("width (px)", editable=False)
    height = models.PositiveIntegerField("height (px)", editable=False)
    sha256 = models.CharField("SHA-256", max_length=64, editable=False)
    print_image = models.FileField(upload_to=print_image_name, blank=True, editable=False)
    thumbnail = models.FileField(upload_to=thumbnail_name, blank=True, editable=False)
    # Why no print image could be made, in the user's words.
    problem = models.CharField(max_length=200, blank=True, editable=False)
    uploaded_at = models.DateTimeField(auto_now_add=True)
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+"
    )

    objects = PhotoQuerySet.as_manager()

    class Meta:
        ordering = ["position", "pk"]

    def __str__(self) -> str:
        return self.caption or self.name
