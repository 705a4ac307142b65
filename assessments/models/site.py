"""The site that a database belongs to."""

from django.db import models


class Site(models.Model):
    """The site's id, in one row. The same id is stored beside the files; each process compares both at its start."""

    # A second row is impossible. When several `prepare` run at the same moment, one of them makes the id.
    number = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    site_id = models.CharField(max_length=40, editable=False)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(number=1), name="one_site")]

    def __str__(self) -> str:
        return self.site_id
