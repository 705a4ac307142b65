"""The server holds and waits for no more than its limits allow, and a sender of too much gets the reason."""

import http.client
import os
import resource
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from html import unescape
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests import cast, family
from tests.cast import YEAR
from tests.running import PATIENCE, Site, wait_until

NUMBER = f"ASM-{YEAR}-003"
PHOTOS = f"/assessments/{NUMBER}/photos/"
MEBIBYTE = 2**20
# The limits of a site on which little is too large.
SMALL = {"PHOTO_MAX_COUNT": "12", "PHOTO_MAX_MIB": "1", "REQUEST_MAX_MIB": "4"}

StartSite = Callable[..., Site]


def web(site: Site) -> int:
    assert site.process
    (pid,) = wait_until(lambda: family.named(site.process.pid, "web"), "no web process runs")  # type: ignore[union-attr]
    return int(pid)


@contextmanager
def measured(site: Site) -> Iterator[None]:
    """Fail when the web process, at any moment within the block, has 32 MiB more than before the block."""
    pid = web(site)
    before = family.memory(pid)
    # From here on the kernel records the peak.
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    yield
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:")]
    assert int(line.split()[1]) * 1024 - before < 32 * MEBIBYTE


def cookies(site: Site) -> str:
    return "; ".join(f"{name}={value}" for name, value in site.cookies("assessor").items())


@contextmanager
def begun(site: Site, path: str, *headers: str) -> Iterator[socket.socket]:
    """Send the head of a request, and nothing else; give the connection."""
    with socket.create_connection(("127.0.0.1", site.port), timeout=120) as connection:
        head = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{site.port}", *headers, "", ""]
        connection.sendall("\r\n".join(head).encode())
        yield connection


def answer(connection: socket.socket) -> tuple[int, str]:
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status, unescape(response.read().decode())


def photo_count(site: Site) -> int:
    query = (
        "SELECT count(*) AS photos FROM assessments_photo p JOIN assessments_assessment a ON a.id = p.assessment_id "
        "WHERE a.number = ?"
    )
    return int(site.rows(query, NUMBER)[0]["photos"])


def said(client: httpx.Client) -> str:
    return unescape(client.get(f"/assessments/{NUMBER}/").text)


def upload(client: httpx.Client, count: int, content: bytes | None = None, more: int = 0) -> httpx.Response:
    """Upload photos, each with pixels of its own or with one content, and with ``more`` bytes at the end."""
    contents = [(content or cast.picture(number)) + bytes(more) for number in range(count)]
    files = [("photos", (f"IMG_{number:04}.jpg", each, "image/jpeg")) for number, each in enumerate(contents)]
    return client.post(PHOTOS, data={"section": "damage"}, files=files)


# Bodies -------------------------------------------------------------------------------------------------------------


def test_two_hundred_megabytes_of_any_sender_need_little_memory(site: Site) -> None:
    block = bytes(MEBIBYTE)
    for path, headers, statuses in (
        ("/login/", [], {413}),
        (PHOTOS, [], {403}),
        # A malformed form of a person who is signed in, which is read to its end.
        (PHOTOS, [f"Cookie: {cookies(site)}", "Content-Type: multipart/form-data; boundary=x"], {400, 403}),
    ):
        length = f"Content-Length: {200 * MEBIBYTE}"
        with measured(site), begun(site, path, length, *headers) as connection:
            for _ in range(200):
                connection.sendall(block)
            assert answer(connection)[0] in statuses
    assert site.ready()


def test_a_client_that_goes_on_sending_after_a_refusal_is_cut_off(site: Site) -> None:
    with begun(site, "/login/", f"Content-Length: {1024 * 1024 * MEBIBYTE}") as connection, measured(site):
        assert cut_off(connection, within=30)


def cut_off(connection: socket.socket, within: float) -> bool:
    last = time.monotonic() + within
    while time.monotonic() < last:
        try:
            connection.sendall(bytes(MEBIBYTE))
        except ConnectionError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("path", ["/login/", PHOTOS, "/api/generate-all-documents"])
def test_a_body_that_is_too_large_is_refused_before_it_is_sent(path: str, site: Site) -> None:
    for headers in (
        [f"Content-Length: {5 * 1024 * MEBIBYTE}", f"Cookie: {cookies(site)}"],
        [f"Content-Length: {5 * 1024 * MEBIBYTE}", f"Cookie: {cookies(site)}", "Expect: 100-continue"],
        *([f"Content-Length: {4 * MEBIBYTE}"] for _ in range(path != PHOTOS)),
    ):
        with begun(site, path, *headers) as connection:
            status, page = answer(connection)
            assert status == 413
            assert "can be sent here at once, and nothing of this was kept." in page
            assert "Traceback" not in page


def test_a_body_without_a_length_is_refused_as_soon_as_it_is_too_large(site_with: StartSite) -> None:
    site = site_with(**SMALL)
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    for path, headers, limit in (("/login/", [], 3), (PHOTOS, [f"Cookie: {cookies(site)}"], 4)):
        with begun(site, path, "Transfer-Encoding: chunked", *headers) as connection:
            for _ in range(limit * 16):
                connection.sendall(chunk)
            connection.settimeout(0.3)
            with pytest.raises(TimeoutError):
                connection.recv(1)
            connection.settimeout(30)
            connection.sendall(chunk)
            status, page = answer(connection)
            assert status == 413
            assert f"At most {limit}.0\xa0MB" in page


@pytest.mark.parametrize("session", ["x" * 32, "%00'\"", ""])
def test_photos_of_somebody_who_is_signed_out_are_refused_for_that_reason_before_they_are_sent(
    session: str, site: Site
) -> None:
    for length in (f"Content-Length: {20 * MEBIBYTE}", "Transfer-Encoding: chunked"):
        with begun(site, PHOTOS, length, f"Cookie: sessionid={session}") as connection:
            if "chunked" in length:
                connection.sendall((b"10000\r\n" + bytes(0x10000) + b"\r\n") * 49)
            status, page = answer(connection)
            assert status == 403
            assert "You are no longer signed in" in page
            assert "Sign in in another tab, then come back here and send it again." in page


def test_all_large_uploads_together_have_a_limit(site_with: StartSite) -> None:
    site = site_with(**SMALL)
    headers = [f"Content-Length: {4 * MEBIBYTE}", f"Cookie: {cookies(site)}"]
    pid = web(site)
    with ExitStack() as slow:
        for number in range(1, 5):
            connection = slow.enter_context(begun(site, PHOTOS, *headers))
            connection.sendall(bytes(4 * MEBIBYTE - 1))
            wait_until(lambda number=number: large_bodies(pid) == number, "an upload was not taken")
        one_more = slow.enter_context(begun(site, PHOTOS, *headers))
        one_more.sendall(bytes(MEBIBYTE))
        status, page = answer(one_more)
        assert status == 503
        assert "The server cannot take this much at the moment, and nothing of what you sent was kept." in page
    wait_until(lambda: not large_bodies(pid), "bodies of uploads that were broken off are still held")
    with site.login("assessor") as client:
        upload(client, 4, more=3 * MEBIBYTE // 4)
        assert "4 photos added to Damage." in said(client)


def large_bodies(pid: int) -> int:
    """Return how many deleted files of nearly 4 MiB a process holds open."""
    sizes = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        # The file may have been closed after the listing.
        with suppress(FileNotFoundError):
            if "(deleted)" in os.readlink(path):
                sizes.append(path.stat().st_size)
    return sum(size >= 4 * MEBIBYTE - 1 - 2**17 for size in sizes)


def test_a_slow_upload_holds_no_thread_and_a_broken_one_leaves_no_file(
    start_site: StartSite, short_folder: Path
) -> None:
    folder = short_folder
    site = start_site(TMPDIR=str(folder))
    pid = web(site)
    threads = family.threads(pid)
    # The process keeps its own folder of temporary files open.
    before = held_open(pid, folder)
    with ExitStack() as slow:
        for _ in range(30):
            headers = [f"Content-Length: {20 * MEBIBYTE}", f"Cookie: {cookies(site)}"]
            connection = slow.enter_context(begun(site, PHOTOS, *headers))
            connection.sendall(bytes(200_000))
        wait_until(lambda: held_open(pid, folder) >= before + 30, "the uploads did not begin")
        # Requests that are answered meanwhile may have threads.
        assert family.threads(pid) < threads + 10
        with site.login("assessor") as client:
            assert client.get(f"/assessments/{NUMBER}/").status_code == 200
    wait_until(lambda: held_open(pid, folder) == before, "the files of uploads that were broken off are still open")
    wait_until(lambda: not any(path.is_file() for path in folder.rglob("*")), "files of broken uploads are left")
    wait_until(site.ready, "the site does not answer")


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Give a folder for temporary files with a short path: a socket's address has room for 107 characters."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def held_open(pid: int, folder: Path) -> int:
    return sum(path.startswith(str(folder)) for path in family.held_open(pid))


def test_a_request_for_a_web_socket_gets_the_page(site: Site) -> None:
    upgrade = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "eA==",
        "Sec-WebSocket-Version": "13",
    }
    before = len(site.log.read_text())
    for _ in range(3):
        assert httpx.get(f"{site.url}/login/", headers=upgrade, timeout=PATIENCE).status_code == 200
    assert "Traceback" not in site.log.read_text()[before:]


# Photos -------------------------------------------------------------------------------------------------------------


def test_too_many_or_too_large_photos_are_refused_with_advice(site_with: StartSite) -> None:
    site = site_with(**SMALL)
    with site.login("assessor") as client:
        refused = upload(client, 201)
        assert refused.status_code == 400
        assert (
            "At most 200 photos can be uploaded at once, and none of these was added. "
            "Go back, choose fewer, and send the rest in a second go." in refused.text
        )
        assert upload(client, 5, cast.picture(1) + bytes(MEBIBYTE)).status_code == 413
        assert photo_count(site) == 0

        upload(client, 1, cast.picture(1) + bytes(MEBIBYTE))
        assert "IMG_0000.jpg is larger than the 1 MB that a photo may have. Upload a smaller one." in said(client)

        upload(client, 14)
        page = said(client)
        assert "12 photos added to Damage." in page
        for name in ("IMG_0012.jpg", "IMG_0013.jpg"):
            assert (
                f"{name} was not added: an assessment can have 12 photos at most. "
                "Ask the office to remove some that are not needed." in page
            )
        assert photo_count(site) == 12


def test_the_page_sends_each_photo_by_itself_and_shows_all_outcomes(
    site_with: StartSite, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    site = site_with(**SMALL)
    page = open_page(site, "assessor", f"/assessments/{NUMBER}/")
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    paths = [tmp_path / f"IMG_{number}.jpg" for number in range(12)]
    for number, path in enumerate(paths):
        # Together the photos are larger than one request may be.
        path.write_bytes(cast.picture(number) + bytes(MEBIBYTE // 2))
    large = tmp_path / "large.jpg"
    large.write_bytes(cast.picture(20) + bytes(MEBIBYTE))
    page.set_input_files("#id_photos", [*paths, large])
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("12 photos added to Damage.")).to_be_visible()
    expect(page.get_by_text("large.jpg is larger than the 1 MB that a photo may have.")).to_be_visible()
    assert len(posts) == 13
    assert photo_count(site) == 12


# A full disk --------------------------------------------------------------------------------------------------------


def test_an_upload_to_a_full_disk_is_refused_and_no_part_of_it_is_kept(site: Site) -> None:
    # The kernel refuses to write on, as on a full disk, beyond a size that only these files exceed.
    pid, large = web(site), cast.picture(1) + bytes(12 * MEBIBYTE)
    with site.login("assessor") as client:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (8 * MEBIBYTE, resource.RLIM_INFINITY))
        try:
            answers = [upload(client, 1, large) for _ in range(5)]
            upload(client, 1)
        finally:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        for full in answers:
            assert full.status_code == 507
            assert "The server's disk is full, so what you did was not saved, or not all of it. Ask" in unescape(
                full.text
            )
        assert "1 photo added to Damage." in said(client)
        upload(client, 1, large)
        assert "1 photo added to Damage." in said(client)
    assert photo_count(site) == 2
    assert web(site) == pid


def test_each_photo_that_cannot_be_stored_is_refused_by_name(site: Site) -> None:
    folder = site.data_dir / "media" / "photos" / NUMBER
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("in the way")
    with site.login("assessor") as client:
        upload(client, 2)
        page = said(client)
        for name in ("IMG_0000.jpg", "IMG_0001.jpg"):
            assert f"{name} could not be stored, perhaps because the disk is full. Ask support to make room" in page
        assert photo_count(site) == 0
        folder.unlink()
        upload(client, 1)
        assert "1 photo added to Damage." in said(client)
    assert [path.name for path in folder.iterdir() if path.name.startswith(".part-")] == []
