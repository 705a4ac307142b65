from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("assessments", "0007_wake_idle_workers")]
    operations = [migrations.AddField("document", "data_changed_at", models.DateTimeField(null=True))]
