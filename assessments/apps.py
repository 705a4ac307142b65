from django.apps import AppConfig
from django.conf import settings


class AssessmentsConfig(AppConfig):
    name = "assessments"

    def ready(self) -> None:
        from .documents import outdated
        from .live import announce
        from .operations import checks as checks  # registers them

        announce.connect()
        outdated.connect()
        if settings.SENTRY_DSN:
            # The library of Sentry costs memory and time, so a site without Sentry does not load it.
            from .operations import sentry

            sentry.start()
