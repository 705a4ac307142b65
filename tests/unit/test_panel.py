"""The Documents panel: its words for each state, and the content of an event for the page."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from assessments.documents import outdated, panel, panel_words, queue
from assessments.live.changes import read_news
from assessments.models import Assessment, Attempt, Document, DocumentVersion, Heartbeat
from tests import cast

pytestmark = pytest.mark.django_db

NO_PHOTOS = "This assessment has no photos. Add photos, then retry."


@pytest.fixture
def worker() -> None:
    Heartbeat.beat(Heartbeat.Role.WORKER)


def load(assessment: Assessment) -> panel.Panel:
    return panel.load([assessment.pk])[assessment.pk]


def row(assessment: Assessment, kind: str = "report") -> panel.Row:
    return next(row for row in load(assessment).rows if row.document.kind == kind)


def ask(assessment: Assessment, *kinds: str) -> None:
    queue.request(assessment, kinds or None, by=assessment.assessor)


def begin(assessment: Assessment) -> Attempt:
    attempt = queue.claim(assessment.pk)
    assert attempt is not None
    return attempt


def finish(attempt: Attempt, **facts: Any) -> DocumentVersion:
    return attempt.finish(
        **{"size": 1_258_291, "sha256": "0" * 64, "message": "7 pages", "pages": 7, "seconds": 3.1, **facts}
    )


def make(assessment: Assessment, *kinds: str, **facts: Any) -> None:
    ask(assessment, *kinds)
    while Document.objects.filter(assessment=assessment).pending().exists():
        finish(begin(assessment), **facts)


def fail(assessment: Assessment, kind: str) -> None:
    ask(assessment, kind)
    begin(assessment).fail(NO_PHOTOS)


# The words of a row


def test_a_document_that_was_never_requested_is_shown_as_not_made_yet(assessment: Assessment) -> None:
    idle = row(assessment)
    assert (idle.document.status, idle.document.status_words, idle.document.icon, idle.progress) == (
        "idle",
        "Not made yet",
        "idle",
        0,
    )
    assert not idle.ready


@pytest.mark.usefixtures("worker")
def test_waiting_documents_show_their_place_in_line(assessment: Assessment) -> None:
    ask(assessment)
    assert [row.message for row in load(assessment).rows] == [
        "Next",
        "Second in line",
        "Third in line",
        "Fourth in line",
    ]
    begin(assessment)
    assert [row.message for row in load(assessment).rows[1:]] == ["Next", "Second in line", "Third in line"]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (1, "Next"),
        (2, "Second in line"),
        (10, "Tenth in line"),
        *((place, f"{place}th in line") for place in (11, 12, 13, 20, 24, 111, 112, 113)),
        *((place, f"{place}st in line") for place in (21, 101)),
        *((place, f"{place}nd in line") for place in (22, 1002)),
        *((place, f"{place}rd in line") for place in (23, 103)),
    ],
)
def test_a_place_far_behind_is_said_as_people_say_it(place: int, words: str) -> None:
    assert panel_words.place_words(place) == words


def test_waiting_documents_show_that_no_worker_is_running(assessment: Assessment) -> None:
    ask(assessment)
    assert {row.message for row in load(assessment).rows} == {"No worker is running; this starts as soon as one does"}


@pytest.mark.usefixtures("worker")
def test_a_worker_without_a_recent_sign_of_life_counts_as_not_running(assessment: Assessment) -> None:
    Heartbeat.objects.update(seen_at=timezone.now() - timedelta(minutes=1))
    ask(assessment)
    assert "No worker" in row(assessment).message


@pytest.mark.usefixtures("worker")
def test_a_document_that_waits_again_shows_the_reason(assessment: Assessment) -> None:
    ask(assessment)
    begin(assessment).crash("The process that made this stopped unexpectedly.")
    assert row(assessment).message == "Next"
    assert row(assessment).note == "It stopped unexpectedly; starting again"


def test_a_running_document_shows_its_step_and_the_time_left(assessment: Assessment) -> None:
    ask(assessment)
    attempt = begin(assessment)
    attempt.report(38, "Scaling photo 23 of 60")
    assert row(assessment).message == "Scaling photo 23 of 60"
    attempt.report(40, "Scaling photo 24 of 60", expected_seconds=20)
    running = row(assessment)
    assert running.message == "Scaling photo 24 of 60 - about 12 s left"
    assert (running.document.status_words, running.progress) == ("Being made", 40)


def test_a_running_document_of_unknown_progress_shows_no_per_cent(assessment: Assessment) -> None:
    ask(assessment)
    begin(assessment).report(None, "Reading the photos")
    assert row(assessment).progress is None
    assert "value=" not in re.findall(r"<progress[^>]*>", panel.everything(load(assessment)))[0]


def test_a_document_that_is_being_cancelled_shows_no_time_left(assessment: Assessment) -> None:
    ask(assessment)
    begin(assessment).report(40, "Scaling", expected_seconds=20)
    queue.cancel_many([assessment.pk])
    assert row(assessment).message == "Stopping"
    assert load(assessment).stopping


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "about 1 s left"), (12.4, "about 12 s left"), (33, "about 35 s left"), (150, "about 2 min left")],
)
def test_the_time_left_is_rounded(seconds: float, words: str) -> None:
    assert panel_words.about(seconds) == words


def test_a_made_document_shows_its_content_and_its_origin(assessment: Assessment) -> None:
    User.objects.filter(pk=assessment.assessor_id).update(first_name="Precious", last_name="Nkosi")
    make(assessment, "report")
    at = timezone.localtime(row(assessment).document.current.made_at)  # type: ignore[union-attr]
    made = row(assessment)
    assert made.message.replace("\xa0", " ") == f"7 pages, 1.2 MB, made at {at:%H:%M} by P. Nkosi in 3.1 s"
    assert (made.document.status_words, made.document.icon, made.progress) == ("Ready", "success", 100)


def test_a_document_of_another_day_shows_the_day(assessment: Assessment) -> None:
    make(assessment, "report")
    year = timezone.localdate().year
    long_ago = datetime(year - 1, 11, 12, 14, 2, tzinfo=timezone.get_current_timezone())
    DocumentVersion.objects.update(made_at=long_ago)
    assert f"made on 12 Nov {year - 1} at 14:02 by assessor" in row(assessment).message


def test_the_missing_parts_of_a_document_are_shown_in_a_note(assessment: Assessment) -> None:
    make(assessment, "photos-pdf", message="58 of 60 photos; unreadable: IMG_0012.jpg, IMG_0044.jpg")
    made = row(assessment, "photos-pdf")
    assert made.message.startswith("58 of 60 photos, 1.2")
    assert made.note == "Unreadable: IMG_0012.jpg, IMG_0044.jpg"


def test_an_outdated_document_shows_the_changed_part_and_the_time(assessment: Assessment) -> None:
    make(assessment)
    assert not [row.document.kind for row in load(assessment).rows if row.document.outdated]
    made_at = timezone.now()
    DocumentVersion.objects.update(made_at=made_at)
    seen_at = made_at + timedelta(minutes=3, seconds=20)
    assessment.documents.filter(kind="estimate").update(outdated_by="Estimate", outdated_at=seen_at)
    assert [row.document.kind for row in load(assessment).rows if row.document.outdated] == ["estimate"]
    stale = row(assessment, "estimate")
    assert stale.message == "Estimate changed 3 minutes after this was made"
    assert stale.note.startswith("7 pages")
    assert stale.ready


def test_a_failed_document_shows_the_reason_and_links_to_its_older_file(assessment: Assessment) -> None:
    make(assessment, "report")
    make(assessment, "report")
    fail(assessment, "report")
    failed = row(assessment)
    made_at = timezone.localtime(failed.document.current.made_at)  # type: ignore[union-attr]
    assert (failed.document.status_words, failed.message) == ("Failed", NO_PHOTOS)
    assert failed.older == f"Version 2 of {made_at.day} {made_at:%b}"
    assert failed.reference
    html = panel.everything(load(assessment))
    assert NO_PHOTOS in html
    assert failed.reference in html
    assert f'href="/assessments/{assessment.number}/documents/report/"' in html


def test_user_text_is_escaped(assessment: Assessment) -> None:
    ask(assessment, "report")
    begin(assessment).fail('<img src="x" onerror="alert(1)">')
    html = panel.everything(load(assessment))
    assert "<img" not in html
    assert "&lt;img" in html


# The panel as a whole


def set_statuses(assessment: Assessment, *statuses: str) -> None:
    for kind, status in zip(cast.KINDS, statuses, strict=True):
        match status:
            case "success":
                make(assessment, kind)
            case "error":
                fail(assessment, kind)
    ask_for = [kind for kind, status in zip(cast.KINDS, statuses, strict=True) if status == "pending"]
    if ask_for:
        ask(assessment, *ask_for)


@pytest.mark.parametrize(
    ("statuses", "outcome", "words", "percent"),
    [
        (["idle"] * 4, "idle", "0 of 4 documents ready", 0),
        (["success"] * 4, "complete", "4 of 4 documents ready", 100),
        (["success", "success", "error", "success"], "partial", "3 of 4 documents ready, 1 failed", 100),
        (["error"] * 4, "failed", "0 of 4 documents ready, 4 failed", 100),
        (["error", "idle", "idle", "idle"], "failed", "0 of 4 documents ready, 1 failed", 25),
        (["success", "idle", "success", "idle"], "idle", "2 of 4 documents ready", 50),
        (["success", "error", "pending", "pending"], "processing", "1 of 4 documents ready, 1 failed", 50),
    ],
)
def test_the_outcome_follows_from_the_documents(
    assessment: Assessment, statuses: list[str], outcome: str, words: str, percent: int
) -> None:
    set_statuses(assessment, *statuses)
    view = load(assessment)
    assert (view.outcome, view.words, view.percent) == (outcome, words, percent)
    assert view.title == f"{statuses.count('success')}/4 - {assessment.number}"


def test_each_document_owns_a_quarter_of_the_whole(assessment: Assessment) -> None:
    ask(assessment)
    finish(begin(assessment))
    begin(assessment).report(40, "Laying out")
    assert load(assessment).percent == 35


@pytest.mark.usefixtures("worker")
def test_the_time_left_for_all_is_shown_only_when_it_is_known_for_all(assessment: Assessment) -> None:
    make(assessment, "estimate", "photos-pdf", seconds=6)
    ask(assessment, "report", "estimate", "photos-pdf")
    attempt = begin(assessment)
    assert load(assessment).left == ""
    attempt.report(50, "Laying out", expected_seconds=4)
    assert load(assessment).left == "about 14 s left"
    ask(assessment, "photos-zip")
    assert load(assessment).left == ""


def test_the_announcement_tells_of_finished_documents_and_not_of_progress(assessment: Assessment) -> None:
    ask(assessment)
    said = [load(assessment).announcement]
    for number, attempt in enumerate(begin_each(assessment)):
        for progress in (0, 30, 60, 99):
            attempt.report(progress, f"Page {progress}")
            said.append(load(assessment).announcement)
        attempt.fail(NO_PHOTOS) if number == 2 else finish(attempt)
        said.append(load(assessment).announcement)
    assert list(dict.fromkeys(said)) == [
        "",
        "Assessment Report ready",
        "Estimate ready",
        f"Photos PDF failed: {NO_PHOTOS}",
        "Photos ZIP ready. 3 of 4 documents ready, 1 failed",
    ]


def begin_each(assessment: Assessment) -> Any:
    while attempt := queue.claim(assessment.pk):
        yield attempt


def test_the_last_of_four_documents_is_announced_as_all_four(assessment: Assessment) -> None:
    make(assessment)
    assert load(assessment).announcement == "All four documents ready"


def test_a_retry_is_announced_at_its_end_and_not_at_its_beginning(assessment: Assessment) -> None:
    make(assessment, "report", "estimate")
    fail(assessment, "photos-pdf")
    ask(assessment, "report")
    assert load(assessment).announcement == ""
    attempt = begin(assessment)
    assert load(assessment).announcement == ""
    finish(attempt)
    assert load(assessment).announcement == "Assessment Report ready. 2 of 4 documents ready, 1 failed"


def test_a_cancelled_remake_is_not_announced_as_ready(assessment: Assessment) -> None:
    make(assessment)
    ask(assessment, "photos-zip")
    queue.cancel_many([assessment.pk])
    assert load(assessment).announcement == "Cancelled"
    assert load(assessment).outcome == "complete"


@pytest.mark.parametrize(
    ("statuses", "buttons"),
    [
        (["idle"] * 4, ["Generate all documents"]),
        (["pending"] * 4, ["Cancel"]),
        (["success", "error", "error", "success"], ["Generate all documents", "Retry failed (2)"]),
        (["success"] * 4, ["Generate all documents"]),
    ],
)
def test_the_panel_has_one_primary_action(assessment: Assessment, statuses: list[str], buttons: list[str]) -> None:
    set_statuses(assessment, *statuses)
    html = panel.everything(load(assessment))
    summary = html[html.index('id="documents-summary"') : html.index('id="documents-live"')]
    assert re.findall(r">([^<]+)</button>", summary) == buttons
    assert summary.count("primary") == (0 if buttons == ["Cancel"] else 1)


# The content of an event


class TopElements(HTMLParser):
    """Collects the elements of the outermost level: their tag, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.depth = 0
        self.found: list[dict[str, Any]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if self.depth == 0:
            self.found.append({"tag": tag, **dict(attributes), "text": ""})
        if tag not in {"input", "img", "br", "meta"}:
            self.depth += 1

    def handle_endtag(self, tag: str) -> None:
        self.depth -= 1

    def handle_data(self, data: str) -> None:
        if self.depth:
            self.found[-1]["text"] += data


def ids(html: str) -> list[str]:
    return [element.get("id") or element["tag"] for element in TopElements(html).found]


def test_an_event_carries_the_changed_row_the_waiting_rows_and_the_summary(assessment: Assessment) -> None:
    ask(assessment, "report", "photos-pdf")
    begin(assessment)
    view = load(assessment)
    html = panel.change(view, [view.rows[0].document])
    assert ids(html) == [
        "documents",
        "document-report",
        "document-photos-pdf",
        "documents-summary",
        "documents-live",
        "title",
    ]
    elements = {element.get("id"): element for element in TopElements(html).found}
    assert all(element["hx-swap-oob"] == "outerMorph" for key, element in elements.items() if key)
    assert elements["documents"]["data-outcome"] == "processing"
    assert elements["documents"]["text"] == ""
    assert elements["document-report"]["data-document"] == "report"
    assert elements["document-report"]["data-status"] == "processing"
    assert elements[None]["text"] == f"0/4 - {assessment.number}"


def test_an_event_is_of_the_revision_of_its_row(assessment: Assessment) -> None:
    ask(assessment)
    view = load(assessment)
    for row in view.rows:
        elements = TopElements(panel.change(view, [row.document])).found
        assert {each.get("data-revision") for each in elements if each["tag"] != "title"} == {
            str(row.document.revision)
        }
    assert {each.get("data-revision") for each in TopElements(panel.everything(view)).found[:-1]} == {
        str(view.revision)
    }


def test_the_answer_to_a_button_carries_every_row(assessment: Assessment) -> None:
    rows = [f"document-{kind}" for kind in cast.KINDS]
    assert ids(panel.everything(load(assessment))) == [
        "documents",
        *rows,
        "documents-summary",
        "documents-live",
        "title",
    ]


def test_a_row_is_the_same_on_the_page_and_in_an_event(assessment: Assessment, client: Any, assessor: User) -> None:
    make(assessment, "report")
    client.force_login(assessor)
    page = client.get(f"/assessments/{assessment.number}/").content.decode()
    view = load(assessment)
    event = panel.change(view, [view.rows[0].document]).replace(' hx-swap-oob="outerMorph"', "")
    begins = '<li id="document-report"'
    whole = event[event.index(begins) : event.index("</li>", event.index(begins))]
    assert whole in page


def test_fragments_hold_no_token_of_a_person(assessment: Assessment) -> None:
    make(assessment, "report")
    assert "csrf" not in panel.everything(load(assessment))


def test_many_panels_are_read_with_few_queries(
    assessor: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    assessments = [cast.make_assessment(assessor, photos=0) for _ in range(5)]
    for assessment in assessments:
        make(assessment, "report")
        ask(assessment)
    with django_assert_max_num_queries(2):
        views = panel.load(assessment.pk for assessment in assessments)
        for view in views.values():
            panel.everything(view)
    assert list(views) == [assessment.pk for assessment in assessments]


def test_a_missing_assessment_has_no_panel(assessment: Assessment) -> None:
    assert panel.load([assessment.pk + 1]) == {}


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [("Precious", "Nkosi", "P. Nkosi"), ("", "Nkosi", "Nkosi"), ("Precious", "", "Precious"), ("", "", "pn")],
)
def test_people_are_named_by_initial_and_last_name(first: str, last: str, words: str) -> None:
    assert panel_words.person_words(User(username="pn", first_name=first, last_name=last)) == words


@pytest.mark.parametrize(
    ("elapsed", "words"),
    [
        (timedelta(milliseconds=40), "1 second"),
        (timedelta(seconds=59), "59 seconds"),
        (timedelta(minutes=3, seconds=50), "3 minutes"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(days=2, hours=5), "2 days"),
    ],
)
def test_elapsed_time_is_given_in_its_largest_unit(elapsed: timedelta, words: str) -> None:
    assert panel_words.elapsed_words(elapsed) == words


def test_the_precision_of_seconds_depends_on_their_size() -> None:
    words: Callable[[float], str] = panel_words.seconds_words
    assert [words(0.04), words(3.14), words(14.2), words(125)] == ["less than 0.1 s", "3.1 s", "14 s", "2 min 5 s"]


# What changed since


def test_missing_photos_are_said_wherever_the_file_is_called_ready(assessment: Assessment) -> None:
    message = "34 of 37 photos; unreadable: a.jpg (the file is damaged or incomplete)"
    make(assessment, "photos-pdf", message=message, missing=3)
    made = row(assessment, "photos-pdf")
    assert (made.document.status_words, made.document.icon) == ("Ready, 3 photos missing", "stale")
    assert load(assessment).words == "1 of 4 documents ready, 3 photos missing"
    assert load(assessment).announcement == "Photos PDF ready, 3 photos missing"
    assert re.search(
        'data-document="photos-pdf" data-status="success" data-missing', panel.everything(load(assessment))
    )


def test_the_count_of_ready_documents_says_how_many_are_out_of_date(assessment: Assessment) -> None:
    make(assessment)
    assessment.documents.filter(kind__in=["report", "estimate"]).update(outdated_by="Claim", outdated_at=timezone.now())
    assert load(assessment).words == "4 of 4 documents ready, 2 out of date"


def test_a_failure_says_when_it_happened(assessment: Assessment) -> None:
    fail(assessment, "photos-pdf")
    ended = timezone.localtime(row(assessment, "photos-pdf").document.ended_at)
    assert row(assessment, "photos-pdf").note == f"Failed at {ended:%H:%M:%S}"


def test_a_failure_says_that_data_was_saved_since(
    assessment: Assessment, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    outdated.compare_changed()
    fail(assessment, "photos-pdf")
    fail(assessment, "estimate")
    assert "retry" not in row(assessment, "photos-pdf").note
    with django_capture_on_commit_callbacks(execute=True):
        cast.add_photos(assessment, 1)
    assert row(assessment, "photos-pdf").note.endswith(". Photos were added or removed since: retry")
    # The estimate prints no photos.
    assert "since" not in row(assessment, "estimate").note
    with django_capture_on_commit_callbacks(execute=True):
        assessment.estimate.save()
    assert row(assessment, "estimate").note.endswith(". The assessment was changed since: retry")
    fail(assessment, "photos-pdf")
    assert "since" not in row(assessment, "photos-pdf").note


@pytest.mark.parametrize("end", [finish, lambda attempt: attempt.fail(NO_PHOTOS)], ids=["made", "failed"])
def test_a_cancelled_request_says_that_the_older_result_is_shown(
    assessment: Assessment, end: Callable[[Attempt], object]
) -> None:
    ask(assessment, "report")
    end(begin(assessment))
    assert "Cancelled" not in row(assessment).note
    ask(assessment, "report")
    begin(assessment).cancel()
    ended = timezone.localtime(row(assessment).document.ended_at)
    assert row(assessment).note == f"Cancelled at {ended:%H:%M}, so this is from before"


@pytest.mark.parametrize("failed", [[], ["photos-pdf"]], ids=["none failed", "one failed"])
def test_saved_data_reaches_open_pages_as_an_event_of_its_own(
    assessment: Assessment, failed: list[str], django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    def told(since: int) -> list[str]:
        news = read_news(Assessment.objects.filter(pk=assessment.pk), {assessment.number: since})
        return [change.data for change in news[1].get(assessment.number, [])]

    outdated.compare_changed()
    for kind in failed:
        fail(assessment, kind)
    before, photos = load(assessment).revision, load(assessment).assessment.photos_revision
    assert told(before) == []
    with django_capture_on_commit_callbacks(execute=True):
        assessment.status = "submitted"
        assessment.save()
    [event] = told(before)
    assert f'data-facts="{before + 1}" data-photos="{photos}"' in event
    assert re.findall('data-document="([^"]+)"', event) == failed
    # A page drops an event of an older revision than it shows.
    assert set(re.findall('data-revision="([^"]+)"', event)) == {str(before + 1)}
    with django_capture_on_commit_callbacks(execute=True):
        assessment.photos.all()[0].delete()
    [event] = told(before + 1)
    assert f'data-facts="{before + 1}" data-photos="{before + 2}"' in event
