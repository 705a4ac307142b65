"""A file of a gibibyte is sent without much memory of the web process, and a slow reader holds no thread."""

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests import family
from tests.cast import YEAR
from tests.running import Site, wait_until

NUMBER = f"ASM-{YEAR}-001"
PATH = f"/assessments/{NUMBER}/documents/photos-zip/"
MEBIBYTE = 2**20
SIZE = 1024 * MEBIBYTE
GROWTH = 32 * MEBIBYTE
READERS = 40


@pytest.fixture(scope="module")
def large(shared_site: Site) -> Site:
    """Give a site whose Photos ZIP has a gibibyte. The end of the file is a hole, which takes no room on disk."""
    with shared_site.login("assessor") as client:
        client.post(f"/assessments/{NUMBER}/documents/photos-zip/retry/")
    wait_until(lambda: shared_site.statuses(NUMBER)["photos-zip"] == "success", "it is not made")
    [stored] = (shared_site.data_dir / "media" / "documents" / NUMBER / "photos-zip").iterdir()
    with stored.open("r+b") as file:
        file.truncate(SIZE)
    shared_site.python(
        "from assessments.models import DocumentVersion; "
        f"DocumentVersion.objects.filter(document__kind='photos-zip').update(size={SIZE})"
    )
    with shared_site.login("assessor") as client:
        # The first download loads modules.
        assert client.get(PATH, headers={"Range": "bytes=0-9"}).status_code == 206
    return shared_site


@pytest.fixture
def web(large: Site) -> Iterator[int]:
    assert large.process
    [pid] = family.named(large.process.pid, "web")
    # A server closes a file a moment after the reader has its last byte: an earlier reader's file may be open yet.
    wait_until(lambda: not family.open_files(pid, ".zip"), "the file is open before anybody reads it")
    yield pid
    assert family.named(large.process.pid, "web") == [pid]


def ask(site: Site, connections: ExitStack, headers: str = "") -> socket.socket:
    """Request the file, and read only the beginning of the answer."""
    cookie = "; ".join(f"{name}={value}" for name, value in site.cookies("assessor").items())
    connection = connections.enter_context(socket.create_connection(("127.0.0.1", site.port), timeout=60))
    # With a small buffer, little of the file waits on the way.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    connection.sendall(f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n{headers}\r\n".encode())
    assert re.match(rb"HTTP/1\.1 20[06]", connection.recv(16))
    return connection


@pytest.mark.long
def test_a_gibibyte_is_sent_whole_and_the_web_process_stays_small(large: Site, web: int) -> None:
    memory, largest, received = family.memory(web), 0, 0
    with large.login("assessor") as client, client.stream("GET", PATH) as answer:
        assert int(answer.headers["content-length"]) == SIZE
        for number, chunk in enumerate(answer.iter_raw(MEBIBYTE)):
            received += len(chunk)
            if number % 64 == 0:
                largest = max(largest, family.memory(web))
    assert received == SIZE
    assert largest - memory < GROWTH


def test_slow_readers_hold_no_thread_and_little_memory(large: Site, web: int) -> None:
    memory, threads = family.memory(web), family.threads(web)
    with ExitStack() as connections:
        readers = [ask(large, connections) for _ in range(READERS)]
        readers += [ask(large, connections, f"Range: bytes={SIZE // 2}-\r\n") for _ in range(READERS)]
        with large.login("assessor") as client:
            for _ in range(5):
                assert client.get("/assessments/").status_code == 200
        # A thread for the pages, one for the entries about downloads, and the threads that read for all.
        assert family.threads(web) <= threads + 5
        assert family.memory(web) - memory < 2 * GROWTH
        for reader in readers:
            assert reader.recv(1000)
    wait_until(lambda: not family.open_files(web, ".zip"), "the file is still open")


def test_a_reader_who_goes_away_in_the_middle_leaves_no_open_file(large: Site, web: int) -> None:
    for _ in range(3):
        with ExitStack() as connections:
            for _ in range(20):
                ask(large, connections)
    wait_until(lambda: not family.open_files(web, ".zip"), "the file is still open")
