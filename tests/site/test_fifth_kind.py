"""A fifth kind of document in all parts of a running site, from an entry, a generator, a template and a migration."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from pypdf import PdfReader

from tests import staging
from tests.running import Site, run_manage, wait_until

KINDS = ["report", "estimate", "photos-pdf", "photos-zip", "letter"]


@pytest.fixture(scope="module")
def five(site_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Start a site that had four kinds of document and got a fifth."""
    site = Site(site_template, tmp_path_factory.mktemp("five") / "site", DJANGO_SETTINGS_MODULE="tests.fifth.settings")
    migrated = staging.manage(site.environment, "migrate")
    assert migrated.returncode == 0, migrated.stderr
    site.start()
    yield site
    site.stop()


def number_of(site: Site) -> str:
    return str(site.rows("SELECT min(number) AS number FROM assessments_assessment")[0]["number"])


def read(site: Site, path: str) -> str:
    with closing(site.login("assessor")) as client:
        answer = client.get(path)
    assert answer.status_code == 200
    return answer.text


def test_one_migration_is_enough(five: Site) -> None:
    done = staging.manage(five.environment, "makemigrations", "--check", "--dry-run")
    assert (done.returncode, done.stdout) == (0, "No changes detected\n")


def test_existing_assessments_get_an_empty_document(five: Site) -> None:
    html = read(five, f"/assessments/{number_of(five)}/")
    assert re.findall(r'<li id="document-([a-z-]+)"', html) == KINDS
    assert "0 of 5 documents ready" in html


OLD = """
import json
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from assessments.documents import queue
from assessments.models import Assessment

assessment = Assessment.objects.get(number="NUMBER")
with transaction.atomic():
    batch, asked = queue.request(assessment)
    transaction.set_rollback(True)
client = Client(SERVER_NAME="127.0.0.1")
client.force_login(User.objects.get(username="assessor"))
page = client.get("/assessments/NUMBER/")
print(json.dumps([asked, page.status_code, page.text]))
"""


def test_a_machine_with_the_old_version_leaves_the_letter_alone(five: Site) -> None:
    old = {name: value for name, value in five.environment.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = staging.run(old, OLD.replace("NUMBER", number_of(five)))
    assert done.returncode == 0, done.stderr
    asked, status, html = json.loads(done.stdout)
    assert asked == KINDS[:4]
    assert (status, re.findall(r'<li id="document-([a-z-]+)"', html)) == (200, KINDS[:4])


def test_the_page_shows_the_letter_live(five: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(five, "assessor", f"/assessments/{number_of(five)}/")
    page.get_by_role("button", name="Generate all documents").click()
    letter = page.locator("#document-letter")
    expect(letter).to_have_attribute("data-status", "success", timeout=60_000)
    expect(page.locator("#documents-live")).to_have_text("All five documents ready")
    expect(page).to_have_title(f"5/5 - {number_of(five)}")
    expect(letter.get_by_role("link", name="Open")).to_be_visible()
    expect(page.locator("#documents-progress")).to_have_js_property("value", 100)


def test_the_file_of_the_letter_has_its_name_and_its_words(five: Site) -> None:
    number = number_of(five)
    with closing(five.login("assessor")) as client:
        client.post(f"/assessments/{number}/documents/letter/retry/")
        wait_until(lambda: five.statuses(number)["letter"] == "success", "the letter is not made")
        answer = client.get(f"/assessments/{number}/documents/letter/?download")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{number}_Letter.pdf"'
    assert answer.headers["Content-Type"] == "application/pdf"
    text = " ".join(PdfReader(BytesIO(answer.content)).pages[0].extract_text().split())
    assert "Dear Thandi Mokoena, your 2021 Toyota Corolla 1.8 XS has been assessed." in text
    assert f"{number} - Letter - version" in text


def test_the_json_stream_gives_each_document_a_fifth(five: Site) -> None:
    with (
        closing(five.login("assessor")) as client,
        client.stream(
            "POST", "/api/generate-all-documents", json={"assessmentId": number_of(five)}, timeout=60
        ) as answer,
    ):
        messages = [json.loads(line[len("data: ") :]) for line in answer.iter_lines() if line.startswith("data: ")]
    assert list(messages[0]["results"]) == ["report", "estimate", "photosPdf", "photosZip", "letter"]
    seen = [message["progress"] for message in messages]
    assert {20, 40, 60, 80, 100} <= set(seen)
    assert seen == sorted(seen)
    assert messages[-1]["status"] == "complete"
    assert messages[-1]["results"]["letter"]["url"].endswith("/documents/letter/")
    assert {"Report complete", "Photos ZIP complete"} <= {message["message"] for message in messages}


def test_the_list_and_the_admin_show_the_letter(five: Site, open_page: Callable[..., Page]) -> None:
    number = number_of(five)
    assert read(five, "/assessments/").count('data-document="letter"') == 2
    page = open_page(five, "staff", "/admin/assessments/assessment/")
    page.get_by_role("row", name=number).get_by_role("checkbox").check()
    page.locator("select[name=action]").select_option("generate_documents")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("columnheader", name="Letter")).to_be_visible()
    expect(page.get_by_text("5 of 5 documents ready")).to_be_visible(timeout=60_000)


def test_the_command_makes_the_letter(five: Site) -> None:
    number = number_of(five)
    done = run_manage(five.environment, "generate_documents", number)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^Letter: \S+/letter/\S+\.pdf \(", done.stdout, re.MULTILINE)
    assert done.stdout.endswith("5 of 5 documents ready\n")
    done = staging.manage(five.environment, "generate_documents", number, "--only", "letter")
    assert done.stdout.endswith("1 of 1 documents ready\n")


def test_a_change_of_its_data_puts_the_letter_out_of_date(five: Site) -> None:
    number = number_of(five)
    changing = (
        "from assessments.models import Assessment; "
        f"one = Assessment.objects.get(number='{number}'); one.insured_address = '5 Aloe Road'; one.save()"
    )
    done = staging.run(five.environment, changing)
    assert done.returncode == 0, done.stderr
    html = read(five, f"/assessments/{number}/")
    stale = re.findall(r'<li id="document-([a-z-]+)"[^>]*data-stale', html)
    assert stale == ["report", "letter"]
