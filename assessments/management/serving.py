"""What the commands that serve have in common."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, connection, connections

from config.checks import check_other_machines


def look_around() -> None:
    """Raise CommandError when this machine is not where it belongs: see who else serves from the same database."""
    if found := check_other_machines(None, databases=["default"]):
        raise CommandError("\n".join(f"{each.msg} {each.hint}" for each in found))


def limit_statements() -> None:
    """End each statement of this process that takes too long; what migrates or prunes may take long."""
    if connection.vendor == "postgresql":
        limit = f" -c statement_timeout={settings.STATEMENT_TIMEOUT}s"
        connections.settings[DEFAULT_DB_ALIAS]["OPTIONS"]["options"] += limit


class ServingCommand(BaseCommand):
    """One of the processes that serve. What ``serve`` has looked at for all of them, it does not look at again."""

    def check(self, *arguments: Any, **options: Any) -> None:
        super().check(*arguments, **options)
        look_around()
