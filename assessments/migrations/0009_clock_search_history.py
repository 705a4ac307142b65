from django.db import migrations, models
from django.db.models.functions import Now

BY_THE_DATABASE = {
    "assessment": "created_at",
    "attempt": "started_at",
    "batch": "requested_at",
    "photo": "uploaded_at",
}


class Migration(migrations.Migration):
    """Moments come from the clock of the database, as the clocks of machines may be wrong."""

    dependencies = [("assessments", "0008_data_changed_while_made")]
    operations = [
        migrations.AlterField(model, column, models.DateTimeField(db_default=Now(), editable=False))
        for model, column in BY_THE_DATABASE.items()
    ]
