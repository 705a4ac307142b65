from pathlib import Path

from django.db import migrations

from assessments import migrations as before
from assessments.documents.kinds import CHOICES
from assessments.documents.slots import open_slots
from assessments.models.fields import ChoiceField

# The newest migration of the application.
LAST = max(file.stem for file in Path(before.__path__[0]).glob("[0-9]*.py"))


class Migration(migrations.Migration):
    dependencies = [("assessments", LAST)]
    operations = [
        migrations.AlterField("document", "kind", ChoiceField(choices=CHOICES)),
        migrations.RunPython(open_slots("letter"), migrations.RunPython.noop),
    ]
