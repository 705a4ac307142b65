"""PostgreSQL takes each choice that a model offers, also one that came with a later version."""

import json
import re
from pathlib import Path

import pytest
from django.apps import apps
from django.db import connection

from assessments.models.fields import ChoiceField
from tests.running import Site

CHECKS = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'c'"


def refused() -> str:
    """Return JSON: the choices that the database refuses, by model and field; and how many fields have choices."""
    found, fields = {}, 0
    with connection.cursor() as cursor:
        for model in apps.get_app_config("assessments").get_models():
            cursor.execute(CHECKS, [model._meta.db_table])
            checks = [check for (check,) in cursor.fetchall()]
            for field in model._meta.concrete_fields:
                if isinstance(field, ChoiceField):
                    fields += 1
                    of_field = re.compile(rf'"?{field.column}"?\)::text = ANY')
                    allowed = {
                        word for check in checks if of_field.search(check) for word in re.findall("'(.*?)'", check)
                    }
                    if left := {value for value, _ in field.flatchoices} - allowed:
                        found[f"{model.__name__}.{field.name}"] = sorted(map(str, left))
    return json.dumps([found, fields])


@pytest.fixture(scope="session")
def database() -> str:
    return "postgresql"


def test_postgresql_takes_each_choice_that_a_model_offers(site: Site) -> None:
    found, fields = site.python(f"from tests.site.{Path(__file__).stem} import refused; print(refused())")
    assert found == {}
    assert fields > 20
