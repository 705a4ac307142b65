import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import assessments.models.fields


class Migration(migrations.Migration):
    dependencies = [
        ("assessments", "0009_clock_search_history"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.CreateModel(
            "Removal",
            [
                ("number", models.CharField(max_length=20, primary_key=True, serialize=False)),
                ("removed_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("cleared_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            "ResetMail",
            [
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("mailed_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.AlterField(
            "auditentry",
            "action",
            assessments.models.fields.ChoiceField(
                choices=[
                    ("requested", "Asked for all"),
                    ("retried", "Asked again for some"),
                    ("cancelled", "Cancelled"),
                    ("downloaded", "Downloaded"),
                    ("removed", "Removed with all its data"),
                ],
                max_length=24,
            ),
        ),
    ]
