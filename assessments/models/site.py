"""The site that a database belongs to."""

from django.db import models


class Site(models.Model):
    """One row. The same id lies beside the stored files, so that each process can see at its start that they match."""

    # A second row is impossible: of several `prepare` at the same moment, one makes the id.
    number = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    site_id = models.CharField(max_length=40, editable=False)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(number=1), name="one_site")]

    def __str__(self) -> str:
        return self.site_id
