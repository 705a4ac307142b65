"""Functions for a confined child: honest ones, and attacks by a child that a hostile photo has taken over."""

import ctypes
import logging
import os
import pickle
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from assessments.sandbox import Refusal, Text


class Answer(NamedTuple):
    text: Text


class TooSilly(Refusal):
    """A refusal for these tests."""


_libc = ctypes.CDLL(None, use_errno=True)


def call(number: int, *arguments: int) -> None:
    if _libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


# Honest work --------------------------------------------------------------------------------------------------------


def add_in_threads(folder: Path) -> Answer:
    found: list[str] = []
    threads = [threading.Thread(target=found.append, args=(str(number),)) for number in range(2)]
    for thread in threads:
        thread.start()
        thread.join()
    (folder / "sum").write_text("".join(found))
    return Answer((folder / "sum").read_text())


def show_environment() -> Answer:
    return Answer("\n".join(os.environ))


def refuse() -> Answer:
    raise TooSilly("This is too silly. Send another.")


def refuse_at_length() -> Answer:
    raise TooSilly("NUL \0, half \ud800, " + "x" * 20_000)


def fail(*arguments: object) -> Answer:
    raise LookupError("there is a fault")


def complain() -> Answer:
    print("printed", file=sys.stderr, flush=True)
    for number in range(100):
        logging.getLogger("decoder").warning("line %d\n2026-01-01 INFO forged", number)
    return Answer("done")


def hang(*arguments: object) -> Answer:
    time.sleep(600)
    return Answer("late")


# The network, programs and processes --------------------------------------------------------------------------------


def open_internet() -> None:
    socket.socket(socket.AF_INET)


def open_local_socket() -> None:
    socket.socket(socket.AF_UNIX)


def open_netlink() -> None:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)


def open_ring() -> None:
    call(425, 1, 0)


def run_shell() -> None:
    subprocess.run(["/bin/sh", "-c", "true"], check=True)


def become_shell() -> None:
    os.execv("/bin/sh", ["sh", "-c", "exit 0"])


def fork() -> None:
    if not os.fork():
        os._exit(0)


def kill_server() -> None:
    os.kill(os.getppid(), signal.SIGKILL)


def limit_server() -> None:
    resource.prlimit(os.getppid(), resource.RLIMIT_CORE, (0, 0))


def trace_server() -> None:
    # PTRACE_SEIZE
    if _libc.ptrace(0x4206, os.getppid(), 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def forget_parent() -> None:
    # PR_SET_PDEATHSIG
    if _libc.prctl(1, 0, 0, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


# Files --------------------------------------------------------------------------------------------------------------


def read(path: Path) -> Answer:
    return Answer(path.read_text())


def write(path: Path) -> None:
    path.write_text("mine")


def empty(path: Path) -> None:
    os.close(os.open(path, os.O_RDONLY | os.O_TRUNC))


def empty_by_name(path: Path) -> None:
    os.truncate(path, 0)


def delete(path: Path) -> None:
    path.unlink()


def change_mode(path: Path) -> None:
    path.chmod(0)


def link(path: Path, folder: Path) -> None:
    os.link(path, folder / "link")


def link_by_name(path: Path, folder: Path) -> None:
    (folder / "link").symlink_to(path)


def fill_many_files(folder: Path) -> None:
    number = 0
    while True:
        number += 1
        (folder / str(number)).write_bytes(bytes(2**19))


def fill_deleted_file(folder: Path) -> None:
    with (folder / "large").open("wb") as file:
        (folder / "large").unlink()
        while True:
            file.write(bytes(2**20))


def open_many_files(path: Path) -> None:
    # 200 files are fewer than an unconfined process may have open.
    for _ in range(200):
        os.open(path, os.O_RDONLY)


# Memory and ends ----------------------------------------------------------------------------------------------------


def eat_memory(*arguments: object) -> Answer:
    return Answer(str(len(bytearray(2**30))))


def crash(*arguments: object) -> None:
    ctypes.string_at(0)


def abort() -> None:
    os.abort()


def leave() -> None:
    os._exit(3)


# Hostile messages ---------------------------------------------------------------------------------------------------


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


def say_pickle(mark: Path, progress: Any) -> None:
    say(pickle.dumps(Evil(mark)), progress)


def say(packet: bytes, progress: Any) -> None:
    progress.pipe.send(packet)
    hang()


def say_all(packets: list[bytes], progress: Any) -> None:
    for packet in packets:
        progress.pipe.send(packet)
    hang()


def say_without_end(progress: Any) -> None:
    while True:
        progress.pipe.send(b'["progress", 1, "Working"]')


def hang_up(progress: Any) -> None:
    progress.pipe.close()
    hang()


# Hostile generators -------------------------------------------------------------------------------------------------


def generate_link(snapshot: object, work: Path, progress: Any) -> None:
    (work / "report.pdf").symlink_to(work.parent / "secret")
    answer(work / "report.pdf", progress)


def generate_elsewhere(snapshot: object, work: Path, progress: Any) -> None:
    answer(work.parent / "secret", progress)


def generate_nothing(snapshot: object, work: Path, progress: Any) -> None:
    answer(work / "report.pdf", progress)


def generate_flood(snapshot: object, work: Path, progress: Any) -> None:
    say_without_end(progress)


def generate_megabytes(snapshot: object, work: Path, progress: Any) -> None:
    say(b'["progress", 1, "' + 100_000 * b"x" + b'"]', progress)


def generate_large(snapshot: object, work: Path, progress: Any) -> None:
    fill_many_files(work)


def answer(path: Path, progress: Any) -> None:
    say(b'["returned", ["%s", "1 page", 1, null]]' % bytes(path), progress)
