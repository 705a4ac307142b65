"""Hostile texts, and assessments with a hostile text in every column."""

import json
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.contrib.auth.models import User
from django.db import models

from assessments.models import Assessment, Client, Estimate, Office, Photo, Repairer
from tests import cast

TEXTS = {
    "markup": "<script>alert(1)</script><img src=x onerror=alert(1)></style></p><!-- &amp; &#60;i&gt; <b",
    "css": "} body {display: none} @import url(file:///etc/passwd); url(http://127.0.0.1:9/x) /* </style> \\",
    "template": "{{ 7|add:7 }}{% load static %}{{ settings.SECRET_KEY }}{# none #} {{ snapshot }} %(a)s %s {0}",
    "writing": "\u202egpj.exe\u202c\u200b\u200d\ufeffe\u0301\u0302\u0303 \u05e4\u05d2\u05d5\u05e9"
    " \u0633\u0644\u0627\u0645 \u5de6\u5f8c\u8449 \U0001f600\U0001f469\u200d\U0001f527\u2066",
    "formula": "=cmd|' /C calc'!A0;+1;-1\t@SUM(A1:A9)",
    "path": '../../etc/passwd\\..\\C:\\x/a|b?*:"<>.. CON...',
    "lines": '\r\nInjected: a\r\n\r\ndata: {"status": "complete"}\rid: 999\n\n2026-01-01 INFO forged\u2028b\x85c',
    "control": "a\x01b\x08c\x1b[31md\x7fe\x9bf\x0bg\x0ch",
    "quoted": "\"; filename=\"evil.exe'; DROP TABLE a; -- \\\" <a href='javascript:alert(1)'>",
}
# The models and columns without a text of people, and the reasons.
EXEMPT = {
    "Office.accent_colour": "too short to be told from others; what is no colour is replaced, see test_paper",
    "Estimate.currency": "too short to be told from others",
    "Counter": "written by the program alone",
    "Removal": "written by the program alone",
    "Heartbeat": "written by the program alone",
    "Tally": "written by the program alone",
    "Batch.origin": "written by the program alone",
    "Attempt.worker": "written by the program alone",
    "DocumentVersion.sha256": "written by the program alone",
    "Document.reference": "written by the program alone",
    "Document.message": "made from the texts that are tried",
    "Document.error": "made from the texts that are tried",
    "Attempt.error": "made from the texts that are tried",
    "DocumentVersion.message": "made from the texts that are tried",
    "AuditEntry": "made from the texts that are tried",
    "User.password": "never shown",
}

# The name of a photo whose file is lost. The error of the failed document contains the name.
LOST = TEXTS["lines"] + TEXTS["markup"] + "lost"

Column = models.Field[Any, Any]


def columns() -> dict[str, Column]:
    """Return the columns of all models that take any text, by their names such as ``Vehicle.make``."""
    found: dict[str, Column] = {}
    tables: list[type[models.Model]] = [*apps.get_app_config("assessments").get_models(), User]
    for model in tables:
        for column in model._meta.concrete_fields:
            name = f"{model.__name__}.{column.name}"
            text = isinstance(column, models.CharField | models.TextField) and column.editable and not column.choices
            if text and not {name, model.__name__} & EXEMPT.keys():
                found[name] = column
    return found


def mark(name: str) -> str:
    """Return the ending of a column's texts, by which a test finds the texts again."""
    return f"q{list(columns()).index(name):02}w"


def text(name: str, turn: int) -> str:
    """Return the text of a column: another text at each turn, and each text once in ``len(TEXTS)`` turns."""
    column, ending = columns()[name], mark(name)
    if column.model is Office:
        # The only row of the office keeps its texts.
        turn = 0
    start = list(TEXTS.values())[(list(columns()).index(name) + turn) % len(TEXTS)]
    return start[: column.max_length - len(ending) if column.max_length else None] + ending


def values(model: type[models.Model], turn: int) -> dict[str, str]:
    return {column.name: text(name, turn) for name, column in columns().items() if column.model is model}


def write() -> str:
    """Make an assessment for each turn, with a hostile text in every column; return their numbers as JSON.

    A photo of the first assessment has lost its file, and a photo of the second assessment cannot be printed.
    """
    numbers = []
    for turn in range(len(TEXTS)):
        assessor = User.objects.create(**values(User, turn))
        if turn % 2:
            # The site shows the user name of a person without other names.
            User.objects.filter(pk=assessor.pk).update(first_name="", last_name="")
        assessment = cast.make_assessment(assessor)
        Assessment.objects.filter(pk=assessment.pk).update(
            client=Client.objects.create(**values(Client, turn)), **values(Assessment, turn)
        )
        Estimate.objects.filter(assessment=assessment).update(
            repairer=Repairer.objects.create(**values(Repairer, turn)), currency="<b>"
        )
        for rows in belongings(assessment):
            rows.update(**values(rows.model, turn))
        numbers.append(assessment.number)
    Office.objects.update_or_create(pk=1, defaults={**values(Office, 0), "accent_colour": "red}*{"})
    spoil(numbers)
    return json.dumps(numbers)


def belongings(assessment: Assessment) -> Iterator[models.QuerySet[Any]]:
    """Yield the rows of other tables that belong to an assessment and have texts."""
    for model in {column.model for column in columns().values()}:
        for path in ("assessment", "estimate__assessment"):
            if path.partition("__")[0] in {column.name for column in model._meta.fields}:
                yield model._default_manager.filter(**{path: assessment})


def spoil(numbers: list[str]) -> None:
    lost, unprinted = (Photo.objects.filter(assessment__number=number).first() for number in numbers[:2])
    assert lost
    assert unprinted
    lost.original.storage.delete(str(lost.original.name))
    for photo, values in (
        (lost, {"name": LOST, "problem": "The file is missing. Upload the photo again."}),
        (unprinted, {"problem": TEXTS["markup"]}),
    ):
        Photo.objects.filter(pk=photo.pk).update(
            state=Photo.State.UNREADABLE, print_image="", thumbnail="", lease_token=None, **values
        )
    cast.look_at_all()
