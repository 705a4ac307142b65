"""Requests that a process with a site's environment answers itself: its middleware and its views, and no server."""

import json

from django.template.response import SimpleTemplateResponse
from django.test import Client


def statuses(asked: str, csrf_token: str) -> str:
    """Answer requests, given in JSON as methods, paths and sessions; return the statuses of the answers in JSON."""
    headers = {"Host": "127.0.0.1", "X-CSRFToken": csrf_token}
    client = Client(enforce_csrf_checks=True, raise_request_exception=False, headers=headers)
    rendered, empty = SimpleTemplateResponse.rendered_content, property(lambda response: "")
    answers = []
    for method, path, session in json.loads(asked):
        client.cookies.clear()
        client.cookies.load({"csrftoken": csrf_token} | ({"sessionid": session} if session else {}))
        # A page looks the same to all methods that only show it. Rendering takes most of the time.
        shown = rendered if method in {"GET", "POST"} else empty
        SimpleTemplateResponse.rendered_content = shown  # type: ignore[method-assign]
        answers.append(client.generic(method, path).status_code)
    return json.dumps(answers)
