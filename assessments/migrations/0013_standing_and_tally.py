from django.conf import settings
from django.db import migrations, models
from django.db.models import Case, Count, Exists, ExpressionWrapper, F, OuterRef, Q, Sum, Value, When

CLOSED = ~Q(status__in=["in_progress", "submitted"])
RUNNING = Q(standing__in=[0, 2])


def settle(apps, schema_editor):
    """Note how the documents of each assessment stand."""
    slots = apps.get_model("assessments", "Document").objects.filter(assessment=OuterRef("pk"))
    failed, made = (Exists(slots.filter(status=status)) for status in ("error", "success"))
    running = Exists(slots.filter(status__in=["pending", "processing"]))
    standing = Case(
        When(Q(failed, running), then=Value(0)),
        When(failed, then=Value(1)),
        When(running, then=Value(2)),
        When(made, then=Value(4)),
        default=Value(3),
    )
    apps.get_model("assessments", "Assessment").objects.filter(~Q(standing=standing)).update(standing=standing)


def count(apps, schema_editor):
    """Count the documents and the ended attempts. The attempts are marked as counted by the default of the column."""
    Tally, Document, Attempt = (apps.get_model("assessments", name) for name in ("Tally", "Document", "Attempt"))
    documents = Document.objects.order_by()
    documents.update(counted_as=F("status"))
    Tally.objects.bulk_create(
        Tally(subject="document", kind=kind, state=status, count=number)
        for kind, status, number in documents.values_list("kind", "status").annotate(Count("pk"))
    )
    attempts = Attempt.objects.order_by()
    attempts.filter(outcome="running").update(counted=False)
    rows = attempts.filter(counted=True).values_list("document__kind", "outcome")
    Tally.objects.bulk_create(
        Tally(subject="attempt", kind=kind, state=outcome, count=number, timed=timed, seconds=seconds or 0.0)
        for kind, outcome, number, timed, seconds in rows.annotate(Count("pk"), Count("seconds"), Sum("seconds"))
    )


def allow_all_actions(apps, schema_editor):
    """Let PostgreSQL, too, take each action of the audit log: Django alters no such check there."""
    if schema_editor.connection.vendor == "postgresql":
        entry = apps.get_model("assessments", "AuditEntry")
        action, table, name = entry._meta.get_field("action"), entry._meta.db_table, f"{entry._meta.db_table}_action_check"
        check = action.db_check(schema_editor.connection)
        schema_editor.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}, ADD CONSTRAINT {name} CHECK ({check})")


class Migration(migrations.Migration):
    dependencies = [
        ("assessments", "0012_askers"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.AddField("assessment", "standing", models.PositiveSmallIntegerField(
            choices=[
                (0, "Some failed, some running"),
                (1, "Some failed"),
                (2, "Some running"),
                (3, "None made"),
                (4, "Some made"),
            ],
            db_default=3,
            default=3,
            editable=False,
        )),
        migrations.RunPython(settle, migrations.RunPython.noop),
        migrations.AddField("assessment", "urgency", models.GeneratedField(
            db_persist=True,
            editable=False,
            expression=Case(
                When(CLOSED & RUNNING, then=Value(1)),
                When(CLOSED, then=Value(4)),
                When(standing__in=[0, 1], then=Value(0)),
                When(RUNNING, then=Value(1)),
                When(standing=3, then=Value(2)),
                default=Value(3),
            ),
            output_field=models.PositiveSmallIntegerField(),
        )),
        migrations.AddIndex(
            "assessment", models.Index(fields=["urgency", "-created_at", "-id"], name="assessment_urgency")
        ),
        migrations.AddIndex(
            "assessment",
            models.Index(fields=["assessor", "urgency", "-created_at", "-id"], name="assessment_urgency_of_one"),
        ),
        migrations.AddIndex("assessment", models.Index(fields=["-created_at", "-id"], name="assessment_newest")),
        migrations.CreateModel(
            name="Tally",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("subject", models.CharField(
                    choices=[("document", "Documents"), ("attempt", "Ended attempts")], max_length=12
                )),
                ("kind", models.CharField(max_length=40)),
                ("state", models.CharField(max_length=24)),
                ("count", models.BigIntegerField(default=0)),
                ("timed", models.BigIntegerField(default=0)),
                ("seconds", models.FloatField(default=0.0)),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("subject", "kind", "state"), name="tally_once")],
            },
        ),
        migrations.AddField("document", "counted_as", models.CharField(
            blank=True, db_default="", editable=False, max_length=24
        )),
        migrations.RunPython(allow_all_actions, migrations.RunPython.noop),
        # The first default marks the attempts that exist, without writing a row.
        migrations.AddField("attempt", "counted", models.BooleanField(db_default=True, editable=False)),
        migrations.RunPython(count, migrations.RunPython.noop),
        migrations.AddField("document", "uncounted", models.GeneratedField(
            db_persist=True,
            editable=False,
            expression=ExpressionWrapper(~Q(status=F("counted_as")), output_field=models.BooleanField()),
            output_field=models.BooleanField(),
        )),
        migrations.AlterField("attempt", "counted", models.BooleanField(db_default=False, editable=False)),
        migrations.AddIndex("attempt", models.Index(
            condition=Q(~Q(outcome="running"), counted=False), fields=["outcome"], name="attempt_uncounted"
        )),
        migrations.AddIndex("document", models.Index(
            condition=Q(uncounted=True), fields=["kind"], name="document_uncounted"
        )),
    ]
