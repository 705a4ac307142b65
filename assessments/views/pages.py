"""The pages: the list of assessments, one assessment with its Documents panel, its photos."""

import logging
from typing import Any, TypedDict

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.cache import get_conditional_response, patch_cache_control
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import HttpResponseClientRefresh

from assessments.connections import give_back
from assessments.documents import outdated, panel, snapshot, tasks
from assessments.documents.kinds import KINDS, REPORT
from assessments.models import Assessment, Document, Office, Photo
from assessments.models.assessment import AssessmentQuerySet
from assessments.models.search import MOST
from assessments.models.states import NotAllowed, Step
from assessments.photos.intake import LOST, AlreadyThere, PhotoRefused
from assessments.printing import facts
from assessments.words import counted

from . import notes, sheet
from .access import changeable_assessment, visible_assessment
from .errors import FILES_AWAY, answer
from .forms import PhotosForm

logger = logging.getLogger(__name__)

PAGE = 25


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    return redirect("assessments:list" if request.user.is_authenticated else "login")


# The list ---------------------------------------------------------------------------------------------------------


@never_cache
def assessment_list(request: HttpRequest) -> HttpResponse:
    if wants_fragment(request) and not request.user.is_authenticated:
        # The login form must not appear in the middle of the list, so the whole page is loaded again.
        return HttpResponseClientRefresh()
    return show_list(request)


@login_required
@require_safe
def show_list(request: HttpRequest) -> HttpResponse:
    """Show the assessments, the most urgent first; with ``?q=`` only assessments that hold every word of ``q``.

    A shown table renews itself by ``?shown=`` with its numbers in their order, so that rows do not change place under
    the eyes of the reader.
    """
    visible = Assessment.objects.visible_to(request.user).select_related("vehicle", "assessor")
    assessments = visible.prefetch_related(Prefetch("documents", Document.objects.for_list()))
    if shown := request.GET.get("shown"):
        return render(request, "assessments/list.html#table", table(again(assessments, shown.split(",")[:PAGE])))
    words = " ".join(request.GET.get("q", "")[:100].split())
    found, more = by_urgency(assessments).search(words)
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "q": words, "first": MOST if more else 0, **table(list(page))}
    fragment = "#results" if wants_fragment(request) else ""
    return render(request, f"assessments/list.html{fragment}", context)


def table(assessments: list[Assessment]) -> dict[str, Any]:
    return {
        "assessments": assessments,
        "shown": ",".join(assessment.number for assessment in assessments),
    }


def wants_fragment(request: HttpRequest) -> bool:
    htmx: Any = request.htmx  # type: ignore[attr-defined]
    return bool(htmx) and not htmx.history_restore_request


def by_urgency(assessments: AssessmentQuerySet) -> AssessmentQuerySet:
    """Order by failed, then running, then missing documents; closed assessments without running documents come last."""
    return assessments.order_by("urgency", "-created_at", "-pk")


def again(assessments: QuerySet[Assessment], numbers: list[str]) -> list[Assessment]:
    found = {assessment.number: assessment for assessment in assessments.filter(number__in=numbers)}
    return [found[number] for number in numbers if number in found]


# One assessment ---------------------------------------------------------------------------------------------------


@never_cache
@login_required
@require_safe
def assessment(request: HttpRequest, number: str) -> HttpResponse:
    """Show the assessment; to htmx, only its present Documents panel."""
    if wants_fragment(request):
        known = visible_assessment(request.user, number)
        return HttpResponse(panel.everything(panel.load([known.pk])[known.pk]))
    visible = Assessment.objects.visible_to(request.user).values("pk")
    found = get_object_or_404(snapshot.with_data(*KINDS.values()).filter(pk__in=visible), number=number)
    view = panel.load([found.pk])[found.pk]
    office = Office.current()
    if outdated.note(found, view.documents, office):
        view = panel.load([found.pk])[found.pk]
    content = snapshot.of(found, REPORT, office)
    context = {
        "assessment": found,
        "panel": view,
        "content": content,
        "sections": sheet.sections(content),
        "values": facts.value_rows(content),
        "estimate": sheet.estimate_sheet(content),
        "photos_form": PhotosForm(),
        # Without scripts. The form for photos has an address without it.
        "renews": bool(view.active) and "still" not in request.GET,
        "may_change": found.may_be_changed_by(request.user),
        "no_photos": found.refusal(Step.PHOTOS),
        "notes": notes.take(request, found.number),
        **gallery(found),
    }
    return render(request, "assessments/assessment.html", context)


def gallery(assessment: Assessment) -> dict[str, Any]:
    photos = list(assessment.photos.all())
    return {
        "photos": snapshot.by_section(photos),
        "photo_count": len(photos),
        "unreadable": [photo for photo in photos if photo.state == Photo.State.UNREADABLE],
        "new": any(photo.state == Photo.State.NEW for photo in photos),
    }


# Photos -----------------------------------------------------------------------------------------------------------


# A browser may have lost the cookie; the page asks here before it sends files.
@ensure_csrf_cookie
@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def upload_photos(request: HttpRequest, number: str) -> HttpResponse:
    """POST keeps the good photos and says why the others were refused; GET shows the present photos.

    GET of a script tells whether photos would be taken now.
    """
    if request.method != "POST" and "X-Requested-With" in request.headers:
        found = changeable_assessment(request.user, number)
        return JsonResponse(refused(*filter(None, [found.refusal(Step.PHOTOS)])))
    if request.method == "POST":
        found = changeable_assessment(request.user, number)
        # The files are read, hashed and stored without a connection to the database.
        give_back()
        fate = take_photos(request, found)
        if "X-Requested-With" in request.headers:
            return JsonResponse(fate)
        tell(request, found.number, fate)
    else:
        found = visible_assessment(request.user, number)
        if wants_fragment(request):
            return render(request, "assessments/assessment.html#gallery", {"assessment": found, **gallery(found)})
    return redirect(f"{reverse('assessments:detail', args=[found.number])}#photos")


UNUSED = "; the new caption was not used"


class Fate(TypedDict):
    """The outcome of one upload: how many photos were added or were there already, and why the others were refused."""

    section: str
    added: int
    already_there: int
    # Where the photos are that were there already, and what became of the new caption.
    there: str
    refused: list[str]


def refused(*reasons: str) -> Fate:
    return Fate(section="", added=0, already_there=0, there="", refused=list(reasons))


def take_photos(request: HttpRequest, assessment: Assessment) -> Fate:
    form = PhotosForm(request.POST, request.FILES)
    if not form.is_valid():
        return refused(*(" ".join(map(str, errors)) for errors in form.errors.values()))
    fate = refused()
    section, caption = form.cleaned_data["section"], form.cleaned_data["caption"]
    fate["section"] = Photo.Section(section).label
    for upload in form.cleaned_data["photos"]:
        try:
            tasks.add_photo(assessment, upload, section, caption, request.user)  # type: ignore[arg-type]
            fate["added"] += 1
        except AlreadyThere:
            fate["already_there"] += 1
            fate["there"] = f"already there, in {fate['section']}{UNUSED if caption else ''}"
        except (PhotoRefused, NotAllowed) as refusal:
            fate["refused"].append(str(refusal))
    return fate


def tell(request: HttpRequest, number: str, fate: Fate) -> None:
    """Leave the outcome for the page that a person without scripts sees next."""
    told: list[notes.Note] = []
    if fate["added"]:
        told.append(("success", f"{counted(fate['added'], 'photo')} added to {fate['section']}."))
    if fate["already_there"]:
        told.append(("info", f"{counted(fate['already_there'], 'photo')} {fate['there']}."))
    notes.leave(request, number, notes.PHOTOS, [*told, *(("error", reason) for reason in fate["refused"])])


@login_required
@require_safe
def thumbnail(request: HttpRequest, number: str, pk: int) -> HttpResponse:
    """Send the thumbnail of a photo, or with ``?large`` its print image, to users who may see the assessment."""
    visible = Assessment.objects.visible_to(request.user)
    photo = get_object_or_404(Photo.objects.filter(assessment__in=visible, assessment__number=number), pk=pk)
    picture = photo.print_image if "large" in request.GET else photo.thumbnail or photo.print_image
    if not picture:
        raise Http404("This photo has no small picture yet.")
    etag = f'"{photo.sha256[:32]}"'
    response = get_conditional_response(request, etag)
    if response is None:
        # The storage may be slow: wait for it without a connection to the database.
        give_back()
        try:
            with picture.open("rb") as file:
                response = HttpResponse(file.read(), content_type="image/jpeg")
        except LOST:
            tasks.look_again(photo)
            raise Http404("The small picture of this photo is gone.") from None
        except OSError:
            logger.exception("%s could not be read", picture.name)
            return answer(FILES_AWAY)
    response["ETag"] = etag
    patch_cache_control(response, private=True, max_age=86_400)
    return response
