from django.db import migrations

from assessments.documents.kinds import CHOICES
from assessments.documents.slots import open_slots
from assessments.models.fields import ChoiceField


class Migration(migrations.Migration):
    dependencies = [("assessments", "0007_wake_idle_workers")]
    operations = [
        migrations.AlterField("document", "kind", ChoiceField(choices=CHOICES)),
        migrations.RunPython(open_slots, migrations.RunPython.noop),
    ]
