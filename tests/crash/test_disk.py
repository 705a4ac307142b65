"""A full disk, or missing files: a document fails with a reason, its older file stays, and a later retry succeeds."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path

import pytest

from tests import cast
from tests.running import Site, wait_until

from .scene import OWN, all_made, document, download, make, stray_files, workers

KINDS = ("report", "estimate", "photos-pdf", "photos-zip")


@pytest.fixture
def site(shared_site: Site) -> Site:
    """Return a site on which all four documents are made."""
    make(shared_site)
    assert all_made(shared_site)
    return shared_site


@contextmanager
def small_disk(folder: Path, size: str = "4m") -> Iterator[Path]:
    """Put a folder with its files on a small disk of its own; give the path of a file with which to fill that disk."""
    if os.getuid():
        pytest.skip("Only root can mount a small disk, so it was not tested that a full one is survived.")
    before = folder.with_name(f"{folder.name}-before")
    shutil.copytree(folder, before)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        shutil.copytree(before, folder, dirs_exist_ok=True)
        yield folder / "filler"
        shutil.rmtree(before)
        shutil.copytree(folder, before)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        shutil.copytree(before, folder, dirs_exist_ok=True)
        shutil.rmtree(before)


def wait_until_tidy(site: Site) -> None:
    """Wait until the worker has removed the work folder of its last document, which ends before that."""
    wait_until(lambda: not list((site.data_dir / "work").iterdir()), "a work folder is left")


def fill(filler: Path) -> None:
    with filler.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError:
                return


def test_a_full_disk_under_the_database_is_said_at_every_door(site_template: Path, tmp_path: Path) -> None:
    said = "The server's disk is full, so what you did was not saved, or not all of it. Ask support to make room"
    disk = tmp_path / "disk"
    disk.mkdir()
    with small_disk(disk, "40m") as filler:
        site = Site(site_template, disk / "site")
        site.start()
        try:
            fill(filler)
            with site.login("assessor") as client, site.login("stranger") as newcomer:
                del newcomer.cookies["sessionid"]
                generate = f"/assessments/{OWN}/documents/generate/"
                asked = {"assessmentId": OWN}
                answers = [
                    client.post(generate),
                    client.post(generate, headers={"HX-Request": "true"}),
                    client.post("/api/generate-all-documents", json=asked),
                    newcomer.post("/login/", data={"username": "stranger", "password": cast.PASSWORD}),
                ]
                assert [answer.status_code for answer in answers] == [507] * 4
                assert all(said in unescape(answer.text) for answer in answers)
                assert said in answers[2].json()["message"]
                assert set(site.statuses(OWN).values()) == {"idle"}
                filler.unlink()
                assert client.post(generate).status_code == 302
                wait_until(lambda: all_made(site), "the documents are not made", 90)
        finally:
            site.stop()


def test_a_full_disk_fails_one_document_and_keeps_its_older_file(site: Site) -> None:
    before = workers(site)
    with small_disk(site.data_dir / "media" / "documents") as filler:
        older = download(site, "report").content
        fill(filler)
        make(site, "report")
        failed = document(site, "report")
        assert failed["status"] == "error"
        assert failed["error"] == (
            "This could not be stored, perhaps because the disk is full. "
            f"Ask support to make room (reference {failed['reference']}), then retry."
        )
        assert download(site, "report").content == older
        filler.unlink()
        assert not stray_files(site)
        make(site, "report")
        assert all_made(site)
        assert download(site, "report").status_code == 200
        assert not stray_files(site)
    assert workers(site) == before


def test_a_full_disk_for_unfinished_work_fails_one_document_and_keeps_its_older_file(site: Site) -> None:
    before = workers(site)
    older = download(site, "report").content
    wait_until_tidy(site)
    with small_disk(site.data_dir / "work") as filler:
        fill(filler)
        make(site, "report")
        failed = document(site, "report")
        assert failed["status"] == "error"
        assert "room" in failed["error"]
        assert failed["error"].endswith("then retry.")
        assert download(site, "report").content == older
        filler.unlink()
        make(site, "report")
        assert all_made(site)
        wait_until_tidy(site)
    assert workers(site) == before


def test_a_failing_storage_is_named_and_the_older_files_stay(site: Site) -> None:
    before = workers(site)
    older = {kind: download(site, kind).content for kind in KINDS}
    folder = site.data_dir / "media" / "documents"
    aside = folder.rename(folder.with_name("aside"))
    folder.touch()
    try:
        make(site)
        for kind in KINDS:
            failed = document(site, kind)
            assert (failed["status"], failed["attempts"]) == ("error", 1)
            assert failed["error"].startswith("This could not be stored")
            assert download(site, kind).status_code == 404
    finally:
        folder.unlink()
        aside.rename(folder)
    assert {kind: download(site, kind).content for kind in KINDS} == older
    make(site)
    assert all_made(site)
    assert not stray_files(site)
    assert workers(site) == before


def test_a_deleted_file_is_not_found_and_can_be_made_again(site: Site) -> None:
    query = "SELECT file FROM assessments_documentversion WHERE file LIKE ? ORDER BY id DESC"
    newest = site.data_dir / "media" / site.rows(query, f"documents/{OWN}/estimate/%")[0]["file"]
    content = newest.read_bytes()
    newest.unlink()
    assert download(site, "estimate").status_code == 404
    make(site, "estimate")
    assert all_made(site)
    assert download(site, "estimate").content.startswith(b"%PDF")
    newest.write_bytes(content)


def test_a_photo_whose_file_is_gone_is_named_and_mended_by_uploading_it_again(site: Site) -> None:
    query = (
        "SELECT p.original AS original, p.print_image AS print_image, p.name AS name, p.section AS section "
        "FROM assessments_photo p "
        "JOIN assessments_assessment a ON a.id = p.assessment_id WHERE number = ? ORDER BY p.id"
    )
    photo = site.rows(query, OWN)[0]
    older = download(site, "photos-zip").content
    files = [site.data_dir / "media" / photo[column] for column in ("original", "print_image")]
    asides = {file: file.rename(file.with_suffix(".aside")) for file in files}
    make(site, "photos-zip", "photos-pdf")
    failed = document(site, "photos-zip")
    assert failed["status"] == "error"
    missing = f"The file of the photo {photo['name']} is missing. Upload the photo to the section "
    assert failed["error"].startswith(missing)
    assert failed["error"].endswith(" again, or ask the office to remove it, then retry.")
    assert photo["name"] in document(site, "photos-pdf")["error"] + document(site, "photos-pdf")["message"]
    assert download(site, "photos-zip").content == older
    # The reason says what to do, and an assessor can do that.
    content = asides[files[0]].read_bytes()
    for aside in asides.values():
        aside.unlink()
    with site.login("assessor") as client:
        upload = {"photos": (photo["name"], content, "image/jpeg")}
        client.post(f"/assessments/{OWN}/photos/", data={"section": photo["section"]}, files=upload)
    make(site, "photos-zip", "photos-pdf")
    assert all_made(site)
    assert download(site, "photos-zip").content == older
