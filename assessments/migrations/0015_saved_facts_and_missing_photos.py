from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('assessments', '0014_mails_that_were_not_sent'),
    ]

    operations = [
        migrations.AddField(
            model_name='assessment',
            name='facts_revision',
            field=models.PositiveBigIntegerField(db_default=0, default=0, editable=False),
        ),
        migrations.AddField(
            model_name='assessment',
            name='photos_revision',
            field=models.PositiveBigIntegerField(db_default=0, default=0, editable=False),
        ),
        migrations.AddField(
            model_name='documentversion',
            name='missing',
            field=models.PositiveIntegerField(db_default=0, default=0, verbose_name='photos missing'),
        ),
    ]
