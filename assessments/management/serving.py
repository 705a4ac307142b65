"""What the commands that serve have in common."""

from typing import Any

from django.core.management.base import BaseCommand

from assessments import site


class ServingCommand(BaseCommand):
    """One of the processes that serve. What ``serve`` has looked at for all of them, it does not look at again."""

    def check(self, *arguments: Any, **options: Any) -> None:
        super().check(*arguments, **options)
        site.confirm()
