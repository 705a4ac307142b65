"""The limits of leases: the number of attempts, the pause before another wake-up, and the database's clock."""

from datetime import datetime, timedelta
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models import DateTimeField, ExpressionWrapper, Func
from django.db.models.functions import Now
from django.db.models.sql import Query

MAX_ATTEMPTS = 3
# How long a pending document waits before a worker is woken again, and a photo before its next attempt.
PATIENCE = timedelta(seconds=10)


def database_now() -> datetime:
    """Return the present time by the database's clock, with a query of its own."""
    query = Query(None)
    query.add_annotation(Now(), "now")
    [[now]] = query.get_compiler(DEFAULT_DB_ALIAS).results_iter()
    return now  # type: ignore[no-any-return]


def read_at(row: object) -> datetime:
    """Return when a row was read, if its query notes that as ``read_at``; else the present time."""
    return getattr(row, "read_at", None) or database_now()


class FromNow(Func):
    """The time ``delay`` from now by the database's clock: the clocks of the machines may disagree."""

    template = "%(expressions)s"
    output_field = DateTimeField()

    def __init__(self, delay: timedelta) -> None:
        super().__init__(ExpressionWrapper(Now() + delay, output_field=DateTimeField()))
        self.seconds = delay.total_seconds()

    def as_sqlite(self, compiler: Any, connection: Any, **options: Any) -> Any:
        """Add in SQL. Django's addition calls Python, where a signal's exception would become a database error."""
        return "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW', %s)", [f"{self.seconds:f} seconds"]
