"""A function in a confined child can harm its own work alone, whatever the function does or sends."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import NoneType
from typing import NamedTuple

import pytest
from pytest_django import Settings

from assessments import sandbox
from assessments.documents import queue, worker
from assessments.documents.kinds import KINDS
from assessments.models import Assessment
from assessments.photos import intake as photos
from assessments.photos.print_image import UnreadablePhoto
from assessments.sandbox import parent
from tests import cast, family, misdeeds
from tests.misdeeds import Answer

MEBIBYTE = 2**20
SECRETS = {
    "SECRET_KEY": "sk-1",
    "DATABASE_URL": "postgres://u:pw-1@127.0.0.1/a",
    "AWS_SECRET_ACCESS_KEY": "aws-1",
    "EMAIL_HOST_PASSWORD": "mail-1",
}


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[parent.ForkServer]:
    """Start a fork server from a process that has secrets in its environment, and an open, inheritable file."""
    fresh = parent.ForkServer()
    fresh.modules = ("tests.misdeeds",)
    with pytest.MonkeyPatch.context() as patch, open(os.devnull) as inheritable:
        os.set_inheritable(inheritable.fileno(), True)
        for name, value in SECRETS.items():
            patch.setenv(name, value)
        patch.setattr(parent, "_server", fresh)
        fresh.ensure_running()
        yield fresh
        fresh.drop()


def work(deed: Callable[..., object], *arguments: object, **may: object) -> sandbox.Work:
    given = {"memory": 64 * MEBIBYTE, "disk": 4 * MEBIBYTE, **may}
    return sandbox.Work(f"tests.misdeeds.{deed.__name__}", arguments, **given)  # type: ignore[arg-type]


def run(deed: Callable[..., object], *arguments: object, **may: object) -> Answer:
    return sandbox.run(work(deed, *arguments, **may), Answer, 20)


def hear(deed: Callable[..., object], *arguments: object) -> Answer:
    """Run a function that writes its own messages."""
    return run(deed, *arguments, progress=True)


def hear_out(child: sandbox.Child) -> None:
    while True:
        child.listen(5)


# Honest work --------------------------------------------------------------------------------------------------------


def test_a_function_writes_into_its_folder_and_starts_threads(tmp_path: Path) -> None:
    assert run(misdeeds.add_in_threads, tmp_path, folder=tmp_path) == Answer("01")


def test_a_refusal_comes_back_with_its_words() -> None:
    with pytest.raises(sandbox.Refused, match=r"^This is too silly\. Send another\.$"):
        run(misdeeds.refuse)


def test_a_fault_comes_back_with_its_traceback() -> None:
    with pytest.raises(sandbox.Broken, match=r"in fail\n(?s:.*)LookupError: there is a fault"):
        run(misdeeds.fail)


def test_an_error_of_the_system_comes_back_by_its_number(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        run(misdeeds.read, tmp_path / "missing", reads=(tmp_path,))
    assert "in read\n" in missing.value.__notes__[0]


def test_a_few_lines_of_the_log_of_a_child_are_kept_and_its_prints_are_dropped(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(misdeeds.complain) == Answer("done")
    assert caplog.messages == [
        f"From a child: 'decoder: line {number}\\n2026-01-01 INFO forged'" for number in range(10)
    ]
    assert "printed" not in capfd.readouterr().err


# Forbidden to a child -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "deed",
    [
        misdeeds.open_internet,
        misdeeds.open_local_socket,
        misdeeds.open_netlink,
        misdeeds.open_ring,
        misdeeds.run_shell,
        misdeeds.become_shell,
        misdeeds.fork,
        misdeeds.kill_server,
        misdeeds.limit_server,
        misdeeds.trace_server,
        misdeeds.forget_parent,
    ],
)
def test_a_child_reaches_no_network_no_program_and_no_other_process(deed: Callable[[], None]) -> None:
    with pytest.raises(PermissionError):
        run(deed)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Make a file that the child may read, outside of the folder that the child may write to."""
    path = tmp_path / "photos" / "photo"
    path.parent.mkdir()
    path.write_text("a photo")
    (tmp_path / "folder").mkdir()
    return path


@pytest.mark.parametrize(
    "deed", [misdeeds.write, misdeeds.empty, misdeeds.empty_by_name, misdeeds.delete, misdeeds.change_mode]
)
def test_a_child_changes_nothing_outside_its_folder(deed: Callable[[Path], None], photo: Path) -> None:
    mode = photo.stat().st_mode
    with pytest.raises(PermissionError):
        run(deed, photo, reads=(photo.parent,), folder=photo.parents[1] / "folder")
    assert photo.read_text() == "a photo"
    assert photo.stat().st_mode == mode


@pytest.mark.parametrize("deed", [misdeeds.link, misdeeds.link_by_name])
def test_a_child_links_nothing_into_its_folder(deed: Callable[[Path, Path], None], photo: Path) -> None:
    folder = photo.parents[1] / "folder"
    with pytest.raises(OSError, match=r"Permission denied|Invalid cross-device link"):
        run(deed, photo, folder, reads=(photo.parent,), folder=folder)
    assert list(folder.iterdir()) == []


def test_a_child_reads_the_given_files_and_no_others(photo: Path) -> None:
    secret = photo.with_name("secret-key")
    secret.write_text("sk-1")
    assert run(misdeeds.read, photo, reads=(photo,)) == Answer("a photo")
    for path in (secret, Path(f"/proc/{os.getpid()}/environ"), Path("/etc/passwd")):
        with pytest.raises(PermissionError):
            run(misdeeds.read, path, reads=(photo,))


def test_a_child_has_no_secrets_and_no_open_files_of_its_parents(server: parent.ForkServer) -> None:
    assert server.process
    assert not set(run(misdeeds.show_environment).text.split()) - {*parent.ENVIRONMENT, *parent.TUNING}
    with sandbox.Child(work(misdeeds.say_all, [b'["progress", 1, "At work"]'], progress=True)) as child:
        assert child.listen(20)
        for pid in (child.pid, server.process.pid):
            environment = Path(f"/proc/{pid}/environ").read_text()
            assert "PATH=" in environment
            assert not [name for name, value in SECRETS.items() if name in environment or value in environment]
        *nowhere, pipe = sorted(family.held_open(child.pid))
        assert nowhere == [os.devnull] * 3
        assert pipe.startswith("socket:")


@pytest.mark.parametrize("deed", [misdeeds.fill_deleted_file, misdeeds.fill_many_files])
def test_a_child_writes_no_more_bytes_than_allowed(deed: Callable[[Path], None], tmp_path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(OSError, match="File too large"):
        run(deed, tmp_path, folder=tmp_path)
    assert time.monotonic() - begun < 5


def test_a_child_opens_no_more_files_than_allowed(photo: Path) -> None:
    with pytest.raises(OSError, match="Too many open files"):
        run(misdeeds.open_many_files, photo, reads=(photo,))


def test_a_child_that_takes_too_much_memory_is_ended() -> None:
    with pytest.raises(sandbox.OutOfMemory):
        run(misdeeds.eat_memory)


def test_a_child_that_hangs_is_ended_and_is_gone() -> None:
    slow = work(misdeeds.hang)
    begun = time.monotonic()
    with pytest.raises(sandbox.TooSlow):
        sandbox.run(slow, Answer, 0.5)
    assert time.monotonic() - begun < 3
    with sandbox.Child(slow) as child:
        os.kill(child.pid, signal.SIGSTOP)
    assert not family.running(child.pid)
    assert child.ending == "Killed"


@pytest.mark.parametrize(
    ("deed", "ending"),
    [
        (misdeeds.crash, "Segmentation fault"),
        (misdeeds.abort, "Segmentation fault|Aborted|Illegal instruction|Trace"),
        (misdeeds.leave, "exit code 3"),
    ],
)
def test_a_crash_is_reported_with_its_cause(deed: Callable[[], None], ending: str) -> None:
    with pytest.raises(sandbox.Crashed, match=ending):
        run(deed)


def test_a_child_of_a_killed_server_crashes_and_the_next_child_has_a_new_server(server: parent.ForkServer) -> None:
    assert server.process
    killed = server.process.pid
    with sandbox.Child(work(misdeeds.hang)) as child:
        os.kill(killed, signal.SIGKILL)
        with pytest.raises(sandbox.Crashed, match="with the process that had started it"):
            hear_out(child)
    assert run(misdeeds.show_environment).text
    assert server.process.pid != killed


def test_a_child_can_be_started_after_another_could_not(server: parent.ForkServer) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            run(misdeeds.show_environment)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert run(misdeeds.show_environment).text


def test_a_fork_that_the_kernel_refuses_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = parent.ForkServer()
    fresh.modules = ("tests.misdeeds", "tests.refused_forks")
    monkeypatch.setattr(parent, "_server", fresh)
    try:
        assert run(misdeeds.show_environment).text
    finally:
        fresh.drop()


def test_the_kernel_measures_the_processor_time_and_the_memory() -> None:
    with sandbox.Child(work(misdeeds.refuse)) as child, pytest.raises(sandbox.Refused):
        child.listen(20)
    assert 0 < child.cpu_seconds < 5
    assert 5 * MEBIBYTE < child.peak_memory < 200 * MEBIBYTE


# Messages of a child ------------------------------------------------------------------------------------------------


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(sandbox.Broken):
        hear(misdeeds.say_pickle, tmp_path / "mark")
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    "packet",
    [
        b"\xff\xfe",
        b"null",
        b"{}",
        b"[]",
        b'["shell", "true"]',
        b'["progress"]',
        b'["progress", "1", "Working"]',
        b'["progress", 1.5, "Working"]',
        b'["progress", 1, {"text": "Working"}]',
        b'["progress", 1, "Working", 2]',
        b'["progress", ' + b"9" * 5000 + b', "Working"]',
        b'["failed", "refused", {}, 0]',
        b'["failed", "tired", "words", 0]',
        b'["failed", "system", "trace", 99999]',
        b'["failed", "system", null, 2]',
        b'["returned"]',
        b'["returned", null]',
        b'["returned", "text"]',
        b'["returned", {"text": "text"}]',
        b'["returned", []]',
        b'["returned", [1]]',
        b'["returned", ["text", "more"]]',
        b'["returned", ["NUL \\u0000"]]',
        b'["returned", ["half \\ud800"]]',
        b'["returned", ["' + b"x" * 10_001 + b'"]]',
        b"[" * 60_000,
        b'["progress", 1, "' + b"x" * 100_000 + b'"]',
    ],
    ids=lambda packet: packet[:28].decode("latin-1"),
)
def test_a_malformed_message_ends_the_work(packet: bytes) -> None:
    with pytest.raises(sandbox.Broken):
        hear(misdeeds.say, packet)


class Page(NamedTuple):
    path: Path
    number: sandbox.Number
    of: sandbox.Number | None


@pytest.mark.parametrize("result", [["a", True, 1], ["a", -1, 1], ["a", 2**31, 1], ["a", 1, "1"], [1, 1, 1], 5, None])
def test_a_result_of_other_types_or_out_of_range_is_broken(result: object) -> None:
    with pytest.raises(sandbox.Broken):
        sandbox.shaped(Page, result)


def test_a_result_becomes_a_tuple_or_nothing() -> None:
    assert sandbox.shaped(Page, ["/a", 1, None]) == Page(Path("/a"), 1, None)
    assert sandbox.shaped(tuple[int, int], [4, 3]) == (4, 3)
    assert sandbox.shaped(NoneType, None) is None
    for result in (4, [4], [4, "3"]):
        with pytest.raises(sandbox.Broken):
            sandbox.shaped(tuple[int, int], result)


def test_every_database_can_store_the_text_of_an_error() -> None:
    with pytest.raises(sandbox.Refused) as refused:
        run(misdeeds.refuse_at_length)
    assert str(refused.value).startswith("NUL \ufffd, half ?, xxx")
    assert len(str(refused.value)) == 10_000


def test_progress_never_runs_backwards_and_never_reaches_100() -> None:
    said = [json.dumps(["progress", number, "Working"]).encode() for number in (50, 20, None, 60, 100, 10**30, -5)]
    with sandbox.Child(work(misdeeds.say_all, said, progress=True)) as child:
        heard = [child.listen(5) for _ in said]
    assert [each.progress for each in heard if isinstance(each, sandbox.Progressed)] == [50, 50, None, 60, 99, 99, 99]


def test_a_child_that_sends_without_end_is_ended() -> None:
    begun = time.monotonic()
    endless = work(misdeeds.say_without_end, progress=True)
    with sandbox.Child(endless) as child, pytest.raises(sandbox.Broken, match="without end"):
        hear_out(child)
    assert time.monotonic() - begun < 5


def test_a_child_that_closes_its_pipe_and_goes_on_is_ended() -> None:
    with pytest.raises(sandbox.Crashed, match="Killed"):
        hear(misdeeds.hang_up)


# Files of a child ---------------------------------------------------------------------------------------------------


def test_only_a_plain_file_in_its_own_folder_is_accepted_as_the_result(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "made").write_text("made")
    with sandbox.made_file(folder / "made", folder) as file:
        assert file.read() == b"made"
    secret, other = tmp_path / "secret", tmp_path / "other"
    for path in (secret, other):
        path.write_text("sk-1")
    (folder / "soft").symlink_to(secret)
    (folder / "hard").hardlink_to(other)
    os.mkfifo(folder / "pipe")
    (folder / "folder").mkdir()
    for path in (
        secret,
        folder / "..",
        folder / "nul\0",
        *(folder / name for name in ["soft", "hard", "pipe", "folder", "no"]),
    ):
        with pytest.raises(sandbox.Broken):
            sandbox.made_file(path, folder)


# Photos and documents in children -----------------------------------------------------------------------------------


def test_a_photo_is_refused_with_the_reason_of_its_decoder(tmp_path: Path) -> None:
    path = tmp_path / "photo"
    path.write_bytes(cast.picture(1))
    made = tmp_path / "made"
    made.mkdir()
    targets = made / "print.jpg", made / "thumbnail.jpg"
    assert photos.develop(path, *targets) == (320, 240)
    assert (made / "thumbnail.jpg").read_bytes().startswith(b"\xff\xd8")
    path.write_text("no photo")
    with pytest.raises(UnreadablePhoto, match="not a photo"):
        photos.develop(path, *targets)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        photos.develop(path, *targets)


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        (misdeeds.hang, "Reading it took longer than 1 seconds."),
        (misdeeds.eat_memory, "It needs more memory than the 64 MiB allowed for a photo."),
        (misdeeds.crash, "The program that reads photos broke off over it."),
        (misdeeds.fail, "Its content is not what a photo's should be."),
    ],
)
def test_a_decoder_that_fails_gives_a_reason_and_advice(
    deed: Callable[..., object], reason: str, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PHOTO_DEADLINE, settings.PHOTO_MEMORY = 1, 64 * MEBIBYTE
    monkeypatch.setattr(photos, "make_small_pictures", deed)
    with pytest.raises(photos.Undecodable, match=f"^{reason} Save it as a new JPEG, then upload that.$"):
        photos.develop(tmp_path / "photo", tmp_path / "print.jpg", tmp_path / "thumbnail.jpg")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        (misdeeds.generate_link, "Something went wrong while this was being made."),
        (misdeeds.generate_elsewhere, "Something went wrong while this was being made."),
        (misdeeds.generate_nothing, "Something went wrong while this was being made."),
        (misdeeds.generate_flood, "Something went wrong while this was being made."),
        (misdeeds.generate_megabytes, "Something went wrong while this was being made."),
        (misdeeds.generate_large, "There was no room left on the disk to make this."),
    ],
)
def test_a_hostile_renderer_fails_one_document_with_a_reason(
    deed: Callable[..., object],
    reason: str,
    assessment: Assessment,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (Path(settings.WORK_ROOT) / "secret").write_text("sk-1")
    settings.DOCUMENT_MEMORY = 64 * MEBIBYTE
    monkeypatch.setitem(KINDS, "report", replace(KINDS["report"], generator=f"tests.misdeeds.{deed.__name__}"))
    queue.request(assessment, ["report"])
    worker.advance(assessment.pk)
    document = assessment.documents.get(kind="report")
    assert document.status == "error"
    assert document.error.startswith(reason)
    assert [path.name for path in Path(settings.WORK_ROOT).iterdir()] == ["secret"]
    assert not list(Path(settings.MEDIA_ROOT).rglob("*.pdf"))


# Kernels without Landlock -------------------------------------------------------------------------------------------

OLD_KERNEL = """
import sys
from pathlib import Path
import pyseccomp
refused = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
refused.add_rule(pyseccomp.ERRNO(38), 444)
refused.load()
from assessments import sandbox
from tests.misdeeds import Answer
sandbox.warm_up(["tests.misdeeds"])
photo = Path(sys.argv[1])
print(sandbox.run(sandbox.Work("tests.misdeeds.read", (photo,), 2**26, 0, reads=(photo,)), Answer, 20).text)
"""


def test_a_kernel_without_landlock_is_logged_and_children_still_work(photo: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", OLD_KERNEL, photo], capture_output=True, text=True, check=True)
    assert ran.stdout == "a photo\n"
    assert ran.stderr == (
        "Children can read and write what this user can, secrets included: no Landlock (Function not implemented)\n"
    )


def test_the_kernel_of_this_machine_has_landlock(photo: Path) -> None:
    here = OLD_KERNEL.replace("refused.load()", "")
    ran = subprocess.run([sys.executable, "-c", here, photo], capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("a photo\n", "")
