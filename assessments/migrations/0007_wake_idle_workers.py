from django.db import migrations, models


class Migration(migrations.Migration):
    """The column stays for one more version: machines with the one before count in it until they have this one."""

    dependencies = [("assessments", "0006_digests")]
    operations = [
        migrations.AlterField("assessment", "wakes", models.PositiveIntegerField(default=0, db_default=0, editable=False)),
        migrations.SeparateDatabaseAndState(state_operations=[migrations.RemoveField("assessment", "wakes")]),
    ]
