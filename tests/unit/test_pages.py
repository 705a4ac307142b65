"""The pages over HTTP, without a script: visibility, the order of the list, one assessment, and uploads of photos."""

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from assessments.documents import queue
from assessments.models import Assessment, Estimate, Photo, Tally, Vehicle
from tests import cast

pytestmark = pytest.mark.django_db


@pytest.fixture
def visitor(assessor: User) -> Client:
    """Return a browser in which the assessor is signed in."""
    client = Client()
    client.force_login(assessor)
    return client


@pytest.fixture
def strangers(stranger: User) -> Client:
    client = Client()
    client.force_login(stranger)
    return client


def url(assessment: Assessment, rest: str = "") -> str:
    return f"/assessments/{assessment.number}/{rest}"


def read(client: Client, path: str, **headers: str) -> str:
    response = client.get(path, headers=headers)
    assert response.status_code == 200
    return response.content.decode()


def numbers(html: str) -> list[str]:
    """Return the numbers of the assessments in a list, in their order."""
    return re.findall(r'<tr id="([^"]+)">', html)


def upload(*files: tuple[str, bytes]) -> list[SimpleUploadedFile]:
    return [SimpleUploadedFile(name, content, content_type="image/jpeg") for name, content in files]


# Visibility


def test_the_root_address_leads_to_the_list_or_to_the_login(client: Client, visitor: Client) -> None:
    assert client.get("/").headers["Location"] == "/login/"
    assert visitor.get("/").headers["Location"] == "/assessments/"


def paths(assessment: Assessment) -> Iterator[str]:
    photo = assessment.photos.first()
    assert photo is not None
    yield url(assessment)
    yield url(assessment, "photos/")
    yield url(assessment, f"photos/{photo.pk}/thumbnail/")
    yield url(assessment, "documents/photos-pdf/retry/")


def test_a_person_who_is_not_signed_in_is_sent_to_the_login(client: Client, assessment: Assessment) -> None:
    for path in ["/assessments/", *paths(assessment)]:
        response = client.get(path)
        assert (response.status_code, response.headers["Location"]) == (302, f"/login/?next={path}")


def test_an_assessment_of_another_person_looks_like_a_missing_one(strangers: Client, assessment: Assessment) -> None:
    cast.look_at(assessment.photos.all()[0])
    for path in paths(assessment):
        there = strangers.get(path)
        never = strangers.get(path.replace(assessment.number, "ASM-1999-001"))
        assert there.status_code == never.status_code == 404
        own_words = f"{assessment.number}|ASM-1999-001|value=.[A-Za-z0-9]{{64}}"
        told = [re.sub(own_words, "", response.content.decode()) for response in (there, never)]
        assert told[0] == told[1]
    assert strangers.post(url(assessment, "photos/"), {"section": "damage"}).status_code == 404


def test_a_stranger_cannot_add_a_photo(strangers: Client, assessment: Assessment) -> None:
    data = {"photos": upload(("new.jpg", cast.picture(50))), "section": "damage"}
    assert strangers.post(url(assessment, "photos/"), data).status_code == 404
    assert assessment.photos.count() == 3


def test_staff_see_every_assessment(client: Client, staff: User, assessment: Assessment) -> None:
    client.force_login(staff)
    assert numbers(read(client, "/assessments/")) == [assessment.number]
    assert f"/admin/assessments/assessment/{assessment.pk}/change/" in read(client, url(assessment))


def test_the_login_page_says_when_the_password_is_wrong(client: Client, assessor: User) -> None:
    html = client.post("/login/", {"username": assessor.username, "password": "wrong"}).content.decode()
    assert "The user name or the password is wrong, or the account is closed." in html
    response = client.post("/login/", {"username": assessor.username, "password": cast.PASSWORD})
    assert response.headers["Location"] == "/assessments/"


@pytest.mark.parametrize("path", ["/no/such/page/", "/assessments/ASM-1999-001/documents/letter/"])
def test_an_unknown_address_has_a_page_of_ours(visitor: Client, path: str) -> None:
    response = visitor.get(path)
    assert response.status_code == 404
    assert "There is no such page" in response.content.decode()


def test_the_page_about_something_gone_leads_back_to_its_assessment(visitor: Client, assessment: Assessment) -> None:
    back = f'<a class="button" href="{url(assessment)}">To the assessment</a>'
    path = url(assessment, f"photos/{assessment.photos.all()[0].pk}/thumbnail/")
    assessment.photos.all().delete()
    assert back in visitor.get(path).content.decode()
    assert back not in visitor.get("/assessments/ASM-1999-001/").content.decode()


def test_signing_out_is_said_and_so_is_why_a_page_asks_to_sign_in(visitor: Client) -> None:
    html = visitor.post("/logout/", follow=True).content.decode()
    assert "You are signed out." in html
    assert "no longer" not in html
    html = visitor.get("/assessments/", follow=True).content.decode()
    assert "You are not signed in, or no longer." in html
    assert "You are signed out." not in html


def test_each_page_about_a_password_has_a_way_back(client: Client, visitor: Client) -> None:
    for path in ("/password/reset/", "/password/reset/sent/"):
        assert re.search(r'<a [^>]*href="/">To sign in</a>', read(client, path))
    assert re.search(r'<a [^>]*href="/">To the assessments</a>', read(visitor, "/password/"))


def test_an_error_of_the_server_has_a_page_of_ours(visitor: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor.raise_request_exception = False

    def broken(*arguments: object) -> None:
        raise RuntimeError("SELECT secret FROM table")

    monkeypatch.setattr("assessments.views.pages.by_urgency", broken)
    response = visitor.get("/assessments/")
    assert response.status_code == 500
    assert "Something went wrong here" in response.content.decode()
    assert "SELECT" not in response.content.decode()


def test_a_post_without_a_token_is_told_to_reload(assessor: User, assessment: Assessment) -> None:
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(assessor)
    response = careful.post(url(assessment, "documents/generate/"))
    assert response.status_code == 403
    assert "reload the page" in response.content.decode()
    assert not assessment.documents.active().exists()


# The list


def test_the_list_holds_the_persons_own_assessments(visitor: Client, stranger: User, assessment: Assessment) -> None:
    cast.make_assessment(stranger, photos=0)
    assert numbers(read(visitor, "/assessments/")) == [assessment.number]


@pytest.mark.parametrize(
    "q",
    [
        "{number}", "{report}", "ca 123", "ca123456", "CA 123 456", "a123-4", "88123", "ki88123", "POL5521", "pol 5521",
        "mokoena", "COROLLA", "toyota thandi", "AHTBB3JE401234567", "htbb3je", "karoo", "karoo insurance toyota",
        "karooinsurance", "1.8xs", "2021",
    ],
)  # fmt: skip
def test_the_search_finds_an_assessment_by_its_main_facts(visitor: Client, assessment: Assessment, q: str) -> None:
    assessment.allot_report_number()
    other = Assessment.objects.create(assessor=assessment.assessor, insured_name="Somebody Else")
    Vehicle.objects.create(assessment=other, make="Ford", model="Ranger", registration="ND 1")
    html = read(visitor, "/assessments/?q=" + q.format(number=assessment.number, report=assessment.report_number))
    if q == "2021":
        assert numbers(html) == []
        return
    assert numbers(html) == [assessment.number]


@pytest.mark.parametrize("q", ["-", "%", "_", "ka_oo", "%25%", "123 999", "karoo ford", "acorolla", "5521mokoena"])
def test_the_search_takes_no_character_for_a_pattern_and_finds_no_word_across_two_facts(
    visitor: Client, assessment: Assessment, q: str
) -> None:
    html = read(visitor, f"/assessments/?q={q}")
    assert numbers(html) == ([assessment.number] if q in {"-", "_"} else [])


@pytest.mark.parametrize(
    "change",
    [
        lambda assessment: Vehicle.objects.filter(assessment=assessment).update(registration="KZN 777-X"),
        lambda assessment: Assessment.objects.filter(pk=assessment.pk).update(policy_number="kzn/777/x"),
        lambda assessment: assessment.client._meta.model.objects.update(name="KZN (777) X"),
        lambda assessment: Assessment.objects.bulk_update(
            [changed(assessment, insured_name="Kzn 777x")], ["insured_name"]
        ),
    ],
    ids=["vehicle", "assessment", "client", "many at once"],
)
def test_the_search_knows_a_fact_that_was_changed_by_any_door(
    visitor: Client, assessment: Assessment, change: Callable[[Assessment], object]
) -> None:
    assert numbers(read(visitor, "/assessments/?q=KZN777X")) == []
    change(assessment)
    assert numbers(read(visitor, "/assessments/?q=KZN777X")) == [assessment.number]


def changed(assessment: Assessment, **facts: str) -> Assessment:
    for name, value in facts.items():
        setattr(assessment, name, value)
    return assessment


def test_a_search_that_finds_nothing_says_so_and_escapes_the_typed_text(
    visitor: Client, assessment: Assessment
) -> None:
    html = read(visitor, "/assessments/?q=<script>")
    assert "&lt;script&gt;” in it" in html
    assert "<script>" not in html
    assert assessment.number not in html


def test_a_search_never_finds_an_assessment_of_another_person(strangers: Client, assessment: Assessment) -> None:
    assert numbers(read(strangers, f"/assessments/?q={assessment.number}")) == []
    assert numbers(read(strangers, f"/assessments/?shown={assessment.number}")) == []


def test_a_search_while_typing_answers_with_the_results_alone(visitor: Client, assessment: Assessment) -> None:
    html = read(visitor, "/assessments/?q=corolla", **{"HX-Request": "true"})
    assert html.strip().startswith('<div id="results">')
    assert "<html" not in html
    assert numbers(html) == [assessment.number]


def test_assessments_that_need_work_come_first(visitor: Client, assessor: User) -> None:
    def make(*documents: str, status: str = "in_progress") -> str:
        made = Assessment.objects.create(assessor=assessor)
        for kind in documents:
            queue.request(made, [kind.partition("=")[0]])
            match kind.partition("=")[2]:
                case "success":
                    attempt = queue.claim(made.pk)
                    assert attempt is not None
                    attempt.finish(size=1, sha256="0" * 64)
                case "error":
                    attempt = queue.claim(made.pk)
                    assert attempt is not None
                    attempt.fail("It failed.")
        Assessment.objects.filter(pk=made.pk).update(status=status)
        return made.number

    closed = make("report=error", status="archived")
    done = make("report=success")
    never = make()
    running = make("report=success", "estimate=pending")
    failed = make("report=success", "estimate=error")
    assert numbers(read(visitor, "/assessments/")) == [failed, running, never, done, closed]


def test_a_closed_assessment_is_urgent_only_while_its_documents_run(visitor: Client, assessor: User) -> None:
    closed, never = (Assessment.objects.create(assessor=assessor) for _ in range(2))
    queue.request(closed, ["report", "estimate"])
    attempt = queue.claim(closed.pk)
    assert attempt
    attempt.fail("It failed.")
    closed.status = "archived"
    closed.save()
    assert numbers(read(visitor, "/assessments/")) == [closed.number, never.number]
    queue.cancel_many([closed.pk])
    assert numbers(read(visitor, "/assessments/")) == [never.number, closed.number]
    closed.status = "in_progress"
    closed.save()
    assert numbers(read(visitor, "/assessments/")) == [closed.number, never.number]


def test_a_document_of_a_machine_with_an_older_version_has_its_place_when_the_sweep_has_counted(
    visitor: Client, assessor: User
) -> None:
    failed, never = (Assessment.objects.create(assessor=assessor) for _ in range(2))
    # The older version changes the document alone.
    failed.documents.filter(kind="report").update(status="error")
    Tally.count_changes()
    assert numbers(read(visitor, "/assessments/")) == [failed.number, never.number]


def test_of_very_many_hits_the_first_are_shown_and_the_page_says_so(
    visitor: Client, client: Client, assessor: User, staff: User
) -> None:
    many = [Assessment(assessor=assessor, number=f"ASM-2020-{n:04}", insured_name="Mokoena") for n in range(2_100)]
    Assessment.objects.bulk_create(many)
    failed = Assessment.objects.get(number="ASM-2020-0700")
    failed.documents.create(kind="report", position=0)
    queue.request(failed, ["report"])
    html = read(visitor, "/assessments/?q=mokoena")
    assert numbers(html)[0] == failed.number
    assert "Page 1 of 4" in html
    assert "Very many assessments have all of “mokoena” in them. Here are the first 100." in html
    assert "Very many" not in read(visitor, "/assessments/?q=mokoena+ASM20200700")
    assert "Very many" not in read(visitor, "/assessments/")
    client.force_login(staff)
    html = read(client, "/admin/assessments/assessment/?q=mokoena")
    assert "Very many assessments have all of this. Here are the first 100." in html
    assert len(re.findall(r'class="field-number"', html)) == 50
    suggest = {"app_label": "assessments", "model_name": "estimate", "field_name": "assessment", "term": "mokoena"}
    assert len(client.get("/admin/autocomplete/", suggest).json()["results"]) == 20
    assert "Very many" not in read(client, "/admin/")


def test_a_shown_table_keeps_its_order_while_it_renews_itself(visitor: Client, assessor: User) -> None:
    first, second = (Assessment.objects.create(assessor=assessor) for _ in range(2))
    shown = numbers(read(visitor, "/assessments/"))
    assert shown == [second.number, first.number]
    queue.request(first)
    html = read(visitor, f"/assessments/?shown={','.join(shown)}", **{"HX-Request": "true"})
    assert numbers(html) == shown
    assert html.strip().startswith("<tbody")
    assert 'data-document="report" data-status="pending"' in html
    assert "every 2s" in html


def test_the_list_marks_a_document_that_is_out_of_date(visitor: Client, assessment: Assessment) -> None:
    queue.request(assessment, ["estimate"])
    attempt = queue.claim(assessment.pk)
    assert attempt
    attempt.finish(size=1, sha256="0" * 64)
    assert "Estimate: ready</span>" in read(visitor, "/assessments/")
    assessment.documents.filter(kind="estimate").update(outdated_by="Vehicle", outdated_at=timezone.now())
    html = read(visitor, "/assessments/")
    assert 'data-document="estimate" data-status="success" data-icon="stale"' in html
    assert "Estimate: ready, out of date</span>" in html


def test_the_list_and_the_page_call_the_status_of_an_assessment_by_one_name(
    visitor: Client, assessment: Assessment
) -> None:
    assert '<th scope="col">Status</th>' in read(visitor, "/assessments/")
    assert "<dt>Status</dt><dd><div>In progress</div></dd>" in read(visitor, url(assessment))


def test_a_long_list_has_pages(visitor: Client, assessor: User) -> None:
    for _ in range(30):
        Assessment.objects.create(assessor=assessor, insured_name="Mokoena")
    first, second = read(visitor, "/assessments/?q=mokoena"), read(visitor, "/assessments/?q=mokoena&amp;page=2&page=2")
    assert (len(numbers(first)), len(numbers(second))) == (25, 5)
    assert not set(numbers(first)) & set(numbers(second))
    assert "?q=mokoena&amp;page=2" in first


def test_the_list_takes_as_many_queries_for_many_as_for_few(
    visitor: Client, assessor: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(20):
        cast.make_assessment(assessor, photos=0)
    with django_assert_max_num_queries(5):
        assert len(numbers(read(visitor, "/assessments/"))) == 20


# One assessment


def test_the_page_shows_the_data_of_the_assessment(visitor: Client, assessment: Assessment) -> None:
    html = read(visitor, url(assessment)).replace("\u202f", " ").replace("\xa0", " ")
    for words in ("2021 Toyota Corolla 1.8 XS", "KI-88123", "Thandi Mokoena", "AHTBB3JE401234567", "61 250", "Tow bar"):
        assert words in html
    # As estimating.py has it: parts, labour, paint, outwork and 25 % markup, 1 % sundries, 15 % VAT.
    assert "R 15 622.98" in html
    assert "R 12 122.98" in html


def test_every_table_of_amounts_names_its_currency(visitor: Client, assessment: Assessment) -> None:
    assessment.estimate.__class__.objects.update(currency="USD")
    html = read(visitor, url(assessment))
    for words in ("Nett amounts in USD.", "<dt>Breakdown</dt><dd>USD</dd>", "Value (USD)", "Amounts in USD."):
        assert words in html
    assert "ZAR" not in html


def test_the_page_says_that_the_outcome_contradicts_the_estimate(visitor: Client, assessment: Assessment) -> None:
    def shown() -> str:
        return read(visitor, url(assessment)).replace("\xa0", " ")

    # 65 % of the retail value of 278 000.00 is 180 700.00; the estimate is 15 622.98.
    assert "Green: far below the borderline write-off. The estimate is 8.6 % of it." in shown()
    assert "contradicts" not in shown()
    assessment.valuation.__class__.objects.update(retail=Decimal("20000.00"))
    assert (
        "Red: over the borderline write-off. The estimate is 120.2 % of it. This contradicts the outcome, a repair."
        in (shown())
    )
    assessment.estimate.__class__.objects.update(result="code_3")
    assert "contradicts" not in shown()


def test_the_page_shows_amounts_with_the_decimals_of_their_currency(visitor: Client, assessment: Assessment) -> None:
    Estimate.objects.update(currency="JPY")
    html = read(visitor, url(assessment)).replace("\u202f", " ").replace("\xa0", " ")
    # Lines of 4 311 (of 4 310.55) and 7 750, markups of 1 078 and 313, sundries of 135, VAT of 2 038; excess 3 500.
    assert "JPY 15 625" in html
    assert "JPY 12 125" in html
    assert not re.search(r"\d\.\d\d</dd>", html)


def test_an_assessment_without_data_has_a_page_too(visitor: Client, assessor: User) -> None:
    bare = Assessment.objects.create(assessor=assessor)
    html = read(visitor, url(bare))
    assert "No vehicle yet" in html
    assert "No photos yet" in html


def test_blank_lines_of_an_address_are_not_kept(visitor: Client, assessment: Assessment) -> None:
    Assessment.objects.update(insured_address="12 Protea Street\r\n\r\n \r\nCape Town\r\n")
    assert "<dd><div>12 Protea Street<br>Cape Town</div></dd>" in read(visitor, url(assessment))


def test_user_text_is_escaped_everywhere(visitor: Client, assessment: Assessment) -> None:
    evil = "<b onclick='x'>"
    Assessment.objects.update(insured_name=evil, notes=evil, incident_description=evil, claim_number=evil)
    assessment.vehicle.__class__.objects.update(make=evil, condition_notes=evil)
    assessment.damage.update(description=evil, location=evil)
    assessment.estimate.lines.update(description=evil)
    assessment.photos.update(caption=evil, name=evil)
    assert evil not in read(visitor, url(assessment))
    assert evil not in read(visitor, "/assessments/")


def test_two_hundred_photos_take_no_more_queries(
    visitor: Client, assessment: Assessment, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    rows = [
        Photo(assessment=assessment, name=f"{n}.jpg", original="x", size=1, width=1, height=1, thumbnail="x.jpg")
        for n in range(197)
    ]
    Photo.objects.bulk_create(rows)
    queue.request(assessment)
    with django_assert_max_num_queries(12):
        html = read(visitor, url(assessment))
    assert html.count("<img") == 197


def test_the_page_connects_to_the_stream_from_its_own_revision(visitor: Client, assessment: Assessment) -> None:
    queue.request(assessment, ["report"])
    queue.request(assessment, ["estimate"])
    html = read(visitor, url(assessment))
    assert f'data-events="{url(assessment, "events/")}?lastEventId={assessment.number}:2"' in html


def test_the_page_reloads_without_a_script_while_documents_are_made(visitor: Client, assessment: Assessment) -> None:
    refresh = '<noscript><meta http-equiv="refresh" content="3"></noscript>'
    assert refresh not in read(visitor, url(assessment))
    response = visitor.post(url(assessment, "documents/generate/"), follow=True)
    assert response.redirect_chain == [(url(assessment), 302)]
    html = response.content.decode()
    assert refresh in html
    assert html.count('data-status="pending"') == 4
    # A form with half of its fields filled in must not be lost.
    assert '<a href="?still#photos">' in html
    assert refresh not in read(visitor, url(assessment, "?still"))
    html = visitor.post(url(assessment, "documents/cancel/"), follow=True).content.decode()
    assert refresh not in html
    assert html.count('data-status="idle"') == 4


def test_every_button_of_the_panel_posts_without_a_script(visitor: Client, assessment: Assessment) -> None:
    queue.request(assessment, ["report"])
    attempt = queue.claim(assessment.pk)
    assert attempt is not None
    attempt.fail("It failed.")
    html = read(visitor, url(assessment))
    panel = html[html.index('<section id="documents"') : html.index('<section class="card" id="photos"')]
    assert re.search(r'<form id="documents-form" method="post"><input type="hidden" name="csrfmiddlewaretoken"', panel)
    buttons = re.findall(r"<button ([^>]+)>", panel)
    assert len(buttons) == 3
    for button in buttons:
        assert 'form="documents-form"' in button
        action = re.search(r'formaction="([^"]+)"', button)
        assert action is not None
        assert f'hx-post="{action[1]}"' in button
        assert visitor.post(action[1]).status_code == 302


def test_htmx_gets_the_panel_alone(visitor: Client, assessment: Assessment) -> None:
    html = read(visitor, url(assessment), **{"HX-Request": "true"})
    assert html.strip().startswith('<section id="documents"')
    assert html.count("<li ") == 4
    assert "<html" not in html


def test_pages_are_kept_by_no_cache(visitor: Client, assessment: Assessment) -> None:
    for path in ("/assessments/", url(assessment)):
        assert "no-store" in visitor.get(path).headers["Cache-Control"]


def test_pages_hold_no_inline_script_or_style(visitor: Client, assessment: Assessment) -> None:
    for path in ("/assessments/", url(assessment), url(assessment, "documents/report/retry/")):
        html = read(visitor, path)
        assert not re.search(r"<style|\sstyle=|\son\w+=|hx-on|<script(?![^>]*\ssrc=)", html)


# The retry link of mails


def test_the_retry_link_shows_a_button_and_changes_nothing(visitor: Client, assessment: Assessment) -> None:
    queue.request(assessment, ["photos-pdf"])
    attempt = queue.claim(assessment.pk)
    assert attempt is not None
    attempt.fail("This assessment has no photos. Add photos, then retry.")
    path = url(assessment, "documents/photos-pdf/retry/")
    html = read(visitor, path)
    assert "This assessment has no photos. Add photos, then retry." in html
    assert f'action="{path}"' in html
    assert assessment.documents.get(kind="photos-pdf").status == "error"
    assert visitor.post(path).headers["Location"] == url(assessment)
    assert assessment.documents.get(kind="photos-pdf").status == "pending"


# Photos


def test_several_photos_are_uploaded_at_once(
    visitor: Client, assessment: Assessment, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    files = upload(("one.jpg", cast.picture(51)), ("two.jpg", cast.picture(52)))
    data = {"photos": files, "section": "accessories", "caption": "Tow bar"}
    with django_capture_on_commit_callbacks(execute=True):
        response = visitor.post(url(assessment, "photos/"), data)
    assert response.headers["Location"] == url(assessment, "#photos")
    added = list(assessment.photos.filter(section="accessories", caption="Tow bar"))
    assert [photo.name for photo in added] == ["one.jpg", "two.jpg"]
    assert [photo.uploaded_by for photo in added] == [assessment.assessor] * 2
    assert "2 photos added to Accessories." in read(visitor, url(assessment))


def test_the_good_photos_are_kept_and_the_bad_ones_are_named(visitor: Client, assessment: Assessment) -> None:
    good, letter = cast.picture(61), b"Dear Sir"
    files = upload(("good.jpg", good), ("letter.jpg", letter), ("a <letter>.jpg", letter), ("empty.jpg", b""))
    html = visitor.post(
        url(assessment, "photos/"), {"photos": files, "section": "damage"}, follow=True
    ).content.decode()
    assert "1 photo added to Damage." in html
    assert "letter.jpg is " in html
    assert "a &lt;letter&gt;.jpg is not a photo that can be read." in html
    assert "empty.jpg is empty" in html
    assert list(assessment.photos.order_by("-pk").values_list("name", flat=True)[:1]) == ["good.jpg"]
    assert assessment.photos.count() == 4
    assert Path(assessment.photos.order_by("-pk")[0].original.path).read_bytes() == good


def test_each_of_many_refused_files_is_named_once_and_where_it_was_sent(visitor: Client, assessor: User) -> None:
    here, elsewhere = Assessment.objects.create(assessor=assessor), Assessment.objects.create(assessor=assessor)
    names = [f"letter-{number:02}.txt" for number in range(60)]
    for assessment in (here, elsewhere):
        files = upload(*((f"{assessment.number}-{name}", b"Dear Sir") for name in names))
        visitor.post(url(assessment, "photos/"), {"photos": files, "section": "damage"})
    assert "letter-" not in read(visitor, "/assessments/")
    for assessment, other in ((here, elsewhere), (elsewhere, here)):
        html = read(visitor, url(assessment))
        told = re.findall(rf"{assessment.number}-(letter-\d\d.txt) is not a photo that can be read\.", html)
        assert told == names
        assert f"{other.number}-letter" not in html
        assert "letter-" not in read(visitor, url(assessment))


def test_the_outcomes_of_two_uploads_are_both_told(visitor: Client, assessment: Assessment) -> None:
    for name in ("one.txt", "two.txt"):
        visitor.post(url(assessment, "photos/"), {"photos": upload((name, b"Dear Sir")), "section": "damage"})
    html = read(visitor, url(assessment))
    assert html.index("one.txt is not a photo") < html.index("two.txt is not a photo")


def test_an_upload_without_photos_says_what_to_do(visitor: Client, assessment: Assessment) -> None:
    html = visitor.post(url(assessment, "photos/"), {"section": "damage"}, follow=True).content.decode()
    assert "Choose one or more photos first." in html


def test_an_unknown_section_is_refused(visitor: Client, assessment: Assessment) -> None:
    data = {"photos": upload(("one.jpg", cast.picture(51))), "section": "wheels"}
    visitor.post(url(assessment, "photos/"), data)
    assert assessment.photos.count() == 3


def test_a_photo_is_shown_as_a_thumbnail_and_kept_by_no_shared_cache(visitor: Client, assessment: Assessment) -> None:
    photo = assessment.photos.all()[0]
    path = url(assessment, f"photos/{photo.pk}/thumbnail/")
    assert visitor.get(path).status_code == 404
    assert path not in read(visitor, url(assessment))
    cast.look_at(photo)
    assert path in read(visitor, url(assessment))
    response = visitor.get(path)
    assert (response.status_code, response.headers["Content-Type"]) == (200, "image/jpeg")
    assert response.content == Path(photo.thumbnail.path).read_bytes()
    assert "private" in response.headers["Cache-Control"]
    assert visitor.get(f"{path}?large").content == Path(photo.print_image.path).read_bytes()
    assert visitor.get(path, headers={"If-None-Match": response.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize("lost", ["thumbnail", "print_image"])
def test_a_lost_small_picture_is_made_again(lost: str, visitor: Client, assessment: Assessment) -> None:
    photo = cast.look_at(assessment.photos.all()[0])
    path = url(assessment, f"photos/{photo.pk}/thumbnail/") + ("?large" if lost == "print_image" else "")
    content = visitor.get(path).content
    Path(getattr(photo, lost).path).unlink()
    assert visitor.get(path).status_code == 404
    cast.look_at_all()
    assert visitor.get(path).content == content


def test_a_photo_of_which_all_files_are_lost_is_left_for_the_day_on_which_they_are_back(
    visitor: Client, assessment: Assessment
) -> None:
    photo = cast.look_at(assessment.photos.all()[0])
    asides = [Path(file.path).rename(f"{file.path}.aside") for file in (photo.original, photo.thumbnail)]
    path = url(assessment, f"photos/{photo.pk}/thumbnail/")
    assert visitor.get(path).status_code == 404
    for aside in asides:
        aside.rename(aside.with_suffix(""))
    assert visitor.get(path).status_code == 200


def test_a_photo_is_not_shown_under_another_assessment(visitor: Client, assessor: User, assessment: Assessment) -> None:
    photo = cast.look_at(assessment.photos.all()[0])
    other = Assessment.objects.create(assessor=assessor)
    assert visitor.get(url(other, f"photos/{photo.pk}/thumbnail/")).status_code == 404


def test_an_unreadable_photo_shows_its_problem_in_its_place(visitor: Client, assessment: Assessment) -> None:
    photo = cast.look_at(cast.add_photo(assessment, b"no picture", "IMG_0012.jpg"))
    html = read(visitor, url(assessment))
    assert photo.problem
    assert photo.problem in html
    # The head of the photos names it, too: its place may be far below.
    head = html[html.index('id="gallery"') :].partition("<h3>")[0]
    assert f'1 photo cannot be read: <a href="#photo-{photo.pk}">IMG_0012.jpg</a>.' in head


def test_the_gallery_refreshes_itself_while_a_photo_is_new(visitor: Client, assessment: Assessment) -> None:
    path = url(assessment, "photos/")
    html = read(visitor, path, **{"HX-Request": "true"})
    assert html.strip().startswith('<div id="gallery" hx-get=')
    assert html.count("Being looked at") == 3
    cast.look_at_all()
    html = read(visitor, path, **{"HX-Request": "true"})
    assert html.strip().startswith('<div id="gallery" data-address=')
    assert html.count("<img") == 3


def test_a_script_gets_the_outcome_of_each_photo(visitor: Client, assessment: Assessment) -> None:
    def send(*files: tuple[str, bytes], section: str = "damage") -> Any:
        data = {"photos": upload(*files), "section": section}
        response = visitor.post(url(assessment, "photos/"), data, headers={"X-Requested-With": "XMLHttpRequest"})
        assert response.status_code == 200
        return response.json()

    nothing = {"section": "Damage", "added": 0, "already_there": 0, "there": "", "refused": []}
    assert send(("one.jpg", cast.picture(61))) == nothing | {"added": 1}
    assert send(("again.jpg", cast.picture(61))) == nothing | {"already_there": 1, "there": "already there, in Damage"}
    assert send(("empty.jpg", b"")) == nothing | {"refused": ["empty.jpg is empty. Upload the photo again."]}
    assert len(send(("one.jpg", cast.picture(62)), section="wheels")["refused"]) == 1
    assert assessment.photos.count() == 4
    # The script shows the outcome itself.
    assert '<ul class="messages">' not in read(visitor, url(assessment))


def test_photos_that_are_sent_again_are_not_added_again(visitor: Client, assessment: Assessment) -> None:
    for words in ("2 photos added to Damage.", "2 photos already there, in Damage."):
        files = upload(("one.jpg", cast.picture(71)), ("two.jpg", cast.picture(72)))
        data = {"photos": files, "section": "damage"}
        html = visitor.post(url(assessment, "photos/"), data, follow=True).content.decode()
        assert words in html
    assert assessment.photos.count() == 5


def test_a_new_caption_of_photos_that_are_there_already_is_said_to_be_unused(
    visitor: Client, assessment: Assessment
) -> None:
    for caption in ("Left rear", "Left rear again"):
        data = {"photos": upload(("one.jpg", cast.picture(73))), "section": "damage", "caption": caption}
        html = visitor.post(url(assessment, "photos/"), data, follow=True).content.decode()
    assert "1 photo already there, in Damage; the new caption was not used." in html
    assert [photo.caption for photo in assessment.photos.filter(name="one.jpg")] == ["Left rear"]


# What people look for


def test_an_excess_that_was_never_entered_is_not_called_none(visitor: Client, assessment: Assessment) -> None:
    assert "<dt>Excess</dt><dd><div>R\u00a03\u202f500.00</div></dd>" in read(visitor, url(assessment))
    assessment.excess = Decimal(0)
    assessment.save()
    assert "<dt>Excess</dt>" not in read(visitor, url(assessment))


def test_telephone_numbers_and_e_mail_addresses_are_links(visitor: Client, assessment: Assessment) -> None:
    html = read(visitor, url(assessment))
    assert '<dt>Phone</dt><dd><div><a href="tel:+27825550100">+27 82 555 0100</a></div></dd>' in html
    assert '<div><a href="mailto:claims@karoo.example">claims@karoo.example</a></div>' in html
    # A number of a policy is no telephone number.
    assessment.policy_number = "0825550100"
    assessment.save()
    assert html.count("tel:") == read(visitor, url(assessment)).count("tel:")


def test_an_address_for_mail_leads_nowhere_else(visitor: Client, assessment: Assessment) -> None:
    assessment.insured_email = 'a@b.example?bcc=x"><script>'
    assessment.save()
    assert "<script>" not in read(visitor, url(assessment))
    assert "?bcc" not in re.findall('href="(mailto:a@[^"]*)"', read(visitor, url(assessment)))[0]


def test_a_search_without_a_result_leads_to_all_assessments(visitor: Client, assessment: Assessment) -> None:
    assert '<a href="/assessments/">All assessments</a>' in read(visitor, "/assessments/?q=nothing-like-this")


def test_the_list_says_which_photos_are_missing_in_a_file_and_names_its_marks(
    visitor: Client, assessment: Assessment
) -> None:
    queue.request(assessment, ["photos-pdf"])
    attempt = queue.claim(assessment.pk)
    assert attempt
    attempt.finish(size=1, sha256="0" * 64, message="34 of 37 photos", photos=34, missing=3)
    html = read(visitor, "/assessments/")
    assert 'data-icon="stale" title="Photos PDF: ready, 3 photos missing"' in html
    assert "The marks, from the left: Assessment Report, Estimate, Photos PDF, Photos ZIP." in html
