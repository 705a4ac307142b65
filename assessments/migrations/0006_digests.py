"""What documents show is compared by digests, and no longer by clocks.

The columns of the clocks stay in the database for the version before this one, which may still run beside it. They get
a default there, and the version after this one drops them.
"""

from django.db import migrations, models
from django.db.models import F, Q
from django.db.models.functions import Now

CLOCKS = {
    "report": {"details_changed_at": "Assessment", "estimate_changed_at": "Estimate"},
    "estimate": {"estimate_changed_at": "Estimate"},
    "photos-pdf": {"photos_changed_at": "Photos"},
    "photos-zip": {"photos_changed_at": "Photos"},
}


def keep_marks(apps, schema_editor):
    """Mark what was out of date by the clocks: versions from before have no digests to compare."""
    Document = apps.get_model("assessments", "Document")
    for kind, clocks in CLOCKS.items():
        for clock, name in clocks.items():
            later = Q(**{f"assessment__{clock}__gt": F("current__as_of")})
            pks = list(Document.objects.filter(later, kind=kind).values_list("pk", flat=True))
            Document.objects.filter(pk__in=pks).update(outdated_by=name, outdated_at=Now())


class Migration(migrations.Migration):
    dependencies = [("assessments", "0005_bulk_request")]

    operations = [
        migrations.AddField("document", "outdated_by", models.CharField(blank=True, db_default="", editable=False, max_length=200)),
        migrations.AddField("document", "outdated_at", models.DateTimeField(null=True)),
        migrations.AddField("documentversion", "digests", models.JSONField(default=dict, db_default={})),
        migrations.RunPython(keep_marks, migrations.RunPython.noop, elidable=True),
        migrations.AlterField("documentversion", "made_at", models.DateTimeField(db_default=Now())),
        migrations.AlterField("documentversion", "as_of", models.DateTimeField(db_default=Now())),
        *(
            migrations.AlterField("assessment", clock, models.DateTimeField(db_default=Now(), editable=False))
            for clock in ("details_changed_at", "estimate_changed_at", "photos_changed_at")
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveField("documentversion", "as_of"),
                *(
                    migrations.RemoveField("assessment", clock)
                    for clock in ("details_changed_at", "estimate_changed_at", "photos_changed_at")
                ),
            ]
        ),
    ]
