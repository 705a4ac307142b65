"""Documents that nginx sends for the site: the site checks the permission, and nginx answers ranges."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import httpx
import pytest
from django.core.files.storage import default_storage

from assessments.documents.transfer import Produced
from assessments.documents.watch import Cancelled
from tests.cast import YEAR
from tests.running import PATIENCE, Site, wait_until
from tests.servers import Nginx

OWN = f"ASM-{YEAR}-001"
ADDRESS = f"/assessments/{OWN}/documents/estimate/"


@pytest.fixture
def media(site_template: Path) -> Iterator[Path]:
    """Copy the site's files to a folder that nginx may read: nginx runs as another user than the tests."""
    folder = Path(tempfile.mkdtemp(prefix="tests-media-"))
    shutil.copytree(site_template / "media", folder, dirs_exist_ok=True)
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_nginx_sends_the_file_that_the_site_names(start_site: Callable[..., Site], media: Path) -> None:
    site = start_site(DELIVERY="accel", MEDIA_DIR=str(media))
    with site.login("assessor") as client:
        client.post(f"{ADDRESS}retry/")
        wait_until(lambda: site.statuses(OWN)["estimate"] == "success", "it is not made")
        named = client.get(ADDRESS)
    [stored] = (path for path in media.rglob("*.pdf"))
    assert (named.status_code, named.content) == (200, b"")
    assert named.headers["x-accel-redirect"] == f"/_media/{stored.relative_to(media)}"
    nginx = Nginx([site.port, site.port], media)
    try:
        nginx.start()
        with httpx.Client(base_url=nginx.url, cookies=site.cookies("assessor"), timeout=PATIENCE) as client:
            whole = client.get(ADDRESS)
            body = stored.read_bytes()
            assert (whole.status_code, whole.content) == (200, body)
            kept = (
                "content-type", "content-disposition", "etag", "cache-control", "content-security-policy",
                "x-content-type-options", "x-frame-options", "referrer-policy", "permissions-policy",
                "cross-origin-opener-policy",
            )  # fmt: skip
            assert {name: whole.headers[name] for name in kept} == {name: named.headers[name] for name in kept}
            assert "x-accel-redirect" not in whole.headers
            etag = whole.headers["etag"]
            assert client.get(ADDRESS, headers={"If-None-Match": etag}).status_code == 304
            assert client.head(ADDRESS).headers["content-length"] == str(len(body))
            part = client.get(ADDRESS, headers={"Range": "bytes=5-99", "If-Range": etag})
            assert (part.status_code, part.content) == (206, body[5:100])
            older = client.get(ADDRESS, headers={"Range": "bytes=5-99", "If-Range": '"older"'})
            assert (older.status_code, older.content) == (200, body)
            assert client.get(ADDRESS, headers={"Range": f"bytes={len(body)}-"}).status_code == 416
            # The folder itself is closed to everybody, and the document to strangers.
            assert client.get(named.headers["x-accel-redirect"]).status_code == 404
            client.cookies.update(site.cookies("stranger"))
            assert client.get(ADDRESS).status_code == 404
            client.cookies.update(site.cookies("assessor"))
            stored.write_bytes(body[:-1])
            damaged = client.get(ADDRESS)
            assert [damaged.status_code, "This file is damaged" in damaged.text] == [500, True]
            stored.unlink()
            gone = client.get(ADDRESS)
            assert gone.status_code == 404
            assert "nginx" not in gone.text
    finally:
        nginx.remove()
    noted = "SELECT username FROM assessments_auditentry WHERE action = 'downloaded'"
    downloads = wait_until(lambda: site.rows(noted), "the download is not noted")
    assert [row["username"] for row in downloads] == ["assessor"]


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_finished_file_is_stored_whole_from_this_disk_or_another(folders: Path, elsewhere: bool) -> None:
    work = Path(tempfile.mkdtemp(dir="/dev/shm" if elsewhere else folders))
    if elsewhere and work.stat().st_dev == folders.stat().st_dev:
        pytest.skip("There is no second file system here, so storing from another one was not tested.")
    made = work / "report.pdf"
    made.write_bytes(b"%PDF" * 1000)
    try:
        with made.open("rb") as file:
            name = default_storage.save("documents/report.pdf", Produced(file, made, Event()))
        stored = Path(default_storage.path(name))
        assert stored.read_bytes() == b"%PDF" * 1000
        assert stored.stat().st_mode & 0o777 == 0o600
        assert list(stored.parent.iterdir()) == [stored]
        if not elsewhere:
            assert stored.samefile(made)
    finally:
        shutil.rmtree(work)


def test_storing_from_another_disk_can_be_given_up(folders: Path) -> None:
    given_up = Event()
    given_up.set()
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as made, pytest.raises(Cancelled):
        default_storage.save("documents/report.pdf", Produced(made, Path(made.name), given_up))
    assert not [path for path in (folders / "media").rglob("*") if path.is_file()]
