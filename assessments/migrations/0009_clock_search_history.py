import logging
from functools import reduce

from django.db import Error, migrations, models, transaction
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Coalesce, Lower, Now, Replace

logger = logging.getLogger(__name__)

# Moments come from the clock of the database, as the clocks of machines may be wrong.
MOMENTS = {"assessment": "created_at", "attempt": "started_at", "batch": "requested_at", "photo": "uploaded_at"}
SEARCHED = {
    "assessment": ["number", "report_number", "claim_number", "policy_number", "insured_name"],
    "vehicle": ["registration", "vin", "engine_number", "make", "model", "variant"],
}
TEXT = models.TextField()


def searched(*columns):
    """Return the column as assessments/models/search.py defined it at the time of this migration."""
    facts = [Coalesce(F(column), Value(""), output_field=TEXT) for column in columns]
    apart = [part for fact in facts for part in (fact, Value("|"))]
    together = Func(*apart, template="(%(expressions)s)", arg_joiner=" || ", output_field=TEXT)
    bare = reduce(lambda text, mark: Replace(text, Value(mark), output_field=TEXT), " -/.,_'()", together)
    return models.GeneratedField(
        db_persist=True, editable=False, expression=Lower(bare, output_field=TEXT), output_field=TEXT
    )


def index_parts_of_words(apps, schema_editor):
    """Index the parts of words on PostgreSQL where pg_trgm is allowed; a search without the index reads all rows."""
    if schema_editor.connection.vendor != "postgresql":
        return
    try:
        with transaction.atomic(schema_editor.connection.alias), schema_editor.connection.cursor() as cursor:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except Error as refusal:
        logger.warning("PostgreSQL does not give pg_trgm (%s): a search of many assessments is slow", refusal)
        return
    for table in ("assessment", "vehicle"):
        schema_editor.execute(
            f"CREATE INDEX {table}_searched ON assessments_{table} USING gin (searched gin_trgm_ops)"
        )


class Migration(migrations.Migration):
    dependencies = [("assessments", "0008_data_changed_while_made")]
    operations = [
        *(
            migrations.AlterField(model, column, models.DateTimeField(db_default=Now(), editable=False))
            for model, column in MOMENTS.items()
        ),
        *(migrations.AddField(model, "searched", searched(*columns)) for model, columns in SEARCHED.items()),
        migrations.AddField("attempt", "file_removed_at", models.DateTimeField(editable=False, null=True)),
        migrations.AddIndex("attempt", models.Index(
            condition=Q(outcome__in=["lost", "released"], file_removed_at=None),
            fields=["ended_at"],
            name="attempt_may_have_left_file",
        )),
        migrations.AddIndex(
            "document", models.Index(condition=Q(status="error"), fields=["ended_at"], name="document_failed")
        ),
        migrations.AddIndex("documentversion", models.Index(fields=["number"], name="version_number")),
        migrations.RunPython(index_parts_of_words, migrations.RunPython.noop),
    ]
