"""Any upload is printed correctly, or is refused or called unreadable with a reason, and the site goes on."""

import csv
import hashlib
import io
import os
import signal
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from html import unescape
from pathlib import Path

import httpx
import pypdf
import pytest
from PIL import Image, PngImagePlugin
from playwright.sync_api import Page, expect

from tests import cast, family
from tests.cast import YEAR
from tests.running import Site, wait_until
from tests.site.test_print_image import assert_upright, middle

from . import pictures
from .pictures import SECRET, Upload

NUMBER = f"ASM-{YEAR}-003"
PHOTOS = f"/assessments/{NUMBER}/photos/"
# The most memory that the web process and the worker may ever have, in bytes.
MEMORY = 256 * 2**20
KINDS = ("report", "estimate", "photos-pdf", "photos-zip")
# Traces of EXIF, IPTC and of the place where a photo was taken, and of XMP, which a paper too may have.
CAMERA = (SECRET.encode(), b"Exif\0", b"Photoshop 3.0", b"8BIM", b"GPS")
TRACES = (*CAMERA, b"xmpmeta")


def peak(pid: int) -> int:
    """Return the most memory that a process ever had, in bytes."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def named(site: Site, name: str) -> int:
    assert site.process
    (pid,) = wait_until(lambda: family.named(site.process.pid, name), f"no {name} runs")  # type: ignore[union-attr]
    return int(pid)


def send(client: httpx.Client, *uploads: Upload) -> list[str]:
    """Upload as a browser without scripts does; return the messages of the page."""
    files = [("photos", (upload.name, upload.content, "image/jpeg")) for upload in uploads]
    answer = client.post(PHOTOS, data={"section": "damage"}, files=files, follow_redirects=True)
    assert answer.status_code == 200, answer.text
    said = answer.text.partition('<ul class="messages">')[2].partition("</ul>")[0]
    return [
        unescape(line.partition(">")[2].removesuffix("</li>")) for line in said.strip().splitlines() if line.strip()
    ]


def rows(site: Site) -> dict[str, dict[str, str]]:
    query = (
        "SELECT p.name AS name, original, print_image, thumbnail, p.state AS state, problem FROM assessments_photo p "
        "JOIN assessments_assessment a ON a.id = p.assessment_id WHERE a.number = ? ORDER BY p.id"
    )
    return {row["name"]: row for row in site.rows(query, NUMBER)}


def looked_at(site: Site, *names: str, patience: float = 90) -> dict[str, str]:
    """Wait until a worker has looked at some photos, or at all; return the problem of each, empty for a ready photo."""

    def problems() -> dict[str, str] | None:
        found = {name: row for name, row in rows(site).items() if name in names or not names}
        new = [name for name, row in found.items() if row["state"] == "new"]
        return None if new else {name: row["problem"] for name, row in found.items()}

    found: dict[str, str] = wait_until(problems, "a photo is still new", patience)
    return found


@pytest.fixture
def stage(site: Site) -> Site:
    """Send every hostile photo, wait until a worker has looked at all, and make the four documents."""
    processes = {name: named(site, name) for name in ("web", "worker")}
    with site.login("assessor") as client:
        for kept in (pictures.good(), pictures.unreadable()):
            assert send(client, *kept) == [f"{len(kept)} photos added to Damage."]
        refused = pictures.refused()
        assert send(client, *refused) == [f"{upload.name} {upload.reason}" for upload in refused]
        sent = [*pictures.good(), *pictures.unreadable()]
        assert looked_at(site, patience=200) == {upload.name: upload.reason for upload in sent}
        client.post(f"/assessments/{NUMBER}/documents/generate/")
        wait_until(
            lambda: set(site.statuses(NUMBER).values()) == {"success"}, "the documents are not made", patience=200
        )
    assert {name: named(site, name) for name in processes} == processes
    for name, pid in processes.items():
        assert peak(pid) < MEMORY, f"{name} had {peak(pid) // 2**20} MiB"
    return site


def document(site: Site, kind: str) -> bytes:
    with site.login("assessor") as client:
        return client.get(f"/assessments/{NUMBER}/documents/{kind}/").content


def own_metadata(paper: bytes) -> bytes:
    """Return the XMP of a PDF as a whole, which PDF/A demands. It is the paper's own, and no photo's."""
    metadata = pypdf.PdfReader(io.BytesIO(paper)).root_object["/Metadata"]
    assert isinstance(metadata, pypdf.generic.StreamObject)
    return metadata.get_data()


def test_every_photo_is_printed_correctly_or_has_a_reason(stage: Site) -> None:
    media = stage.data_dir / "media"
    sent = {upload.name: upload for upload in [*pictures.good(), *pictures.unreadable()]}
    printed = set()
    for name, row in rows(stage).items():
        # The original is kept byte for byte.
        assert (media / row["original"]).read_bytes() == sent[name].content
        if row["problem"]:
            assert row["state"] == "unreadable"
            continue
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

    # The PDF holds every print image byte for byte, and no data of a camera.
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
        own = own_metadata(papers[kind])
        assert not [trace for trace in CAMERA if trace in own], kind
        assert papers[kind].count(own) == 1, kind
        assert not [trace for trace in TRACES if trace in papers[kind].replace(own, b"")], kind
    pages = "".join(page.extract_text() for page in reader.pages)
    assert "could not" not in pages
    assert pages.count("This photo cannot be read") == len(pictures.unreadable())

    # The archive holds the originals byte for byte, with all data of the camera.
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
    """Return a form with a photo of each name, in bytes that no browser or library would send."""
    parts = [b'Content-Disposition: form-data; name="section"\r\n\r\ndamage']
    parts += [
        b'Content-Disposition: form-data; name="photos"; filename="%s"\r\n\r\n' % name.encode() + cast.picture(number)
        for number, name in enumerate(names)
    ]
    return b"".join(
        b"--limit\r\n" + part + b"\r\n" for part in parts
    ) + b"--limit--\r\n", "multipart/form-data; boundary=limit"


def test_a_name_is_shown_and_has_no_part_in_the_path(site: Site) -> None:
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
    # With any name, the file is in the folder of the assessment's photos, named by its content.
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


def test_the_web_process_starts_no_process_that_decodes(site: Site) -> None:
    with site.login("assessor") as client:
        send(client, Upload("good.jpg", cast.picture(1)))
        looked_at(site)
    assert family.children(named(site, "web")) == []
    # The web process does not load WeasyPrint, which needs memory and makes Pillow accept incomplete photos.
    assert "libpango" not in Path(f"/proc/{named(site, 'web')}/maps").read_text()


def test_a_decoder_that_hangs_or_crashes_or_eats_memory_harms_that_photo_alone(site_with: Callable[..., Site]) -> None:
    site = site_with(PHOTO_DEADLINE="8", PHOTO_MEMORY_MIB="64", LEASE_SECONDS="4")
    web, worker = named(site, "web"), named(site, "worker")
    with site.login("assessor") as client:
        warm(site, client)

        def spoil(name: str, number: int, *signals: signal.Signals) -> None:
            """Make the first process that decodes a photo hang or die."""
            with family.next_child_stopped(worker) as stopped:
                send(client, Upload(name, cast.picture(10 * number)))
                child = stopped()
            for each in signals:
                os.kill(child, each)
            send(client, Upload(f"after-{name}", cast.picture(10 * number + 1)))
            assert looked_at(site, f"after-{name}", name) == {f"after-{name}": "", name: ""}

        # A worker looks at each photo again later, and then the process decodes as it should.
        spoil("hanging.jpg", 1)
        spoil("crashing.jpg", 2, signal.SIGKILL)
        greedy = Upload("greedy.png", pictures.black_png(7000, 7000))
        assert send(client, greedy, Upload("after.jpg", cast.picture(1))) == ["2 photos added to Damage."]
        assert looked_at(site, "after.jpg") == {"after.jpg": ""}
        assert looked_at(site, "greedy.png") == {
            "greedy.png": "It needs more memory than the 64 MiB allowed for a photo. "
            "Save it as a new JPEG, then upload that."
        }
    assert (named(site, "web"), named(site, "worker")) == (web, worker)
    assert peak(worker) < MEMORY


def warm(site: Site, client: httpx.Client) -> None:
    """Wait until the worker has looked at a first photo."""
    send(client, Upload("warm.jpg", cast.picture(3)))
    looked_at(site, "warm.jpg")


def attempts(site: Site, name: str) -> int:
    (row,) = site.rows("SELECT attempts FROM assessments_photo WHERE name = ?", name)
    return int(row["attempts"])


def test_a_photo_whose_worker_was_killed_is_looked_at_again(start_site: Callable[..., Site]) -> None:
    site = start_site(PHOTO_DEADLINE="10", LEASE_SECONDS="4")
    with site.login("assessor") as client:
        warm(site, client)
        worker = named(site, "worker")
        with family.next_child_stopped(worker) as stopped:
            send(client, Upload("photo.jpg", cast.picture(2)))
            child = stopped()
        left = family.descendants(worker)
        os.kill(worker, signal.SIGKILL)
        # The child may have been stopped before it could tie its life to the worker's.
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGCONT)
        begun = time.monotonic()
        assert looked_at(site, "photo.jpg") == {"photo.jpg": ""}
        # The limit is the lease, a round of the sweep, and the start of another worker.
        assert time.monotonic() - begun < 60
    assert attempts(site, "photo.jpg") == 2
    wait_until(lambda: not any(family.running(pid) for pid in left), "processes of the killed worker are left")


def test_the_site_ends_at_once_while_a_photo_is_decoded(site_with: Callable[..., Site]) -> None:
    site = site_with(PHOTO_DEADLINE="8", PHOTO_MEMORY_MIB="64", LEASE_SECONDS="4")
    with site.login("assessor") as client:
        warm(site, client)
        with family.next_child_stopped(named(site, "worker")) as stopped:
            send(client, Upload("hanging.jpg", cast.picture(2)))
            stopped()
        begun = time.monotonic()
        site.stop()
        # A document in the making would have ten minutes.
        assert time.monotonic() - begun < 40


def test_a_photo_that_was_damaged_after_its_upload_has_a_reason(site: Site) -> None:
    worker = named(site, "worker")
    with site.login("assessor") as client:
        site.freeze(worker)
        send(client, Upload("later-broken.jpg", cast.picture(1)))
        row = rows(site)["later-broken.jpg"]
        path = site.data_dir / "media" / row["original"]
        path.write_bytes(pictures.black_png(12_000, 12_000)[:4000])
        os.kill(worker, signal.SIGCONT)
        assert looked_at(site)["later-broken.jpg"] == pictures.TOO_MANY_PIXELS
        send(client, Upload("good.jpg", cast.picture(2)))
        assert looked_at(site, "good.jpg") == {"good.jpg": ""}
    assert named(site, "worker") == worker
    assert peak(worker) < MEMORY


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_page_shows_each_photo_when_a_worker_has_looked_at_it(
    site: Site, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    worker = named(site, "worker")
    page = open_page(site, "assessor", f"/assessments/{NUMBER}/")
    site.freeze(worker)
    paths = {"good.jpg": cast.picture(1), "half.jpg": pictures.from_a_phone(1)[:900], "letter.jpg": b"Dear Sir"}
    for name, content in paths.items():
        (tmp_path / name).write_bytes(content)
    page.set_input_files("#id_photos", [tmp_path / name for name in paths])
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("2 photos added to Damage.")).to_be_visible()
    expect(page.get_by_text("letter.jpg is not a photo that can be read.")).to_be_visible()
    expect(page.get_by_text("Being looked at")).to_have_count(2)
    expect(page.locator("#photo-count")).to_have_text("2")
    os.kill(worker, signal.SIGCONT)
    expect(page.get_by_text(pictures.DAMAGED)).to_be_visible()
    expect(page.locator("#gallery img")).to_have_count(1)
    expect(page.get_by_text("Being looked at")).to_have_count(0)
    page.set_input_files("#id_photos", tmp_path / "good.jpg")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("1 photo already there, in Damage.")).to_be_visible()


def test_a_photo_with_a_long_harmless_text_is_accepted(site: Site) -> None:
    information = PngImagePlugin.PngInfo()
    information.add_text("Comment", "Bayside Panelbeaters " * 1000, zip=True)
    with site.login("assessor") as client:
        content = pictures.saved("PNG", Image.new("RGB", (60, 40), "teal"), pnginfo=information)
        assert send(client, Upload("words.png", content)) == ["1 photo added to Damage."]
        assert looked_at(site) == {"words.png": ""}
