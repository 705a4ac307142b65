"""The processes of a running site, as the kernel knows them."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event


def children(pid: int) -> list[int]:
    """Return the pids of a process's children, also of ended ones that were not waited for yet."""
    found: list[int] = []
    # Some tests call this a thousand times a second, so only files of the process itself are read.
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, listed.read_text().split())
        except OSError:
            continue
    return sorted(found)


def parent(pid: int) -> int:
    """Return the pid of a process's parent, or 0."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def descendants(pid: int) -> list[int]:
    below = children(pid)
    return below + [further for child in below for further in descendants(child)]


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def state(pid: int) -> str:
    """Return the kernel's letter for a process: R, S, D, T (stopped), Z (ended, not waited for), X (no process)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def running(pid: int) -> bool:
    return state(pid) not in "ZX"


def named(parent: int, name: str) -> list[int]:
    """Return the children of ``serve`` that run one of our commands: web, worker or sweep."""
    return [pid for pid in children(parent) if process_name(pid) == name]


def process_name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def renderers(worker: int) -> list[int]:
    """Return the children of a worker in which generators run: forks of its fork server with a higher niceness."""
    return [pid for server in fork_servers(worker) for pid in children(server) if niceness(pid) > niceness(server)]


def fork_servers(pid: int) -> list[int]:
    return [child for child in children(pid) if "forkserver" in command(child)]


def niceness(pid: int) -> int:
    try:
        return os.getpriority(os.PRIO_PROCESS, pid)
    except ProcessLookupError:
        return 0


def ignores(pid: int, number: signal.Signals) -> bool:
    """Return whether a process ignores a signal."""
    ignored = re.search(r"^SigIgn:\s*([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return ignored is not None and bool(int(ignored[1], 16) >> (number - 1) & 1)


def maps(pid: int, library: str) -> bool:
    """Return whether a process has loaded a library."""
    return library in Path(f"/proc/{pid}/maps").read_text()


def cpu_seconds(pid: int, with_ended_children: bool = False) -> float:
    """Return the processor seconds that a process has taken, or 0 when there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11 : 15 if with_ended_children else 13])) / os.sysconf("SC_CLK_TCK")


def threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def held_open(pid: int) -> list[str]:
    """Return the paths that a process holds open, and words such as ``socket:[123]``."""
    held = []
    for link in os.listdir(f"/proc/{pid}/fd"):
        try:
            held.append(os.readlink(f"/proc/{pid}/fd/{link}"))
        except OSError:
            # The file was closed after the listing.
            continue
    return held


def open_files(pid: int, name: str) -> int:
    """Return how often a process holds a file of that name open."""
    return sum(path.endswith(name) for path in held_open(pid))


def ports(pid: int) -> list[int]:
    """Return the ports of this machine from which a process is connected over IPv4."""
    inodes = {held[len("socket:[") : -1] for held in held_open(pid) if held.startswith("socket:[")}
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [int(line[1].rpartition(":")[2], 16) for line in lines if line[9] in inodes]


def wait_for[T](look: Callable[[], T], seconds: float = 60, pause: float = 0.05) -> T:
    """Call ``look`` until its result is true; return the result. Fail when a call after ``seconds`` is in vain."""
    last = time.monotonic() + seconds
    while True:
        late = time.monotonic() > last
        if seen := look():
            return seen
        assert not late, f"nothing to see within {seconds} s"
        time.sleep(pause)


def hold_renderer(worker: int, seconds: float = 60) -> int:
    """Stop the next renderer of a worker in the middle of its document; return its pid."""

    def look() -> int:
        for pid in renderers(worker):
            try:
                os.kill(pid, signal.SIGSTOP)
            except ProcessLookupError:
                continue
            if state(pid) == "T":
                return pid
        return 0

    return wait_for(look, seconds, pause=0.001)


def has_taken(pid: int, number: signal.Signals) -> bool:
    """Whether a process has taken a signal, and waits again. Before that, a second signal would be lost."""
    status = Path(f"/proc/{pid}/status").read_text()
    masks = [int(mask, 16) for mask in re.findall(r"^(?:Sig|Shd)Pnd:\s*([0-9a-f]+)$", status, re.MULTILINE)]
    return state(pid) == "S" and not any(mask >> (number - 1) & 1 for mask in masks)


@contextmanager
def creeping(pid: int) -> Iterator[None]:
    """Let a stopped process run for a tenth of the time, so that its messages arrive before it ends."""
    enough = Event()

    def creep() -> None:
        while not enough.wait(0.09):
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.01)
            os.kill(pid, signal.SIGSTOP)

    with ThreadPoolExecutor(1) as pool:
        creeps = pool.submit(creep)
        try:
            yield
        finally:
            enough.set()
        creeps.result()


@contextmanager
def next_child_stopped(pid: int) -> Iterator[Callable[[], int]]:
    """Stop the next child of a process's fork server at its start; give a function that waits for the child's pid.

    The server must have loaded its libraries: programs that search for libraries are children of the server, too.
    """
    (server,) = fork_servers(pid)
    listed = Path(f"/proc/{server}/task/{server}/children")

    def stop() -> int:
        child = int(wait_for(lambda: listed.read_text().split(), pause=0)[0])
        os.kill(child, signal.SIGSTOP)
        return child

    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(stop).result


def memory(pid: int) -> int:
    """Return the resident memory of a process, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
