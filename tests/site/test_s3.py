"""A site with its files in a bucket of S3 works as with a folder, and goes on while the bucket is away."""

import hashlib
import io
import re
import shutil
import signal
import time
import zipfile
from array import array
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError
from django.utils import timezone
from pypdf import PdfReader
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from assessments.documents import queue
from assessments.documents.watch import Cancelled, Watch
from assessments.models import Assessment, Attempt, Document, DocumentVersion, Photo, Removal
from assessments.operations.removal import remove_files
from assessments.operations.site import confirm, settle
from assessments.photos import intake as photos
from assessments.printing.contract import DocumentError
from assessments.storage import download as files
from assessments.storage.folder import StorageAway
from tests import sse
from tests.cast import YEAR, look_at_all, make_assessment, picture
from tests.office import change_page, fields_of, visitor_of
from tests.running import Site, wait_until
from tests.servers import S3
from tests.sites import starting_sites

from .test_prune import make_versions, prune

OWN = f"ASM-{YEAR}-001"
KINDS = ("report", "estimate", "photos-pdf", "photos-zip")


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    server = S3()
    server.start()
    yield server
    server.remove()


# A running site ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stage(request: pytest.FixtureRequest, s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Start a site on the bucket and make its four documents there. A test that removes a file must put it back."""
    template: Path = request.getfixturevalue("site_template")
    for path in filter(Path.is_file, (template / "media").rglob("*")):
        s3.client.upload_file(str(path), s3.bucket, str(path.relative_to(template / "media")))
    with starting_sites(request, "sqlite", tmp_path_factory.mktemp("s3")) as start:
        site = start(**s3.settings)
        # The template's files in the folder: the site must not read them.
        shutil.rmtree(site.data_dir / "media")
        make(site)
        assert set(site.statuses(OWN).values()) == {"success"}
        yield site
        assert not [path for path in (site.data_dir / "media").rglob("*") if path.is_file()]


def make(site: Site, *kinds: str) -> None:
    """Request documents, by default all, and wait for their end."""
    with site.login("assessor") as client:
        for path in [f"{kind}/retry/" for kind in kinds] or ["generate/"]:
            client.post(f"/assessments/{OWN}/documents/{path}")
    wait_until(lambda: not {"pending", "processing"} & set(site.statuses(OWN).values()), "they do not end", 90)


def error(site: Site, kind: str) -> str:
    query = (
        "SELECT d.error AS error FROM assessments_document d JOIN assessments_assessment a ON a.id = d.assessment_id "
        "WHERE a.number = ? AND kind = ?"
    )
    return str(site.rows(query, OWN, kind)[0]["error"])


def address(kind: str, query: str = "") -> str:
    return f"/assessments/{OWN}/documents/{kind}/{query}"


def versions(site: Site) -> set[str]:
    return {row["file"] for row in site.rows("SELECT file FROM assessments_documentversion")}


def photo_rows(site: Site) -> list[dict[str, Any]]:
    query = (
        "SELECT p.* FROM assessments_photo p JOIN assessments_assessment a ON a.id = p.assessment_id "
        "WHERE a.number = ? ORDER BY p.id"
    )
    return site.rows(query, OWN)


@contextmanager
def without(s3: S3, key: str) -> Iterator[None]:
    content = s3.client.get_object(Bucket=s3.bucket, Key=key)["Body"].read()
    s3.client.delete_object(Bucket=s3.bucket, Key=key)
    try:
        yield
    finally:
        s3.client.put_object(Bucket=s3.bucket, Key=key, Body=content)


@contextmanager
def away(s3: S3) -> Iterator[None]:
    """Stop the server for as long as the context lasts. The server loses its files, so put these back at the end."""
    kept = {key: s3.client.get_object(Bucket=s3.bucket, Key=key)["Body"].read() for key in s3.names()}
    s3.stop()
    try:
        yield
    finally:
        s3.start()
        for key, content in kept.items():
            s3.client.put_object(Bucket=s3.bucket, Key=key, Body=content)


def test_each_document_is_stored_once_and_sent_whole(stage: Site, s3: S3) -> None:
    assert set(s3.names("documents/")) == versions(stage)
    with stage.login("assessor") as client:
        for kind in KINDS:
            whole = client.get(address(kind))
            assert whole.status_code == 200
            assert whole.headers["etag"] == f'"{hashlib.sha256(whole.content).hexdigest()}"'
            assert int(whole.headers["content-length"]) == len(whole.content)
        assert zipfile.ZipFile(io.BytesIO(client.get(address("photos-zip")).content)).testzip() is None
        assert len(PdfReader(io.BytesIO(client.get(address("photos-pdf")).content)).pages) >= 2
    # The worker tidies up after the end of a document.
    wait_until(lambda: not list((stage.data_dir / "work").iterdir()), "unfinished work is left")


def test_parts_of_a_document_are_sent_from_the_bucket(stage: Site) -> None:
    with stage.login("assessor") as client:
        whole = client.get(address("photos-zip"))
        body, etag = whole.content, whole.headers["etag"]
        for text, expected in {"bytes=0-0": body[:1], "bytes=9-4000": body[9:4001], "bytes=-7": body[-7:]}.items():
            part = client.get(address("photos-zip"), headers={"Range": text, "If-Range": etag})
            assert (part.status_code, part.content) == (206, expected)
        outside = client.get(address("photos-zip"), headers={"Range": f"bytes={len(body)}-"})
        assert outside.status_code == 416
        unchanged = client.get(address("photos-zip"), headers={"If-None-Match": etag})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        head = client.head(address("photos-zip"))
        assert (head.headers["content-length"], head.content) == (str(len(body)), b"")


def test_a_new_version_stands_beside_the_older_one(stage: Site, s3: S3) -> None:
    with stage.login("assessor") as client:
        first = client.get(address("estimate", "?version=1")).content
        make(stage, "estimate")
        assert client.get(address("estimate", "?version=1")).content == first
        assert client.get(address("estimate")).content != first
    assert set(s3.names("documents/")) == versions(stage)


def test_an_uploaded_photo_is_prepared_shown_and_printed(stage: Site, s3: S3) -> None:
    content = picture(77)
    with stage.login("assessor") as client:
        before = len(photo_rows(stage))
        upload = {"photos": ("front.jpg", content, "image/jpeg")}
        client.post(f"/assessments/{OWN}/photos/", data={"section": "damage", "caption": "Front"}, files=upload)
        assert len(photo_rows(stage)) == before + 1
        wait_until(lambda: photo_rows(stage)[-1]["thumbnail"], "it is not prepared")
        row = photo_rows(stage)[-1]
        assert s3.client.get_object(Bucket=s3.bucket, Key=row["original"])["Body"].read() == content
        for query, column in {"": "thumbnail", "?large": "print_image"}.items():
            shown = client.get(f"/assessments/{OWN}/photos/{row['id']}/thumbnail/{query}")
            assert shown.content == s3.client.get_object(Bucket=s3.bucket, Key=row[column])["Body"].read()
        make(stage, "photos-zip", "photos-pdf")
        with zipfile.ZipFile(io.BytesIO(client.get(address("photos-zip")).content)) as archive:
            assert content in [archive.read(name) for name in archive.namelist()]


def test_a_photo_that_the_bucket_does_not_have_is_named(stage: Site, s3: S3) -> None:
    row = photo_rows(stage)[0]
    with stage.login("assessor") as client, without(s3, row["original"]):
        older = client.get(address("photos-zip")).content
        make(stage, "photos-zip")
        failed = error(stage, "photos-zip")
        assert failed.startswith(f"The file of the photo {row['name']} is missing. Upload the photo to the section ")
        assert failed.endswith(" again, or ask the office to remove it, then retry.")
        assert client.get(address("photos-zip")).content == older


def test_a_document_whose_file_is_missing_is_not_found_and_can_be_made_again(stage: Site, s3: S3) -> None:
    newest = "SELECT file FROM assessments_documentversion WHERE file LIKE ? ORDER BY id DESC"
    key = stage.rows(newest, f"documents/{OWN}/report/%")[0]["file"]
    with stage.login("assessor") as client, without(s3, key):
        assert client.get(address("report")).status_code == 404
        make(stage, "report")
        assert client.get(address("report")).status_code == 200


def test_pages_say_that_the_bucket_is_away_and_older_files_stay(stage: Site, s3: S3) -> None:
    with stage.login("assessor") as client:
        older = client.get(address("estimate")).content
        row = next(row for row in photo_rows(stage) if row["thumbnail"])
        with away(s3):
            for path in (address("estimate"), f"/assessments/{OWN}/photos/{row['id']}/thumbnail/"):
                answer = client.get(path)
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
                assert "cannot be fetched at the moment" in answer.text
                assert "Traceback" not in answer.text
            upload = {"photos": ("late.jpg", picture(78), "image/jpeg")}
            client.post(f"/assessments/{OWN}/photos/", data={"section": "damage"}, files=upload)
            page = client.get(f"/assessments/{OWN}/")
            assert "late.jpg could not be stored, because the file storage does not answer" in page.text
            make(stage, "estimate", "photos-zip")
            assert error(stage, "estimate").startswith(
                "This could not be stored, because the file storage does not answer. Retry in a few minutes;"
            )
            assert error(stage, "photos-zip").startswith(
                "The photos could not be fetched, because the file storage does not answer. Retry in a few minutes;"
            )
        assert client.get(address("estimate")).content == older
        make(stage, "estimate", "photos-zip")
    assert set(stage.statuses(OWN).values()) == {"success"}
    assert set(s3.names("documents/")) == versions(stage)


@contextmanager
def hanging(s3: S3) -> Iterator[None]:
    """Make the server take connections and answer none."""
    assert s3.process
    s3.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        s3.process.send_signal(signal.SIGCONT)


@pytest.mark.long
def test_a_hanging_bucket_delays_no_stream_and_no_cancelling_of_a_document(stage: Site, s3: S3) -> None:
    with stage.login("assessor") as client, ThreadPoolExecutor() as readers:
        with hanging(s3):
            downloads = [readers.submit(client.get, address(kind)) for kind in KINDS * 2]
            with client.stream("GET", f"/assessments/{OWN}/events/") as stream:
                changes = sse.changes(stream)
                client.post(address("photos-zip", "retry/"))
                fetching = next(event for event in changes if "Fetching photo" in event.data)
                client.post(f"/assessments/{OWN}/documents/cancel/")
                cancelled = next(event for event in changes if event.status == "success")
            assert fetching.document == cancelled.document == "photos-zip"
            # The cancelling takes effect long before the limit on waiting for the bucket.
            assert cancelled.at < 8
            assert not any(download.done() for download in downloads)
        # The downloads get their answers as soon as the bucket goes on.
        assert {download.result().status_code for download in downloads} == {200}
    wait_until(lambda: not list((stage.data_dir / "work").iterdir()), "unfinished work is left")


def test_a_reading_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PATIENCE", 0.1)
    with pytest.raises(TimeoutError):
        async_to_sync(files.in_reading_thread)(time.sleep, 0.5)


def test_the_command_names_the_object_that_it_made(stage: Site, s3: S3) -> None:
    said = stage.manage("generate_documents", OWN, "--only", "estimate").stdout
    [key] = re.findall(rf"s3://{s3.bucket}/(documents/\S+)", said)
    assert key in s3.names("documents/")


def test_the_bucket_itself_sends_the_file_of_a_signed_link(
    stage: Site, s3: S3, start_site: Callable[..., Site], tmp_path: Path
) -> None:
    site = start_site(**s3.settings, DELIVERY="link")
    make(site, "estimate")
    with site.login("assessor") as client, site.login("stranger") as stranger:
        for query, disposition in {"": "inline", "?download": "attachment"}.items():
            answer = client.get(address("estimate", query))
            assert (answer.status_code, answer.headers["cache-control"]) == (302, "no-store")
            # The link alone is enough: no cookie is sent.
            sent = httpx.get(answer.headers["location"])
            assert sent.content.startswith(b"%PDF")
            assert sent.headers["content-type"] == "application/pdf"
            assert sent.headers["content-disposition"] == f'{disposition}; filename="{OWN}_Estimate.pdf"'
        assert 0 < int(httpx.URL(answer.headers["location"]).params["X-Amz-Expires"]) <= 600
        assert stranger.get(address("estimate")).status_code == 404
        assert client.get(address("report")).status_code == 404
        stored = site.rows("SELECT file FROM assessments_documentversion")[0]["file"]
        with without(s3, stored):
            assert client.get(address("estimate")).status_code == 404
    noted = "SELECT username FROM assessments_auditentry WHERE action = 'downloaded'"
    downloads = wait_until(lambda: site.rows(noted), "the download is not noted")
    assert [row["username"] for row in downloads] == ["assessor"]


# The bucket as storage --------------------------------------------------------------------------------------------


@pytest.fixture
def bucket(s3: S3, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """Keep the files of this process in the bucket, too, for one test."""
    before = set(s3.names())
    for name, value in s3.settings.items():
        monkeypatch.setenv(name, value)
    settings.STORAGES = {**settings.STORAGES, "default": in_bucket(s3, s3.bucket)}
    yield s3
    for name in set(s3.names()) - before:
        s3.client.delete_object(Bucket=s3.bucket, Key=name)


@pytest.fixture
def attempt(assessment: Assessment) -> Attempt:
    queue.request(assessment)
    attempt = queue.claim(assessment.pk)
    assert attempt is not None
    return attempt


def in_bucket(s3: S3, name: str) -> dict[str, Any]:
    options = {"bucket_name": name, "endpoint_url": s3.url, "region_name": None}
    return {"BACKEND": "assessments.storage.bucket.BucketStorage", "OPTIONS": options}


@pytest.mark.django_db
def test_a_bucket_gets_the_site_id_and_another_bucket_is_refused(bucket: S3, settings: Settings) -> None:
    for name in ("first", "second"):
        bucket.client.create_bucket(Bucket=name)
    settings.STORAGES = {**settings.STORAGES, "default": in_bucket(bucket, "first")}
    settle()
    confirm()
    settings.STORAGES = {**settings.STORAGES, "default": in_bucket(bucket, "second")}
    with pytest.raises(CommandError, match="there is no s3://second/site-id here"):
        confirm()
    # A bucket that does not exist, or that this site may not see, proves no mistake.
    settings.STORAGES = {**settings.STORAGES, "default": in_bucket(bucket, "third")}
    confirm()


def test_storing_again_under_the_same_name_leaves_one_file(bucket: S3) -> None:
    """A client stores a file again when the answer to the first request was lost."""
    for _ in range(2):
        assert default_storage.save("documents/again.pdf", ContentFile(b"whole")) == "documents/again.pdf"
    assert bucket.names("documents/again") == ["documents/again.pdf"]


def test_equal_photos_get_files_of_their_own(bucket: S3, assessment: Assessment) -> None:
    upload = SimpleUploadedFile("same.jpg", picture(5))
    sections = ("damage", "accessories")
    first, second = (photos.take_in(assessment, upload, section, "", None) for section in sections)
    assert first.sha256 == second.sha256
    assert first.original.name != second.original.name
    first.original.delete(save=False)
    assert second.original.read() == picture(5)


def test_a_large_file_is_stored_and_read_in_parts(bucket: S3) -> None:
    content = array("I", range(2**22)).tobytes()
    name = default_storage.save("large.bin", ContentFile(content))
    with default_storage.open(name) as file:
        assert hashlib.sha256(b"".join(file.chunks())).digest() == hashlib.sha256(content).digest()
        file.seek(2**23 + 1)
        assert file.read(5) == content[2**23 + 1 : 2**23 + 6]
        file.seek(len(content) - 3)
        assert [file.read(10), file.read(10)] == [content[-3:], b""]
        assert file.size == len(content)
    default_storage.delete(name)


def test_a_missing_file_and_a_missing_bucket_raise_different_errors(bucket: S3, settings: Settings) -> None:
    with pytest.raises(FileNotFoundError):
        default_storage.open("nothing.pdf")
    default_storage.delete("nothing.pdf")
    settings.STORAGES = {**settings.STORAGES, "default": in_bucket(bucket, "another")}
    with pytest.raises(StorageAway):
        default_storage.open("nothing.pdf")
    with pytest.raises(StorageAway):
        default_storage.save("nothing.pdf", ContentFile(b"something"))


def test_pruning_removes_old_versions_from_the_bucket_and_goes_on_without_it(
    bucket: S3, settings: Settings, assessment: Assessment
) -> None:
    made = make_versions(assessment.documents.get(kind="report"), 7)
    # An earlier run was killed after it removed the row and before it removed the file.
    DocumentVersion.objects.filter(pk=made[0].pk).delete()
    storages = settings.STORAGES
    settings.STORAGES = {**storages, "default": in_bucket(bucket, "another")}
    told = prune()
    assert (told["old versions"], told["files without a row"], told["sign-ins"]) == (1, 0, 0)
    settings.STORAGES = storages
    assert prune()["files without a row"] == 2
    left = bucket.names(f"documents/{assessment.number}/report/")
    assert set(left) == {version.file.name for version in made[2:]}


def test_a_photo_that_cannot_be_stored_is_refused_and_has_no_row(
    bucket: S3, settings: Settings, assessment: Assessment
) -> None:
    settings.STORAGES = {**settings.STORAGES, "default": in_bucket(bucket, "another")}
    with pytest.raises(photos.PhotoRefused, match=r"^0\.jpg could not be stored, because the file storage does not"):
        photos.take_in(assessment, SimpleUploadedFile("0.jpg", picture(0)), "damage", "", None)
    assert not Photo.objects.filter(assessment=assessment, name="0.jpg").exists()


def test_photos_wait_while_the_bucket_is_away_and_a_missing_one_is_unreadable_later(
    bucket: S3, settings: Settings, assessment: Assessment
) -> None:
    missing, *others = assessment.photos.order_by("pk")
    missing.original.delete(save=False)
    storages = settings.STORAGES
    settings.STORAGES = {**storages, "default": in_bucket(bucket, "another")}
    assert list(photos.look_at_new()) == []
    assert Photo.objects.new().count() == 3
    settings.STORAGES = storages
    assert Photo.objects.update(lease_expires_at=None) == 3
    assert list(photos.look_at_new()) == [missing, *others]
    missing.refresh_from_db()
    assert missing.problem.startswith("The file is missing. Upload the photo to this section again")
    assert Photo.objects.filter(state="ready").count() == 2


@pytest.mark.parametrize("gone", [False, True])
def test_the_office_can_remove_a_photo_even_when_its_file_cannot_be_removed(
    bucket: S3,
    settings: Settings,
    assessment: Assessment,
    staff: User,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    gone: bool,
) -> None:
    photo = assessment.photos.earliest("pk")
    office = visitor_of(staff)
    values = fields_of(office, change_page(assessment)) | {"photos-0-DELETE": "on"}
    assert values["photos-0-id"] == str(photo.pk)
    if gone:
        settings.STORAGES = {**settings.STORAGES, "default": in_bucket(bucket, "another")}
    with django_capture_on_commit_callbacks(execute=True):
        assert office.post(change_page(assessment), values).status_code == 302
    assert not Photo.objects.filter(pk=photo.pk).exists()
    assert bool(bucket.names(photo.original.name)) == gone


def test_the_file_of_a_killed_worker_is_removed_once_the_bucket_is_back(
    bucket: S3, attempt: Attempt, settings: Settings
) -> None:
    default_storage.save(attempt.stored_name, ContentFile(b"%PDF"))
    storages = settings.STORAGES
    settings.STORAGES = {**storages, "default": in_bucket(bucket, "another")}
    lease = settings.LEASE
    settings.LEASE = timedelta(seconds=-1)
    attempt.renew()
    settings.LEASE = lease
    assert queue.recover() == [attempt.document.assessment_id]
    Attempt.remove_lost_files()
    assert bucket.names(attempt.stored_name)
    settings.STORAGES = storages
    Attempt.remove_lost_files()
    assert not bucket.names(attempt.stored_name)


# Transfers of files -----------------------------------------------------------------------------------------------


def slow(over: Event) -> None:
    """Act as a transfer that goes on until ``over`` is set."""
    assert over.wait(30)


def test_a_cancel_ends_a_transfer(attempt: Attempt) -> None:
    queue.cancel_many([attempt.document.assessment_id])
    with pytest.raises(Cancelled):
        Watch(attempt).during([slow, slow])


def test_the_deadline_ends_a_transfer(attempt: Attempt, settings: Settings) -> None:
    settings.DOCUMENT_DEADLINE = 0.5
    with pytest.raises(DocumentError, match=r"longer than 0\.5 seconds"):
        Watch(attempt).during([slow])


def test_the_lease_is_renewed_while_a_transfer_goes_on(attempt: Attempt, settings: Settings) -> None:
    settings.LEASE = timedelta(seconds=1.5)
    attempt.renew()
    Watch(attempt).during([lambda over: time.sleep(2.0)], "Fetching photo {} of {}")
    document = Document.objects.get(pk=attempt.document_id)
    assert document.lease_expires_at > timezone.now()
    assert document.message == "Fetching photo 1 of 1"


def test_a_transfer_that_fails_ends_the_others(attempt: Attempt) -> None:
    def fails(over: Event) -> None:
        raise StorageAway("The cable is out")

    with pytest.raises(StorageAway):
        Watch(attempt).during([slow, fails])


def test_a_removed_assessment_leaves_nothing_in_the_bucket(
    bucket: S3, settings: Settings, assessor: User, admin_user: User
) -> None:
    # In a bucket of its own, as the site of this module has an assessment of the same number.
    bucket.client.create_bucket(Bucket="removals")
    settings.STORAGES = {**settings.STORAGES, "default": in_bucket(bucket, "removals")}
    assessment = make_assessment(assessor)
    look_at_all()
    make_versions(assessment.documents.get(kind="report"), 2)

    def stored() -> list[str]:
        found = bucket.client.list_objects_v2(Bucket="removals").get("Contents", [])
        return [each["Key"] for each in found if assessment.number in each["Key"]]

    # Of each photo the original and two small pictures, and two versions.
    assert len(stored()) == 3 * 3 + 2
    Removal.begin(assessment, by=admin_user)
    remove_files()
    assert stored() == []
