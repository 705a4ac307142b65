"""The photos of an assessment: moved, captioned and removed here, uploaded on the assessment's own page."""

from functools import partial

from django.contrib import admin
from django.db import models, transaction
from django.db.models import Case, QuerySet, When
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from assessments.models import (
    Photo,
)
from assessments.photos.intake import remove
from assessments.storage.temporary import note

from .base import RowFormSet, Tabular

# The place of each section on the page and in the documents.
PLACE = Case(*(When(section=section, then=place) for place, section in enumerate(Photo.Section.values)))


class PhotoFormSet(RowFormSet):
    def delete_existing(self, obj: Photo, commit: bool = True) -> None:
        super().delete_existing(obj, commit=commit)
        names = [str(file.name) for column in Photo.PICTURES if (file := getattr(obj, column))]
        # The row is gone by then, so an error of the storage must not fail the request.
        transaction.on_commit(partial(remove, note(*names), *names), robust=True)


class PhotoInline(Tabular):
    """The present photos. New photos are uploaded on the assessment's own page."""

    model = Photo
    formset = PhotoFormSet
    # A hundred photos would hide what comes below them.
    classes = ["collapse"]
    fields = ["picture", "section", "position", "caption", "facts"]
    readonly_fields = ["picture", "facts"]

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Photo]:
        return super().get_queryset(request).select_related("assessment").order_by(PLACE, "position", "pk")

    def picture(self, photo: Photo) -> SafeString | str:
        if not photo.thumbnail:
            return photo.get_state_display()
        address = reverse("assessments:thumbnail", args=[photo.assessment.number, photo.pk])
        return format_html('<img src="{}" alt="" loading="lazy" height="64">', address)

    @admin.display(description="file name")
    def facts(self, photo: Photo) -> str:
        pixels = f"{photo.width} x {photo.height} px" if photo.width else ""
        return ", ".join(filter(None, [photo.name, pixels, filesizeformat(photo.size), photo.problem]))
