from django.apps import AppConfig
from django.conf import settings


class AssessmentsConfig(AppConfig):
    name = "assessments"

    def ready(self) -> None:
        from config import checks as checks  # registers them

        from . import stream
        from .documents import outdated

        stream.connect()
        outdated.connect()
        if settings.SENTRY_DSN:
            # Its library costs memory and time, which a site without it does not pay.
            from config import sentry

            sentry.start()
