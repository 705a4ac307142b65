"""Downloads over HTTP, from a real server: whole files, ranges and permissions."""

import hashlib
import io
import os
import socket
import zipfile
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from pypdf import PdfReader

from tests import family
from tests.cast import YEAR
from tests.running import PATIENCE, Site, wait_until

OWN, FOREIGN, WITHOUT_PHOTOS = (f"ASM-{YEAR}-00{number}" for number in (1, 2, 3))


def address(slug: str, number: str = OWN) -> str:
    return f"/assessments/{number}/documents/{slug}/"


@pytest.fixture
def made(site: Site) -> Site:
    with site.login("assessor") as client:
        client.post(f"/assessments/{OWN}/documents/generate/")
    wait_until(lambda: set(site.statuses(OWN).values()) == {"success"}, "the documents are not made")
    return site


@pytest.mark.parametrize(
    ("slug", "name", "content_type"),
    [
        ("report", "Report.pdf", "application/pdf"),
        ("estimate", "Estimate.pdf", "application/pdf"),
        ("photos-pdf", "Photos.pdf", "application/pdf"),
        ("photos-zip", "Photos.zip", "application/zip"),
    ],
)
def test_each_document_is_sent_whole_under_its_name(made: Site, slug: str, name: str, content_type: str) -> None:
    with made.login("assessor") as client:
        shown, kept = client.get(address(slug)), client.get(address(slug) + "?download")
    assert shown.headers["content-type"] == content_type
    assert shown.headers["content-disposition"].endswith(f'filename="{OWN}_{name}"')
    assert shown.headers["content-disposition"].startswith("inline" if name.endswith("pdf") else "attachment")
    assert kept.headers["content-disposition"].startswith("attachment")
    assert shown.content == kept.content
    assert shown.headers["etag"] == f'"{hashlib.sha256(shown.content).hexdigest()}"'
    if name.endswith("pdf"):
        assert len(PdfReader(io.BytesIO(shown.content)).pages) >= 1
    else:
        assert zipfile.ZipFile(io.BytesIO(shown.content)).testzip() is None


def test_ranges_are_parts_of_the_whole(made: Site) -> None:
    with made.login("assessor") as client:
        whole = client.get(address("report"))
        body, size, etag = whole.content, len(whole.content), whole.headers["etag"]

        def part(**headers: str) -> httpx.Response:
            return client.get(
                address("report"), headers={name.replace("_", "-"): value for name, value in headers.items()}
            )

        for text, expected in {
            "bytes=0-0": body[:1],
            "bytes=10-99": body[10:100],
            "bytes=10-": body[10:],
            "bytes=-7": body[-7:],
            f"bytes=0-{size + 10}": body,
            f"bytes=-{size + 10}": body,
        }.items():
            answer = part(Range=text)
            assert [answer.status_code, answer.content == expected] == [206, True], text
            assert answer.headers["content-range"].endswith(f"/{size}")
        for text in (f"bytes={size}-", "bytes=-0"):
            answer = part(Range=text)
            assert [answer.status_code, answer.headers["content-range"]] == [416, f"bytes */{size}"], text
        for text in ("bytes=5-2", "bytes=0-1,4-5", "lines=1-2", "bytes=x-y", "bytes=-", f"bytes={'9' * 5000}-"):
            assert [part(Range=text).status_code, part(Range=text).content == body] == [200, True], text
        assert part(Range="bytes=0-3", If_Range=etag).status_code == 206
        assert part(Range="bytes=0-3", If_Range='"older"').status_code == 200
        assert part(Range="bytes=0-3", If_None_Match=etag).status_code == 304


def test_an_unchanged_document_is_not_sent_again(made: Site) -> None:
    with made.login("assessor") as client:
        whole = client.get(address("estimate"))
        again = client.get(address("estimate"), headers={"If-None-Match": whole.headers["etag"]})
        assert [again.status_code, again.content] == [304, b""]
        client.post(f"/assessments/{OWN}/documents/estimate/retry/")
        wait_until(lambda: len(made.rows("SELECT 1 FROM assessments_documentversion")) == 5, "it is not made again")
        newer = client.get(address("estimate"), headers={"If-None-Match": whole.headers["etag"]})
        assert newer.status_code == 200


def test_head_has_the_headers_and_no_body(made: Site) -> None:
    with made.login("assessor") as client:
        whole, head = client.get(address("report")), client.head(address("report"))
    assert [head.status_code, head.content] == [200, b""]
    assert head.headers["content-length"] == whole.headers["content-length"]


def test_a_new_version_leaves_the_old_one_available(made: Site) -> None:
    with made.login("assessor") as client:
        first = client.get(address("report")).content
        client.post(f"/assessments/{OWN}/documents/report/retry/")
        wait_until(lambda: len(made.rows("SELECT 1 FROM assessments_documentversion")) == 5, "it is not made again")
        assert client.get(address("report") + "?version=1").content == first
        assert client.get(address("report")).content != first
        for version in ("0", "3", "x", "9" * 40, "-1"):
            assert client.get(address("report") + f"?version={version}").status_code == 404, version


def test_strangers_get_no_document_and_unmade_documents_are_not_found(made: Site) -> None:
    with made.login("stranger") as stranger, made.login("assessor") as client, made.login("staff") as staff:
        assert stranger.get(address("report")).status_code == 404
        assert staff.get(address("report")).status_code == 200
        assert client.get(address("report", FOREIGN)).status_code == 404
        assert client.get(address("report", WITHOUT_PHOTOS)).status_code == 404
        assert client.get(address("invoice")).status_code == 404
    anonymous = httpx.get(made.url + address("report"), timeout=PATIENCE)
    assert [anonymous.status_code, anonymous.headers["location"]] == [302, f"/login/?next={address('report')}"]


def test_a_missing_file_is_not_found_and_can_be_made_again(made: Site) -> None:
    for file in (made.data_dir / "media" / "documents" / OWN / "report").iterdir():
        file.unlink()
    with made.login("assessor") as client:
        assert client.get(address("report")).status_code == 404
        client.post(f"/assessments/{OWN}/documents/report/retry/")
        wait_until(lambda: client.get(address("report")).status_code == 200, "it is not made again")


def stored_file(site: Site, slug: str) -> Path:
    [stored] = (site.data_dir / "media" / "documents" / OWN / slug).iterdir()
    return stored


def test_a_file_that_is_shorter_than_its_row_says_is_an_error_and_is_logged(made: Site) -> None:
    stored = stored_file(made, "report")
    os.truncate(stored, stored.stat().st_size - 1)
    with made.login("assessor") as client:
        for headers in ({}, {"Range": "bytes=0-9"}):
            answer = client.get(address("report"), headers=headers)
            assert [answer.status_code, "This file is damaged" in answer.text] == [500, True]
            assert "content-disposition" not in answer.headers
        assert client.head(address("report")).status_code == 500
        assert client.get(address("estimate")).status_code == 200
    log = made.log.read_text()[made.logged :]
    assert (
        f"ERROR assessments.views.documents: {OWN} Assessment Report, version 1 is damaged: documents/{OWN}/report/"
        in log
    )


def test_the_connection_is_closed_when_a_file_ends_while_it_is_sent(made: Site) -> None:
    stored, size = stored_file(made, "photos-zip"), 64 * 2**20
    os.truncate(stored, size)
    made.python(
        "from assessments.models import DocumentVersion as V; "
        f"V.objects.filter(document__kind='photos-zip').update(size={size})"
    )
    cookie = "; ".join(f"{name}={value}" for name, value in made.cookies("assessor").items())
    received = 0
    with socket.create_connection(("127.0.0.1", made.port), PATIENCE) as reader:
        reader.sendall(f"GET {address('photos-zip')} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode())
        assert reader.recv(12) == b"HTTP/1.1 200"
        os.truncate(stored, 2**20)
        with suppress(ConnectionResetError):
            while piece := reader.recv(2**20):
                received += len(piece)
    assert received < size
    line = f"documents/{OWN}/photos-zip/{stored.name} has "
    wait_until(lambda: line in made.log.read_text()[made.logged :], "nothing is logged")


def test_a_slow_reader_of_a_large_file_costs_neither_memory_nor_a_thread(made: Site) -> None:
    assert made.process
    web = family.named(made.process.pid, "web")[0]
    stored = next((made.data_dir / "media" / "documents" / OWN / "photos-zip").iterdir())
    size = 200 * 2**20
    with stored.open("r+b") as file:
        file.truncate(size)
    made.python(
        "from assessments.models import DocumentVersion as V; "
        f"V.objects.filter(document__kind='photos-zip').update(size={size})"
    )
    with made.login("assessor") as client:
        client.get("/assessments/")
        # The first download loads modules.
        client.get(address("photos-zip"), headers={"Range": "bytes=0-9"})
    threads, memory = family.threads(web), family.memory(web)
    cookie = "; ".join(f"{name}={value}" for name, value in made.cookies("assessor").items())
    readers = []
    for _ in range(15):
        reader = socket.create_connection(("127.0.0.1", made.port))
        reader.sendall(f"GET {address('photos-zip')} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode())
        assert reader.recv(12) == b"HTTP/1.1 200"
        readers.append(reader)
    with made.login("assessor") as client:
        for _ in range(3):
            assert client.get("/assessments/").status_code == 200
    assert family.memory(web) - memory < 32 * 2**20
    # The threads that read and write files for all readers, and one thread for the pages.
    assert family.threads(web) <= threads + 5
    received = 0
    while received < size:
        received += len(readers[0].recv(2**20))
    assert family.memory(web) - memory < 32 * 2**20
    for reader in readers:
        reader.close()
