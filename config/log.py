"""The configuration of the log."""

from typing import Any


def logging_to_console(log_format: str) -> dict[str, Any]:
    """Return the configuration of logging; ``log_format`` is "line" or "json"."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": "assessments.logs.LineFormatter",
                "format": "{asctime} {levelname} {name}: {message}",
                "style": "{",
            },
            "json": {"()": "assessments.logs.ObjectFormatter"},
        },
        "filters": {"subject": {"()": "assessments.logs.SubjectFilter"}},
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": log_format, "filters": ["subject"]},
        },
        "root": {"handlers": ["console"], "level": "INFO"},
        "loggers": {
            "django": {"level": "INFO"},
            "django.server": {"handlers": [], "propagate": True},
            # One line for each request, in JSON only: machines can tell these lines from the others.
            "assessments.server.request_log": {"level": "INFO" if log_format == "json" else "WARNING"},
            # The pool warns at each try while the server is away. The code that needs a connection logs this, too.
            "psycopg.pool": {"level": "ERROR"},
            # These loggers write a line for each task, connection or request.
            **{
                name: {"level": "WARNING"}
                for name in (
                    "django_tasks_db",
                    "django.tasks",
                    "celery",
                    "django_eventstream",
                    "daphne",
                    "axes",
                    "botocore",
                )
            },
        },
    }
