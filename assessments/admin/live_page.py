"""The bulk actions on assessments, and the live page of a bulk request."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.humanize.templatetags.humanize import apnumber
from django.core.exceptions import BadRequest, PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django_htmx.http import HttpResponseClientRefresh

from assessments.documents import panel, progress, tasks
from assessments.documents.kinds import KINDS
from assessments.models import (
    Assessment,
    BulkRequest,
    Document,
)
from assessments.models.states import Step
from assessments.words import counted

from .base import row_key

# The most assessments that a message names; the message counts the rest.
NAMED = 5

# Assessments on one page of the live page.
PAGE = 50

# Each filter finds the assessments that have a document in one of these states.
STATES: dict[str, tuple[str, ...]] = {
    "failed": (Document.Status.ERROR,),
    "running": Document.ACTIVE,
    "missing": (Document.Status.IDLE,),
}

# The function of each action, and its messages: about the assessments that it changed, and about the others.
STEPS: dict[str, tuple[Any, ...]] = {
    BulkRequest.Action.GENERATE: (
        tasks.request_many,
        (messages.SUCCESS, "Documents asked for: {count}."),
        (messages.INFO, "Some were being made already, which this joined: {count}{names}."),
    ),
    BulkRequest.Action.RETRY: (
        tasks.retry_many,
        (messages.SUCCESS, "Failed documents asked for again: {count}{names}."),
        (messages.WARNING, "Skipped, because no document failed: {count}{names}."),
    ),
    BulkRequest.Action.CANCEL: (
        tasks.cancel_many,
        (messages.SUCCESS, "Documents cancelled: {count}{names}."),
        (messages.WARNING, "Skipped, because nothing was waiting or being made: {count}{names}."),
    ),
}

# The message about assessments whose state allows no new documents.
CLOSED = (messages.WARNING, "Skipped, because their state allows no new documents: {count}{names}.")


def by_number(chosen: QuerySet[Assessment]) -> list[Assessment]:
    """Return the assessments with only numbers and states loaded: there may be hundreds of assessments."""
    return list(chosen.select_related(None).prefetch_related(None).only("number", "status"))


def named(assessments: list[Assessment]) -> str:
    """Return the end of a message: the numbers of the first few assessments, and how many more there are."""
    numbers = [str(assessment) for assessment in assessments[:NAMED]]
    if len(assessments) > NAMED:
        numbers.append(f"and {len(assessments) - NAMED} more")
    return f" ({', '.join(numbers)})"


def live_page_of(bulk_request: BulkRequest) -> str:
    return reverse("admin:assessments_assessment_progress", args=[bulk_request.pk])


class BulkActions(admin.ModelAdmin):  # type: ignore[type-arg]
    """The bulk actions of the list of assessments, and the live page of the bulk request that an action makes."""

    @admin.action(description="Generate the documents of selected %(verbose_name_plural)s", permissions=["change"])
    def generate_documents(self, request: HttpRequest, queryset: QuerySet[Assessment]) -> HttpResponse:
        return self.begin(request, BulkRequest.Action.GENERATE, queryset)

    @admin.action(description="Retry the failed documents of selected %(verbose_name_plural)s", permissions=["change"])
    def retry_failed(self, request: HttpRequest, queryset: QuerySet[Assessment]) -> HttpResponse:
        return self.begin(request, BulkRequest.Action.RETRY, queryset)

    @admin.action(description="Cancel the documents of selected %(verbose_name_plural)s", permissions=["change"])
    def cancel_documents(self, request: HttpRequest, queryset: QuerySet[Assessment]) -> HttpResponse:
        return self.begin(request, BulkRequest.Action.CANCEL, queryset)

    def begin(self, request: HttpRequest, action: BulkRequest.Action, found: QuerySet[Assessment]) -> HttpResponse:
        chosen = found
        if request.POST.get("select_across") != "1":
            # ``found`` lacks the ticked assessments that have left the filter of the list since the list was shown.
            chosen = self.get_queryset(request).filter(pk__in=request.POST.getlist(ACTION_CHECKBOX_NAME))
        assessments = by_number(chosen)
        bulk_request = BulkRequest.begin(action, assessments, by=request.user)  # type: ignore[arg-type]
        if self.take_step(request, bulk_request, action, assessments):
            return redirect(live_page_of(bulk_request))
        # The request changed and joined nothing: there is nothing to follow.
        bulk_request.delete()
        return redirect(request.get_full_path())

    def take_step(
        self, request: HttpRequest, bulk_request: BulkRequest, action: BulkRequest.Action, assessments: list[Assessment]
    ) -> bool:
        """Apply the action to the assessments, and show messages about those that it changed and about the others.

        Return whether the action has changed or joined any.
        """
        step, *told = STEPS[action]
        done = step(assessments, by=request.user, origin="admin", bulk_request=bulk_request)
        changed = set(done)
        rest = [assessment for assessment in assessments if assessment not in changed]
        closed = [each for each in rest if action != BulkRequest.Action.CANCEL and each.refusal(Step.DOCUMENTS)]
        others = [assessment for assessment in rest if assessment not in closed]
        for (level, words), about in zip([*told, CLOSED], (done, others, closed), strict=True):
            if about:
                noun = self.opts.verbose_name if len(about) == 1 else self.opts.verbose_name_plural
                self.message_user(request, words.format(count=f"{len(about)} {noun}", names=named(about)), level)
        return bool(done or (others and action == BulkRequest.Action.GENERATE))

    # The live page of a bulk request.

    def get_urls(self) -> list[URLPattern]:
        live = path("progress/<str:key>/", self.live_page, name="assessments_assessment_progress")
        return [live, *super().get_urls()]

    def live_page(self, request: HttpRequest, key: str) -> HttpResponseBase:
        if request.htmx and not self.admin_site.has_permission(request):  # type: ignore[attr-defined]
            # The login form must not appear in the middle of the page, so the whole page is loaded again.
            return HttpResponseClientRefresh()
        return self.admin_site.admin_view(self.show_progress)(request, key)

    def show_progress(self, request: HttpRequest, key: str) -> HttpResponse:
        """Answer with the documents of a bulk request. The address may add a filter (``show``) and a ``page``."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        bulk_request = self.admin_site.get_model_admin(BulkRequest).get_object(request, key)
        if bulk_request is None:
            raise Http404("There is no such bulk request.")
        if request.method == "POST":
            return self.press_button(request, bulk_request)
        show, chosen = request.GET.get("show", "all"), bulk_request.assessments.all()
        shown = progress.having(chosen, *STATES[show]) if show in STATES else chosen
        if show == "outdated":
            shown = progress.having_outdated(chosen)
        totals = progress.totals([bulk_request])[bulk_request.pk]
        page = Paginator(shown.select_related("assessor", "vehicle"), PAGE).get_page(request.GET.get("page"))
        panels = panel.load(assessment.pk for assessment in page)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Documents of {counted(totals.assessments, 'assessment')}",
            "many": apnumber(len(KINDS)),
            "bulk_request": bulk_request,
            "headings": [kind.label for kind in KINDS.values()],
            "columns": len(KINDS) + 4,
            "totals": totals,
            "page": page,
            "rows": [(assessment, panels[assessment.pk]) for assessment in page],
            "show": show,
            "may_change": self.has_change_permission(request),
        }
        template = "admin/assessments/assessment/progress.html"
        return TemplateResponse(request, f"{template}#now" if request.htmx else template, context)  # type: ignore[attr-defined]

    def press_button(self, request: HttpRequest, bulk_request: BulkRequest) -> HttpResponse:
        """Apply the action of a button to one assessment or to ``all`` of the bulk request, and show the page again.

        Refuse a request with a malformed value, or of several buttons: it must change nothing.
        """
        if not self.has_change_permission(request):
            raise PermissionDenied
        pressed = [(action, value) for action in BulkRequest.Action for value in request.POST.getlist(action)]
        if len(pressed) > 1:
            raise BadRequest("One request is of one button.")
        for action, which in pressed:
            chosen = bulk_request.assessments.all()
            some = chosen if which == "all" else chosen.filter(pk=row_key(which))
            self.take_step(request, bulk_request, action, by_number(some))
            if which == "all":
                # Under a filter, the page would not show the assessments whose state the button has changed.
                return redirect(live_page_of(bulk_request))
        return redirect(request.get_full_path())
