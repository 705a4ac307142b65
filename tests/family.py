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
    """Also those that have ended and were not waited for yet."""
    found: list[int] = []
    # Some tests ask a thousand times a second, so this looks at no other process.
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, listed.read_text().split())
        except OSError:
            continue
    return sorted(found)


def parent(pid: int) -> int:
    """The pid of a process's parent, or 0."""
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
    """The kernel's letter for a process: R, S, D, T (stopped), Z (ended, not yet waited for), or X when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def running(pid: int) -> bool:
    return state(pid) not in "ZX"


def named(parent: int, name: str) -> list[int]:
    """The children of ``serve`` that run one of our commands: web, worker, sweep."""
    return [pid for pid in children(parent) if process_name(pid) == name]


def process_name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def renderers(worker: int) -> list[int]:
    """The disposable children of a worker, in which generators run: forks of its fork server that went to the back."""
    return [pid for server in fork_servers(worker) for pid in children(server) if niceness(pid) > niceness(server)]


def fork_servers(pid: int) -> list[int]:
    return [child for child in children(pid) if "forkserver" in command(child)]


def niceness(pid: int) -> int:
    try:
        return os.getpriority(os.PRIO_PROCESS, pid)
    except ProcessLookupError:
        return 0


def ignores(pid: int, number: signal.Signals) -> bool:
    """Whether a process takes no notice of a signal."""
    ignored = re.search(r"^SigIgn:\s*([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return ignored is not None and bool(int(ignored[1], 16) >> (number - 1) & 1)


def maps(pid: int, library: str) -> bool:
    """Whether a process has loaded a library."""
    return library in Path(f"/proc/{pid}/maps").read_text()


def threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def held_open(pid: int) -> list[str]:
    """What a process holds open: paths, and words such as ``socket:[123]``."""
    held = []
    for link in os.listdir(f"/proc/{pid}/fd"):
        try:
            held.append(os.readlink(f"/proc/{pid}/fd/{link}"))
        except OSError:
            # Closed since it was listed.
            continue
    return held


def open_files(pid: int, name: str) -> int:
    """How often a process holds a file of that name open."""
    return sum(path.endswith(name) for path in held_open(pid))


def ports(pid: int) -> list[int]:
    """The ports of this machine from which a process is connected over IPv4."""
    inodes = {held[len("socket:[") : -1] for held in held_open(pid) if held.startswith("socket:[")}
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [int(line[1].rpartition(":")[2], 16) for line in lines if line[9] in inodes]


def wait_for[T](look: Callable[[], T], seconds: float = 60, pause: float = 0.05) -> T:
    """Look until there is something to see. Fails when a look that began after the time sees nothing."""
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
    """Let a stopped process run for a tenth of the time: what it says is heard before it has come to its end."""
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
    """Stop the next child of a process's fork server at its start; give a function that waits for it, for its pid.

    The server must have loaded its libraries: meanwhile it also runs programs that look for these.
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
    """The resident memory of a process, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
