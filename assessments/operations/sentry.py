"""Reports of faults to Sentry: the place in the program and the request or attempt, and no text that people wrote.

The texts of exceptions stay here: they name photos, people and rows. The log has these texts, under the same ids.
"""

import logging
from typing import Any, cast

import sentry_sdk
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.django import DjangoIntegration
from sentry_sdk.integrations.logging import LoggingIntegration, ignore_logger
from sentry_sdk.types import Event, Hint
from sentry_sdk.utils import BadDsn

from assessments.logs import subject

# The fields that a report keeps of those that the library collects.
KEPT = (
    *("event_id", "timestamp", "platform", "level", "logger", "release", "environment", "server_name", "sdk"),
    *("modules", "transaction", "transaction_info"),
)
KEPT_OF_EXCEPTION = ("type", "module", "mechanism", "stacktrace")
# The messages of these loggers are templates, with people's texts as arguments. Other loggers put both into one text.
TEMPLATES = ("assessments.", "config.", "django.")


def start() -> None:
    """Begin to report logged errors and uncaught exceptions. Raises ImproperlyConfigured for a bad SENTRY_DSN.

    Only the first report starts a thread, so each process that ``serve`` forks starts a thread of its own.
    """
    try:
        sentry_sdk.init(
            dsn=settings.SENTRY_DSN,
            environment=settings.SENTRY_ENVIRONMENT,
            release=settings.SENTRY_RELEASE,
            integrations=[
                DjangoIntegration(),
                LoggingIntegration(level=None, event_level=logging.ERROR),
                # A process that ends waits two seconds for unsent reports; the callback keeps that wait silent.
                AtexitIntegration(callback=lambda pending, timeout: None),
            ],
            auto_enabling_integrations=False,
            send_default_pii=False,
            max_request_body_size="never",
            include_local_variables=False,
            max_breadcrumbs=0,
            auto_session_tracking=False,
            trace_propagation_targets=[],
            before_send=without_texts,
        )
    except BadDsn as error:
        raise ImproperlyConfigured(f"SENTRY_DSN is not the address of a Sentry project: {error}.") from error
    # The supervisor forks, so a report must not start a thread in it: its errors are in the log alone.
    ignore_logger("assessments.server.supervisor")


def without_texts(event: Event, hint: Hint) -> Event:
    found = cast(dict[str, Any], event)
    report = {name: found[name] for name in KEPT if found.get(name)}
    report["tags"] = {name: str(value) for name, value in subject.get().items()}
    if request := found.get("request"):
        report["request"] = {"method": request.get("method"), "url": request.get("url", "").partition("?")[0]}
    if exceptions := found.get("exception"):
        values = [{name: each[name] for name in KEPT_OF_EXCEPTION if name in each} for each in exceptions["values"]]
        report["exception"] = {"values": values}
    if message := found.get("logentry"):
        logger = found.get("logger", "")
        report["logentry"] = {"message": message["message"] if logger.startswith(TEMPLATES) else f"Logged by {logger}"}
    return cast(Event, report)
