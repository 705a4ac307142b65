"""Any text of people is shown as written, everywhere, and does no harm."""

import csv
import email
import email.policy
import io
import json
import re
import subprocess
import threading
import unicodedata
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import httpx
import pypdfium2
import pytest
import tinyhtml5
from django.contrib import admin
from playwright.sync_api import Dialog, Page

from assessments.models import Accessory, Assessment, Damage, Photo, Tyre, Valuation, Vehicle
from assessments.printing import report
from tests import cast, sse
from tests.cast import YEAR
from tests.running import PATIENCE, Site, wait_until
from tests.site.test_paper import FULL

from . import hostile

KINDS = ("report", "estimate", "photos-pdf", "photos-zip")
# The attributes whose values a browser may run or fetch.
ADDRESSES = {"href", "src", "action", "formaction", "srcset", "data", "poster"}
XHTML = "{http://www.w3.org/1999/xhtml}"


@dataclass(frozen=True)
class Stage:
    """A site with hostile texts, and the output that the site made of them."""

    site: Site
    numbers: list[str]
    # The numbers of the assessments whose documents were made.
    made: list[str]
    events: list[sse.SentEvent]
    messages: bytes

    def file(self, number: str, slug: str) -> bytes:
        path = f"/assessments/{number}/documents/{slug}/"
        with self.site.login("staff") as client:
            answer = client.get(path)
        assert answer.status_code == 200, (number, slug)
        return answer.content

    def text(self, number: str, slug: str) -> str:
        with pypdfium2.PdfDocument(self.file(number, slug)) as document:
            return "".join(page.get_textpage().get_text_range() for page in document)


@pytest.fixture(scope="module")
def stage(shared_site: Site, database: str) -> Stage:
    """Make documents. The event stream and the JSON stream of the first assessment are read meanwhile."""
    numbers: list[str] = shared_site.python("from tests.security import hostile; print(hostile.write())")
    events: list[sse.SentEvent] = []
    reading = threading.Thread(target=read_events, args=(shared_site, numbers[0], events), daemon=True)
    reading.start()
    with shared_site.login("staff") as client:
        for number in numbers[1 : MADE[database]]:
            client.post(f"/assessments/{number}/documents/generate/")
        answer = client.post("/api/generate-all-documents", json={"assessmentId": numbers[0]}, timeout=300)
    assert answer.status_code == 200
    unfinished = "SELECT 1 FROM assessments_document WHERE status IN ('pending', 'processing')"
    wait_until(lambda: not shared_site.rows(unfinished), "the documents are not made", 300)
    reading.join(30)
    return Stage(shared_site, numbers, numbers[: MADE[database]], events, answer.content)


# How many assessments get documents: on SQLite all texts in all places, on PostgreSQL enough to see a difference.
MADE = {"sqlite": len(hostile.TEXTS), "postgresql": 3}


def read_events(site: Site, number: str, events: list[sse.SentEvent]) -> None:
    with site.login("staff") as client, client.stream("GET", f"/assessments/{number}/events/", timeout=300) as stream:
        for event in sse.changes(stream):
            events.append(event)
            if event.document == KINDS[-1] and event.status in {"success", "error"}:
                return


def flat(text: str) -> str:
    return re.sub(r"\s", "", text)


def printable(text: str) -> str:
    """Return the printable ASCII characters of a text: no spaces, no marks of direction, no other scripts."""
    return re.sub(r"[^!-~]", "", text)


# A token against forged requests, which may contain a mark by chance.
TOKEN = re.compile(r"\b[A-Za-z0-9]{64}\b")


@lru_cache(maxsize=1)
def parsed(page: str) -> ET.Element:
    """Return a page as a browser reads it. Several checks in a row look at the same page."""
    return tinyhtml5.parse(page)


def shown(page: str) -> Iterator[str]:
    """Yield every text and every value of an attribute, as a browser reads the page, but no tokens."""
    for element in parsed(page).iter():
        yield element.text or ""
        yield element.tail or ""
        yield from (TOKEN.sub("", value) for value in element.attrib.values())


def elements(page: str) -> set[tuple[str, frozenset[str]]]:
    """Return the kinds of elements on a page, each with the names of its attributes."""
    return {
        (str(element.tag).removeprefix(XHTML), frozenset(map(str, element.attrib)))
        for element in parsed(page).iter()
        if isinstance(element.tag, str)
    }


def seen_whole(text: str, turn: int, plain: Callable[[str], str] = flat) -> set[str]:
    """Return the columns whose text is there; check that each text is whole wherever its ending is."""
    text, found = plain(text), set()
    for name in hostile.columns():
        ending, whole = hostile.mark(name), plain(hostile.text(name, turn))
        assert text.count(ending) == text.count(whole), f"{name} is not all there, or not as it was written"
        if ending in text:
            found.add(name)
    return found


# The pages ------------------------------------------------------------------------------------------------------------


def pages_of(number: str) -> list[str]:
    page = f"/assessments/{number}/"
    return [page, *(f"{page}documents/{slug}/retry/" for slug in KINDS), f"/assessments/?q={number}"]


def harmless(page: str, known: set[tuple[str, frozenset[str]]]) -> None:
    assert elements(page) <= known, elements(page) - known
    for element in parsed(page).iter():
        for name, value in element.attrib.items():
            assert not name.startswith(("style", "on")), (element.tag, name)
            if name in ADDRESSES:
                assert re.match(r"/(?!/)|\?|#|$", value), (name, value)


@pytest.fixture(scope="module")
def known(stage: Stage) -> set[tuple[str, frozenset[str]]]:
    """Return the elements of the same pages with harmless texts."""
    number = stage.numbers[0].rpartition("-")[0] + "-001"
    with stage.site.login("staff") as client:
        client.post(f"/assessments/{number}/documents/generate/")
        wait_until(lambda: set(stage.site.statuses(number).values()) == {"success"}, "they are not made")
        pages = [client.get(path).text for path in pages_of(number)]
    # The elements of a failed document, an unreadable photo and a text of several paragraphs are known, too.
    strange = {("div", frozenset({"class", "data-problem"})), ("br", frozenset()), ("details", frozenset())}
    strange |= {("summary", frozenset()), ("code", frozenset()), ("p", frozenset({"class"}))}
    row = {"id", "class", "data-document", "data-status", "tabindex", "data-revision"}
    strange |= {("li", frozenset(row)), ("li", frozenset({*row, "data-missing"}))}
    strange |= {("button", frozenset({"id", "class", "form", "formaction", "hx-post", "hx-swap", "hx-sync"}))}
    return set().union(*map(elements, pages)) | strange


def test_a_page_shows_each_text_as_written_and_gets_no_element_from_it(
    stage: Stage, known: set[tuple[str, frozenset[str]]]
) -> None:
    with stage.site.login("staff") as client:
        for turn, number in enumerate(stage.numbers):
            found = set()
            for path in pages_of(number):
                answer = client.get(path)
                assert answer.status_code == 200, path
                harmless(answer.text, known)
                found |= seen_whole("\n".join(shown(answer.text)), turn)
            assert {"Vehicle.registration", "Damage.description", "Photo.name", "EstimateLine.description"} <= found
            assert "User.username" in found if turn % 2 else "User.last_name" in found


def test_the_pages_of_the_office_show_each_text_as_written(stage: Stage) -> None:
    turn = 3
    paths = [f"/admin/{model._meta.app_label}/{model._meta.model_name}/" for model in admin.site._registry]
    forms = r'href="(/admin/assessments/\w+/\d+/change/)'
    seen = 0
    with stage.site.login("staff") as client:
        client.follow_redirects = True
        for path in paths:
            answer = client.get(path)
            if answer.status_code == 403:
                continue
            assert answer.status_code == 200, path
            for form in sorted(set(re.findall(forms, answer.text)))[:3]:
                for page in (form, form.replace("change", "history"), form.replace("change", "delete")):
                    nothing_runs(client.get(page).text)
                    seen += 1
            nothing_runs(answer.text)
        [pk] = stage.site.rows("SELECT id FROM assessments_assessment WHERE number = ?", stage.numbers[turn])
        form = client.get(f"/admin/assessments/assessment/{pk['id']}/change/")
    fields = flat("\n".join(shown(form.text)))
    for name, column in hostile.columns().items():
        if column.model in EDITED:
            assert flat(hostile.text(name, turn)) in fields, name
    assert seen > 20


# The models whose texts are in the fields of an assessment's form.
EDITED = (Assessment, Vehicle, Tyre, Accessory, Damage, Valuation, Photo)


def nothing_runs(page: str) -> None:
    for element in parsed(page).iter():
        tag = str(element.tag).removeprefix(XHTML)
        assert not any(name.startswith("on") for name in element.attrib), ET.tostring(element)
        assert not (tag == "script" and "alert" in (element.text or ""))
        assert not (tag == "img" and element.get("src") == "x")
        assert "evil" not in element.get("href", "")


# The documents --------------------------------------------------------------------------------------------------------


def test_the_documents_contain_the_whole_text_of_every_column(stage: Stage) -> None:
    found = set()
    for turn, number in enumerate(stage.made):
        text = printable("".join(stage.text(number, slug) for slug in KINDS[:3]))
        for name in hostile.columns():
            # A copy from the paper is as it was typed, also where the letters stand in another order.
            whole = printable(hostile.text(name, turn))
            if hostile.mark(name) in text:
                assert whole in text, f"{name} is not all there: {whole}"
                found.add(name)
    assert found == set(hostile.columns())


def test_the_archive_has_names_for_every_system_and_unpacks(stage: Stage, tmp_path: Path) -> None:
    for number in stage.made[1:]:
        path = tmp_path / f"{number}.zip"
        path.write_bytes(stage.file(number, "photos-zip"))
        done = subprocess.run(["unzip", "-tqq", path], capture_output=True, check=False)
        assert done.returncode == 0, done.stdout
        names = zipfile.ZipFile(path).namelist()
        assert len({name.casefold() for name in names}) == len(names)
        for name in names:
            assert re.match(r"manifest\.csv$|0\d_[0-9A-Za-z_]+/\d\d_[^/\\]+\.jpg$", name), name
            assert all(unicodedata.category(sign)[0] in "LMN" or sign in "_./" for sign in name), name
            assert ".." not in name
            assert len(name.rpartition("/")[2].encode()) < 255
        subprocess.run(["unzip", "-qq", path, "-d", tmp_path / number], check=True, capture_output=True)
        unpacked = {str(file.relative_to(tmp_path / number)) for file in (tmp_path / number).rglob("*.*")}
        assert unpacked == set(names)


def test_the_list_in_the_archive_is_correct_and_has_no_formulas(stage: Stage) -> None:
    for turn, number in list(enumerate(stage.made))[1:]:
        archive = zipfile.ZipFile(io.BytesIO(stage.file(number, "photos-zip")))
        content = archive.read("manifest.csv").decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(content, newline="")))
        caption = hostile.text("Photo.caption", turn)
        assert len(rows) == 3
        for row in rows:
            assert list(row) == ["folder", "file name", "caption", "bytes", "SHA-256"]
            assert archive.getinfo(f"{row['folder']}/{row['file name']}").file_size == int(row["bytes"])
            # A text that could be a formula has an apostrophe before it, and no other text is changed.
            assert re.sub(r"(^|[;\t\r\n])'(?=[=+\-@\t\r\n])", r"\1", row["caption"]) == caption
        for separator in ",;\t":
            for cells in csv.reader(io.StringIO(content.lstrip("\ufeff"), newline=""), delimiter=separator):
                assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))], separator


# The streams, the mails, the log --------------------------------------------------------------------------------------


def test_hostile_texts_do_not_break_the_event_stream(stage: Stage) -> None:
    revisions = [event.revision for event in stage.events]
    assert revisions == sorted(revisions)
    assert {event.document for event in stage.events} == set(KINDS)
    last = stage.events[-1]
    assert (last.document, last.status) == ("photos-zip", "error")
    assert flat(hostile.LOST) in flat("".join(shown(last.data)))
    for event in stage.events:
        nothing_runs(event.data)


def test_hostile_texts_do_not_break_the_json_stream(stage: Stage) -> None:
    blocks = stage.messages.decode().split("\n\n")
    assert blocks.pop() == ""
    messages = [json.loads(block.removeprefix("data: ")) for block in blocks if block.startswith("data: ")]
    assert all(re.fullmatch(r"(data: \{[^\r\n]*\}|: keep-alive)", block) for block in blocks)
    assert messages[-1]["status"] == "partial"
    assert hostile.LOST in messages[-1]["results"]["photosZip"]["error"]
    assert [message["progress"] for message in messages] == sorted(message["progress"] for message in messages)


def test_a_hostile_text_makes_no_header_in_the_mail(stage: Stage) -> None:
    folder = stage.site.data_dir / "mail"
    whole = b"-" * 79 + b"\n"
    [mail] = wait_until(
        lambda: [path for path in folder.glob("*") if path.read_bytes().endswith(whole)], "there is no mail"
    )
    message = email.message_from_bytes(mail.read_bytes().rpartition(b"-" * 79)[0], policy=email.policy.default)
    assert message["Injected"] is None
    assert message["To"] == "staff@example.org"
    assert message["Subject"] == f"{stage.numbers[0]}: 1 document failed, 3 of 4 ready"
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    name = flat(hostile.LOST)
    assert name in flat(plain.get_content())
    assert name in flat("".join(shown(html.get_content())))
    nothing_runs(html.get_content())


def test_a_hostile_text_makes_no_line_in_the_log(stage: Stage) -> None:
    log = stage.site.log.read_bytes().decode()
    assert hostile.TEXTS["markup"] in log
    forged = tuple(filter(None, hostile.TEXTS["lines"].splitlines()))
    assert [line for line in log.split("\n") if line.startswith(forged)] == []
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028]", log)


# Characters that a database cannot keep, and texts without end ------------------------------------------------------


def test_a_nul_is_refused_in_requests_and_harmless_in_the_database(shared_site: Site, database: str) -> None:
    number = f"ASM-{YEAR}-003"
    page = f"/assessments/{number}/"
    with shared_site.login("staff") as client:
        form = client.post("/admin/assessments/office/1/change/", data={"name": "a\0b"}, follow_redirects=True)
        assert "Null characters are not allowed." in form.text
        files = {"photos": ("a.jpg", cast.picture(1))}
        sent = {"section": "damage", "caption": "a\0b"}
        upload = client.post(f"{page}photos/", data=sent, files=files, follow_redirects=True)
        assert "Null characters are not allowed." in upload.text
        for path in ("/assessments/?q=%00", "/assessments/%00/", "/admin/assessments/photo/?q=%00", "/%00"):
            answer = client.get(path)
            assert answer.status_code == 400, path
            assert "That could not be taken" in answer.text
        login = httpx.post(
            f"{shared_site.url}/login/",
            data={"username": "a\0b", "password": "c"},
            headers=client.headers,
            timeout=PATIENCE,
        )
        assert login.status_code in {200, 403}
        written = shared_site.python(
            "import json\nfrom django.db import DataError\nfrom assessments.models import Assessment\n"
            f"try: print(Assessment.objects.filter(number='{number}').update(notes='a\\0b'))\n"
            "except DataError: print(0)"
        )
        assert written == {"sqlite": 1, "postgresql": 0}[database]
        assert client.get(page).status_code == 200
        client.post(f"{page}documents/report/retry/")
        wait_until(lambda: shared_site.statuses(number)["report"] == "success", "the report is not made", 60)


@pytest.mark.timeout(150)
def test_a_word_of_a_hundred_thousand_letters_is_printed_in_a_narrow_column(tmp_path: Path) -> None:
    endless = replace(FULL, insured=FULL.insured.changed(address="W" * 100_000 + "\n" * 100_000 + "Its end"))
    made = report.generate(endless, tmp_path, lambda progress, message: None)
    with pypdfium2.PdfDocument(made.path) as document:
        text = "".join(page.get_textpage().get_text_range() for page in document)
    assert text.count("W") >= 100_000
    assert "Its end" in text


# In a browser ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_no_hostile_text_runs_in_a_browser(site: Site, open_page: Callable[..., Page]) -> None:
    numbers = site.python("from tests.security import hostile; print(hostile.write())")
    dialogs: list[str] = []

    def note(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page = open_page(site, "staff", "/assessments/")
    page.on("dialog", note)
    for number in numbers:
        page.goto(f"/assessments/{number}/")
        assert page.locator("#documents").is_visible()
        assert page.locator("main script, main style, main img[src=x], main b").count() == 0
    page.goto("/admin/assessments/assessment/")
    page.goto(f"/assessments/{numbers[0]}/")
    page.click("#documents-generate")
    page.wait_for_selector("#document-photos-zip[data-status=error]", timeout=120_000)
    assert hostile.TEXTS["markup"] in page.inner_text("#document-photos-zip")
    assert dialogs == []
