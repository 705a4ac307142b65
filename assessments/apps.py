from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig
from django.http import HttpRequest
from django.shortcuts import redirect

# The rows by which the site runs. The office needs them only to look for the cause of a fault.
MACHINERY = {"Attempt", "Batch", "DBTaskResult", "Heartbeat"}


class OfficeSite(AdminSite):
    site_header = site_title = "Vehicle assessments"

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Redirect to the page on which guesses of the old password count as failures to sign in."""
        return redirect("password_change")

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Return the groups of the index. The machinery is a group of its own, and the last one."""
        groups = super().get_app_list(request, app_label)
        machinery = [model for group in groups for model in group["models"] if model["object_name"] in MACHINERY]
        for group in groups:
            group["models"] = [model for model in group["models"] if model not in machinery]
        if machinery:
            last = {**groups[0], "name": "Machinery", "app_label": "machinery", "models": machinery}
            groups.append(last)
        return [group for group in groups if group["models"]]


class OfficeConfig(AdminConfig):
    default_site = "assessments.apps.OfficeSite"


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
