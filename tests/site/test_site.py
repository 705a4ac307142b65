"""The site id in the database and the one beside the stored files: a process starts only when the two are equal."""

import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from pytest_django import Settings

from assessments.models import Site
from assessments.operations import site
from tests import staging
from tests.running import bare_environment, free_port, run_manage

pytestmark = pytest.mark.django_db

ELSEWHERE = "The files of this database are kept elsewhere"
ANOTHER = "The stored files belong to another database"


def store(site_id: str) -> None:
    default_storage.save(site.FILE, ContentFile(site_id.encode()))


def ids() -> set[str | None]:
    return {site.known_id(), site.stored_id()}


def test_a_prepared_site_starts_and_preparing_it_again_changes_nothing() -> None:
    site.settle()
    (made,) = ids()
    assert made
    site.confirm()
    site.settle()
    assert ids() == {made}


def test_a_database_that_is_not_prepared_does_not_start() -> None:
    with pytest.raises(CommandError, match=r"The database is not prepared\. Run: manage\.py prepare"):
        site.confirm()


def test_another_folder_is_refused_at_the_start_and_prepare_does_not_adopt_it(
    settings: Settings, tmp_path: Path
) -> None:
    site.settle()
    settings.MEDIA_ROOT = tmp_path / "another"
    with pytest.raises(CommandError, match=f"{ELSEWHERE}: there is no {tmp_path}/another/site-id here. Set MEDIA_DIR"):
        site.confirm()
    with pytest.raises(CommandError, match=ELSEWHERE):
        site.settle()
    assert site.stored_id() is None


def test_the_files_of_another_database_are_refused() -> None:
    Site.objects.create(site_id="ours")
    store("theirs")
    for start in (site.confirm, site.settle):
        with pytest.raises(CommandError, match=f"{ANOTHER}: its site id is ours, but .*/site-id says theirs"):
            start()
    assert ids() == {"ours", "theirs"}


def test_a_new_database_does_not_adopt_the_files_of_another_one() -> None:
    store("theirs")
    with pytest.raises(CommandError, match=f"{ANOTHER}: this one is new"):
        site.settle()
    assert ids() == {None, "theirs"}


@pytest.mark.parametrize("stored", ["theirs", None])
def test_an_operator_adopts_any_files_by_writing_the_id_beside_them(stored: str | None) -> None:
    Site.objects.create(site_id="ours")
    if stored:
        store(stored)
    with pytest.raises(CommandError, match="if they do belong together, write ours into that file"):
        call_command("prepare")
    default_storage.delete(site.FILE)
    store("ours")
    call_command("prepare")
    site.confirm()
    assert ids() == {"ours"}


def test_a_new_database_adopts_files_whose_id_is_removed() -> None:
    store("theirs")
    with pytest.raises(CommandError, match="remove that file and run"):
        call_command("prepare")
    default_storage.delete(site.FILE)
    call_command("prepare")
    site.confirm()
    assert None not in ids()
    assert "theirs" not in ids()


def test_an_id_that_cannot_be_stored_is_not_kept_in_the_database(settings: Settings) -> None:
    settings.MEDIA_ROOT = Path("/proc/nowhere")
    with pytest.raises(
        CommandError, match=r"The stored files cannot be used: .*/proc/nowhere.* See MEDIA_DIR"
    ) as error:
        call_command("prepare")
    assert error.value.returncode == 2
    assert site.known_id() is None


def test_the_start_goes_on_while_the_files_are_away(settings: Settings, tmp_path: Path) -> None:
    site.settle()
    (tmp_path / "no-folder").touch()
    settings.MEDIA_ROOT = tmp_path / "no-folder"
    site.confirm()


def test_the_start_goes_on_while_the_database_is_away() -> None:
    def refuse(*about: Any) -> None:
        raise OperationalError("the server closed the connection")

    with connection.execute_wrapper(refuse):
        site.confirm()


@pytest.mark.parametrize("command", ["serve", "web", "worker", "sweep"])
def test_each_process_that_serves_ends_at_the_start_with_one_clear_line(
    command: str, site_template: Path, tmp_path: Path
) -> None:
    shutil.copyfile(site_template / "db.sqlite3", tmp_path / "db.sqlite3")
    environment = bare_environment(tmp_path) | {"PORT": str(free_port()), "MEDIA_DIR": str(tmp_path / "another")}
    done = run_manage(environment, command)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"CommandError: {ELSEWHERE}: there is no {tmp_path}/another/site-id here. Set MEDIA_DIR")


def test_several_prepare_commands_at_the_same_moment_agree_on_one_id(site_template: Path, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    shutil.copytree(site_template, folder, ignore=shutil.ignore_patterns("static", "media"))
    (folder / "static").symlink_to(site_template / "static")
    with closing(sqlite3.connect(folder / "db.sqlite3", isolation_level=None)) as database:
        # No row names a file, so each `prepare` may take the empty folder.
        for table in ("site", "photo", "documentversion"):
            database.execute(f"DELETE FROM assessments_{table}")
    with ThreadPoolExecutor(6) as pool:
        several = list(pool.map(partial(staging.manage, bare_environment(folder)), ["prepare"] * 6))
    assert [(each.stderr, each.returncode) for each in several] == [("", 0)] * 6
    with closing(sqlite3.connect(folder / "db.sqlite3")) as database:
        ((known,),) = database.execute("SELECT site_id FROM assessments_site").fetchall()
    assert [(path.name, path.read_text()) for path in (folder / "media").iterdir()] == [("site-id", known)]
