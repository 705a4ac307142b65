import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


def name_askers(apps, schema_editor):
    """Name who asked for the documents that wait or are being made; the others get a name when they are asked for."""
    batches = apps.get_model("assessments", "Batch").objects
    asker = batches.filter(pk=models.OuterRef("batch")).values("requested_by")
    active = apps.get_model("assessments", "Document").objects.filter(status__in=["pending", "processing"])
    active.update(requested_by=models.Subquery(asker))


class Migration(migrations.Migration):

    dependencies = [
        ('assessments', '0011_outcome_is_the_label_of_a_result'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='document',
            name='requested_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.RunPython(name_askers, migrations.RunPython.noop),
        migrations.CreateModel(
            name='Joining',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('requested_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('mailed_at', models.DateTimeField(null=True)),
                ('batch', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='joinings', to='assessments.batch')),
                ('bulk_request', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='assessments.bulkrequest')),
                ('requested_by', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-pk'],
                'constraints': [models.UniqueConstraint(fields=('batch', 'requested_by'), name='person_joins_a_batch_once')],
            },
        ),
    ]
