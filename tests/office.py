"""The office's work in the admin without a browser: opening pages, sending forms, reading answers."""

import html
import re
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client as Visitor

from assessments.documents import queue
from assessments.models import (
    Assessment,
    BulkRequest,
)

LIST = "/admin/assessments/assessment/"
PROGRESS = f"{LIST}progress/"


def visitor_of(person: User) -> Visitor:
    visitor = Visitor()
    visitor.force_login(person)
    return visitor


# Django writes each tag in one form: attributes in double quotes, and no ">" within them.
TAG = re.compile(r"<(input|select|option|textarea)\b([^>]*)>(?:([^<]*)</textarea>)?")
ATTRIBUTE = re.compile(r'([a-z-]+)(?:="([^"]*)")?')


def form_values(page: str) -> dict[str, str]:
    """Return the values that a browser would send for the unchanged forms of a page.

    A parser of HTML would take seconds for a page of hundreds of fields.
    """
    values: dict[str, str] = {}
    inside = ""
    for tag, attributes, text in TAG.findall(page):
        facts = {name: html.unescape(value) for name, value in ATTRIBUTE.findall(attributes)}
        name = facts.get("name", "")
        if tag == "input" and name and "disabled" not in facts:
            box = facts.get("type") in {"checkbox", "radio"}
            ticked = not box or "checked" in facts
            if ticked and facts.get("type") not in {"submit", "file"}:
                values[name] = facts.get("value", "on" if box else "")
        if tag == "textarea":
            values[name] = html.unescape(text.removeprefix("\n"))
        if tag == "select":
            inside = name
            values.setdefault(name, "")
        if tag == "option" and "selected" in facts:
            values[inside] = facts.get("value", "")
    return values


def fields_of(visitor: Visitor, address: str) -> dict[str, str]:
    response = visitor.get(address)
    assert response.status_code == 200
    found = form_values(response.content.decode())
    return {name: value for name, value in found.items() if "__prefix__" not in name}


def change_page(assessment: Assessment) -> str:
    return f"{LIST}{assessment.pk}/change/"


def act(visitor: Visitor, action: str, *assessments: Assessment, **more: str) -> HttpResponse:
    chosen = [assessment.pk for assessment in assessments]
    return visitor.post(LIST, {"action": action, "_selected_action": chosen, **more})  # type: ignore[return-value]


def live_page(*assessments: Assessment) -> str:
    """Return the address of the live page of another user's bulk request."""
    somebody = User.objects.get_or_create(username="somebody")[0]
    bulk_request = BulkRequest.begin(BulkRequest.Action.GENERATE, assessments, by=somebody)
    return f"{PROGRESS}{bulk_request.pk}/"


def told(response: HttpResponse) -> list[str]:
    return re.findall(r'<li class="(?:success|info|warning|error)">(.*?)</li>', response.content.decode())


def statuses(assessment: Assessment) -> list[str]:
    return list(assessment.documents.order_by("position").values_list("status", flat=True))


def fail_all(assessment: Assessment) -> None:
    queue.request(assessment)
    while attempt := queue.claim(assessment.pk):
        attempt.fail("This assessment has no photos. Add photos, then retry.")


def rows_of(page: Any) -> list[str]:
    """Return the primary keys of the assessments that have a row on a page."""
    return re.findall(r'<tr id="assessment-(\d+)"', page.content.decode())


def with_history(assessment: Assessment) -> None:
    """Let an assessment's report fail and its other documents succeed, each with an attempt."""
    queue.request(assessment, by=assessment.assessor, origin="page")
    while attempt := queue.claim(assessment.pk):
        if attempt.document.kind == "report":
            attempt.fail("The report broke.")
        else:
            attempt.finish(size=3, sha256="0" * 64, message="1 page", pages=1)


def errors_in(response: Any) -> str:
    """Return the error messages of a page, without HTML."""
    lists = re.findall(r'<ul class="errorlist.*?</ul>', response.content.decode(), re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", text) for text in lists)
