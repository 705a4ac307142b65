"""The files of the documents, one row for each file."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from .batch import Batch


class DocumentVersion(models.Model):
    """A file that an attempt produced. The newest version is the document's current one; the others are its history."""

    document = models.ForeignKey("Document", models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    attempt = models.OneToOneField("Attempt", models.SET_NULL, null=True, related_name="version")
    batch = models.ForeignKey(Batch, models.SET_NULL, null=True, related_name="versions")
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    made_at = models.DateTimeField(db_default=Now())
    # A digest of each part of the data that the file shows, by the part's name.
    digests = models.JSONField(default=dict, db_default={})
    file = models.FileField(max_length=200)
    size = models.PositiveBigIntegerField("bytes")
    sha256 = models.CharField("SHA-256", max_length=64)
    pages = models.PositiveIntegerField(null=True)
    photos = models.PositiveIntegerField(null=True)
    # The photos that the file leaves out, because nobody could read them.
    missing = models.PositiveIntegerField("photos missing", default=0, db_default=0)
    # The content in words, such as "7 pages" or "58 of 60 photos; unreadable: IMG_0012.jpg".
    message = models.TextField(blank=True)
    seconds = models.FloatField("seconds to make", default=0)

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["document", "number"], name="version_number_once")]
        # Pruning looks for documents with many versions.
        indexes = [models.Index(fields=["number"], name="version_number")]

    def __str__(self) -> str:
        return f"{self.document}, version {self.number}"
