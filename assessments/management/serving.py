"""What the commands that serve have in common."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.checks import check_other_machines


def look_around() -> None:
    """Raise CommandError when this machine is not where it belongs: see who else serves from the same database."""
    if found := check_other_machines(None, databases=["default"]):
        raise CommandError("\n".join(f"{each.msg} {each.hint}" for each in found))


class ServingCommand(BaseCommand):
    """One of the processes that serve. What ``serve`` has looked at for all of them, it does not look at again."""

    def check(self, *arguments: Any, **options: Any) -> None:
        super().check(*arguments, **options)
        look_around()
