"""Whatever is uploaded is kept and printed right, or refused with a reason; and the site goes on."""

import csv
import hashlib
import io
import os
import signal
import threading
import zipfile
from collections.abc import Callable
from datetime import date
from html import unescape
from itertools import batched
from pathlib import Path

import httpx
import pypdf
import pytest
from PIL import Image, PngImagePlugin
from playwright.sync_api import Page, expect

from tests import cast, family
from tests.running import Site, wait_until
from tests.test_print_image import assert_upright, middle

from . import pictures
from .pictures import SECRET, Upload

YEAR = date.today().year  # noqa: DTZ011
NUMBER = f"ASM-{YEAR}-003"
PHOTOS = f"/assessments/{NUMBER}/photos/"
# The most that the web process and the worker may have needed, whatever came.
MEMORY = 256 * 2**20
KINDS = ("report", "estimate", "photos-pdf", "photos-zip")
# Of EXIF, XMP, IPTC and of where a photo was taken.
TRACES = (SECRET.encode(), b"Exif\0", b"xmpmeta", b"Photoshop 3.0", b"8BIM", b"GPS")


def peak(pid: int) -> int:
    """The most memory that a process ever had, in bytes."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def named(site: Site, name: str) -> int:
    assert site.process
    (pid,) = wait_until(lambda: family.named(site.process.pid, name), f"no {name} runs")  # type: ignore[union-attr]
    return int(pid)


def send(client: httpx.Client, *uploads: Upload) -> list[str]:
    """Upload as a browser without scripts does; return what the page then says."""
    files = [("photos", (upload.name, upload.content, "image/jpeg")) for upload in uploads]
    answer = client.post(PHOTOS, data={"section": "damage"}, files=files, follow_redirects=True)
    assert answer.status_code == 200, answer.text
    said = answer.text.partition('<ul class="messages">')[2].partition("</ul>")[0]
    return [
        unescape(line.partition(">")[2].removesuffix("</li>")) for line in said.strip().splitlines() if line.strip()
    ]


def rows(site: Site) -> dict[str, dict[str, str]]:
    query = (
        "SELECT p.name AS name, original, print_image, thumbnail, p.sha256 AS sha256, problem FROM assessments_photo p "
        "JOIN assessments_assessment a ON a.id = p.assessment_id WHERE a.number = ? ORDER BY p.id"
    )
    return {row["name"]: row for row in site.rows(query, NUMBER)}


@pytest.fixture
def stage(site: Site) -> Site:
    """Every evil photo there is, sent; what was kept is prepared, and the four documents are made."""
    processes = {name: named(site, name) for name in ("web", "worker")}
    with site.login("assessor") as client:
        good, bad = pictures.kept(), pictures.refused()
        said = send(client, *good)
        assert said == [f"{len(good)} photos added to Damage."]
        for some in batched(bad, 15):
            assert send(client, *some) == [f"{upload.name} {upload.reason}" for upload in some]
        assert list(rows(site)) == [upload.name for upload in good]
        wait_until(
            lambda: all(row["thumbnail"] or row["problem"] for row in rows(site).values()), "not prepared", patience=90
        )
        client.post(f"/assessments/{NUMBER}/documents/generate/")
        wait_until(
            lambda: set(site.statuses(NUMBER).values()) == {"success"}, "the documents are not made", patience=90
        )
    assert {name: named(site, name) for name in processes} == processes
    for name, pid in processes.items():
        assert peak(pid) < MEMORY, f"{name} had {peak(pid) // 2**20} MiB"
    return site


def document(site: Site, kind: str) -> bytes:
    with site.login("assessor") as client:
        return client.get(f"/assessments/{NUMBER}/documents/{kind}/").content


def test_every_photo_is_printed_right_or_refused_with_a_reason(stage: Site) -> None:
    media = stage.data_dir / "media"
    sent = {upload.name: upload for upload in pictures.kept()}
    printed = set()
    for name, row in rows(stage).items():
        assert not row["problem"], (name, row["problem"])
        # The original is kept as it came.
        assert (media / row["original"]).read_bytes() == sent[name].content
        for column in ("print_image", "thumbnail"):
            path = media / row[column]
            if sent[name].is_flag:
                assert_upright(path)
            else:
                red, green, blue = middle(path)
                assert red > 200
                assert max(green, blue) < 60
            assert not [trace for trace in TRACES if trace in path.read_bytes()], name
        printed.add((media / row["print_image"]).read_bytes())

    # The PDF holds the print images as they are, each of them, and nothing that a camera wrote.
    papers = {kind: document(stage, kind) for kind in KINDS}
    reader = pypdf.PdfReader(io.BytesIO(papers["photos-pdf"]))
    streams = [
        value.get_object()._data
        for page in reader.pages
        for value in page["/Resources"].get("/XObject", {}).values()  # type: ignore[attr-defined]
        if value.get_object().get("/Filter") == "/DCTDecode"
    ]
    assert set(streams) >= printed
    for kind in ("report", "estimate", "photos-pdf"):
        assert not [trace for trace in TRACES if trace in papers[kind]], kind
    pages = "".join(page.extract_text() for page in reader.pages)
    assert "could not" not in pages

    # The archive holds the originals byte for byte, with all that the camera wrote into them.
    with zipfile.ZipFile(io.BytesIO(papers["photos-zip"])) as archive:
        assert archive.testzip() is None
        listed = list(csv.DictReader(io.StringIO(archive.read("manifest.csv").decode("utf-8-sig"))))
        contents = [archive.read(f"{line['folder']}/{line['file name']}") for line in listed]
        assert sorted(contents) == sorted(upload.content for upload in sent.values())
        assert [hashlib.sha256(content).hexdigest() for content in contents] == [line["SHA-256"] for line in listed]
    assert any(SECRET.encode() in content for content in contents)


# Names --------------------------------------------------------------------------------------------------------------

NAMES = {
    "../../../etc/passwd.jpg": "passwd.jpg",
    "..\\..\\windows\\system.jpg": "system.jpg",
    "/etc/cron.d/evil.jpg": "evil.jpg",
    "C:\\DCIM\\left door.jpg": "left door.jpg",
    "bell\x07 and\x1b[31m red.jpg": "bell and[31m red.jpg",
    "\u202egpj.exe": "gpj.exe",
    "zero\u200bwidth.jpg": "zerowidth.jpg",
    "<script>alert(1)</script>.jpg": "script>.jpg",
    "' OR 1=1 --.jpg": "' OR 1=1 --.jpg",
    "{{ settings.SECRET_KEY }}.jpg": "{{ settings.SECRET_KEY }}.jpg",
    "=cmd|'/c calc'!A0.jpg": "c calc'!A0.jpg",
    "n" * 300 + ".jpg": "n" * 251 + ".jpg",
    "\u8f66\u8f86 \u0633\u064a\u0627\u0631\u0629.jpg": "\u8f66\u8f86 \u0633\u064a\u0627\u0631\u0629.jpg",
    ".jpg": ".jpg",
}


def raw_form(names: list[str]) -> tuple[bytes, str]:
    """A form with a photo of each name, written as no browser or library would write it."""
    content = cast.picture(1)
    parts = [b'Content-Disposition: form-data; name="section"\r\n\r\ndamage']
    parts += [
        b'Content-Disposition: form-data; name="photos"; filename="%s"\r\n\r\n' % name.encode() + content
        for name in names
    ]
    return b"".join(
        b"--limit\r\n" + part + b"\r\n" for part in parts
    ) + b"--limit--\r\n", "multipart/form-data; boundary=limit"


def test_a_name_is_only_ever_shown(site: Site) -> None:
    before = {path for path in site.data_dir.rglob("*") if path.is_file()}
    body, kind = raw_form(list(NAMES))
    with site.login("assessor") as client:
        answer = client.post(PHOTOS, content=body, headers={"Content-Type": kind})
        assert answer.status_code == 302
        page = client.get(f"/assessments/{NUMBER}/").text
    query = "SELECT name, original FROM assessments_photo WHERE section = 'damage' AND name NOT LIKE 'IMG%' ORDER BY id"
    found = site.rows(query)
    assert [row["name"] for row in found] == list(NAMES.values())
    assert f"{len(NAMES)} photos added to Damage." in page
    assert "<script>alert" not in page
    # Whatever the name, the file lies where all photos of the assessment do, named by its content.
    here = site.data_dir / "media" / "photos" / NUMBER
    assert all(Path(site.data_dir / "media" / row["original"]).parent == here for row in found)
    new = {path for path in site.data_dir.rglob("*.*") if path.is_file() and path not in before}
    assert all(path.is_relative_to(site.data_dir / "media") for path in new if path.suffix in {".jpg", ".exe"})


def test_a_form_without_a_name_or_a_file_says_that_none_was_chosen(site: Site) -> None:
    for head in (b'name="photos"; filename=""', b'name="photos"', b'name="other"; filename="a.jpg"'):
        body = b"--limit\r\nContent-Disposition: form-data; %s\r\n\r\n\r\n--limit--\r\n" % head
        with site.login("assessor") as client:
            client.post(PHOTOS, content=body, headers={"Content-Type": "multipart/form-data; boundary=limit"})
            assert "Choose one or more photos first." in client.get(f"/assessments/{NUMBER}/").text
    assert rows(site) == {}


# The process that decodes -------------------------------------------------------------------------------------------


def large_png(width: int, height: int) -> bytes:
    return pictures.black_png(width, height)


def test_what_hangs_crashes_or_eats_memory_costs_that_photo_alone(start_site: Callable[..., Site]) -> None:
    site = start_site(PHOTO_DEADLINE="4", PHOTO_MEMORY_MIB="64")
    web, good = named(site, "web"), Upload("good.jpg", cast.picture(1))
    answers: list[list[str]] = []
    with site.login("assessor") as client:
        assert send(client, good) == ["1 photo added to Damage."]

        greedy = Upload("greedy.png", large_png(7000, 7000))
        assert send(client, greedy, good) == [
            "1 photo added to Damage.",
            "greedy.png could not be read. It needs more memory than the 64 MiB allowed for a photo. "
            "Save it as a new JPEG, then upload that.",
        ]

        with family.next_child_stopped(web):
            assert send(client, Upload("hanging.jpg", cast.picture(2)), good) == [
                "hanging.jpg could not be read. Reading it took longer than 4 seconds. "
                "Save it as a new JPEG, then upload that.",
                "good.jpg was not looked at, because hanging.jpg took too long. Upload it again without that one.",
            ]
        assert send(client, good) == ["1 photo added to Damage."]

        crashing = Upload("crashing.jpg", cast.picture(3))
        sending = threading.Thread(target=lambda: answers.append(send(client, crashing, good)))
        with family.next_child_stopped(web) as stopped:
            sending.start()
            os.kill(stopped(), signal.SIGKILL)
        sending.join()
        assert answers == [
            [
                "1 photo added to Damage.",
                "crashing.jpg could not be read. The program that reads photos broke off over it. "
                "Save it as a new JPEG, then upload that.",
            ]
        ]
    assert named(site, "web") == web


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_page_that_uploads_while_another_does_says_what_to_do(
    site: Site, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    page = open_page(site, "assessor", f"/assessments/{NUMBER}/")
    path = tmp_path / "second.jpg"
    path.write_bytes(cast.picture(2))
    page.set_input_files("#id_photos", path)
    answers: list[list[str]] = []
    with site.login("assessor") as client:
        sending = threading.Thread(target=lambda: answers.append(send(client, Upload("first.jpg", cast.picture(3)))))
        with family.next_child_stopped(named(site, "web")) as stopped:
            sending.start()
            first = stopped()
        page.get_by_role("button", name="Upload").click()
        expect(page.locator(".uploading")).to_contain_text(
            "These photos were not added, because others that you sent are still being looked at."
        )
        os.kill(first, signal.SIGCONT)
        sending.join()
    assert answers == [["1 photo added to Damage."]]
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("1 photo added to Damage.")).to_be_visible()


def test_nothing_decodes_on_when_the_web_process_is_killed(site: Site) -> None:
    web = named(site, "web")
    with site.login("assessor") as client:
        send(client, Upload("good.jpg", cast.picture(1)))
    left = family.descendants(web)
    (server,) = family.fork_servers(web)
    # What decodes is a copy of it. It is small, and knows no WeasyPrint.
    assert "libpango" not in Path(f"/proc/{server}/maps").read_text()
    os.kill(web, signal.SIGKILL)
    wait_until(lambda: not any(family.running(pid) for pid in left), "processes of the web process are left", 5)


def test_in_the_worker_too_a_photo_that_cannot_be_prepared_has_a_reason(site: Site) -> None:
    worker = named(site, "worker")
    with site.login("assessor") as client:
        os.kill(worker, signal.SIGSTOP)
        send(client, Upload("later-broken.jpg", cast.picture(1)))
        (row,) = rows(site).values()
        path = site.data_dir / "media" / row["original"]
        path.write_bytes(pictures.black_png(12_000, 12_000)[:4000])
        os.kill(worker, signal.SIGCONT)
        wait_until(lambda: rows(site)["later-broken.jpg"]["problem"], "it has no reason")
        send(client, Upload("good.jpg", cast.picture(2)))
        wait_until(lambda: rows(site)["good.jpg"]["thumbnail"], "the next photo is not prepared")
    assert named(site, "worker") == worker
    assert peak(worker) < MEMORY


def test_text_in_a_photo_that_is_no_bomb_is_no_reason_to_refuse_it(site: Site) -> None:
    information = PngImagePlugin.PngInfo()
    information.add_text("Comment", "Bayside Panelbeaters " * 1000, zip=True)
    with site.login("assessor") as client:
        content = pictures.saved("PNG", Image.new("RGB", (60, 40), "teal"), pnginfo=information)
        assert send(client, Upload("words.png", content)) == ["1 photo added to Damage."]
