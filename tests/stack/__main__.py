"""``make stack``: the site with demo data on several machines, all of them this one, until Ctrl-C."""

import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

import pytest
from rich.console import Console
from rich.table import Table

from tests.running import bare_environment, run_manage

from . import Stack

# Seconds between two checks that everything runs.
LOOK = 0.5
# Seconds that a document may take to its end; a second Ctrl-C does not wait for the end.
PATIENCE = 620.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    port = os.environ.get("PORT", "").strip() or "8000"
    if not port.isdecimal() or not 1 <= int(port) <= 65535:
        return complain(f"PORT is {port!r}; it must be a whole number from 1 to 65535.")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", int(port))) == 0:
            return complain(f"Something answers on port {port} already. Choose another: PORT=8001 make stack")
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="stack-") as folder:
        # Other users may enter the folder, and all temporary files are made in it.
        os.chmod(folder, 0o755)
        tempfile.tempdir = folder
        stack = Stack(Path(folder), prepare_demo, int(port))
        try:
            return run(stack)
        except KeyboardInterrupt:
            return 0
        except pytest.skip.Exception as missing:
            return complain(str(missing))
        finally:
            end(stack)


def run(stack: Stack) -> int:
    parent = os.getppid()
    print("Starting PostgreSQL, Redis, two machines and nginx; this takes half a minute ...", flush=True)
    stack.start()
    table = Table("", "pid", "port", box=None)
    for name, pid, port in stack.processes():
        table.add_row(name, str(pid), str(port or ""))
    Console().print(table)
    print(f"{stack.url}  (Ctrl-C ends it; the logs are in {stack.folder})", flush=True)
    # The parent process may end without a signal.
    while os.getppid() == parent:
        if gone := stack.ended():
            return complain(f"{', '.join(gone)} ended, and so does the rest.")
        time.sleep(LOOK)
    return 0


def end(stack: Stack) -> None:
    """End the stack after the running documents, or at once on a second signal."""

    def hurry(number: int, frame: FrameType | None) -> None:
        stack.hurry()

    for number in SIGNALS:
        signal.signal(number, hurry)
    print("Ending; a document that is being made is finished first (ask again to end at once)", flush=True)
    stack.stop(PATIENCE)


def prepare_demo(data_dir: Path, **environment: str) -> Path:
    data_dir.mkdir()
    if password := os.environ.get("DEMO_PASSWORD"):
        environment["DEMO_PASSWORD"] = password
    prepared = run_manage(bare_environment(data_dir) | environment, "prepare", "--demo")
    if prepared.returncode:
        sys.exit(complain(prepared.stderr))
    print(prepared.stdout, flush=True)
    # Nobody is signed in.
    (data_dir / "sessions.json").write_text("{}")
    return data_dir


def complain(reason: str) -> int:
    print(reason, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
