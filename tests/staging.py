"""Commands of ``manage.py`` in a site's environment, at a third of their processor time.

One server process for each test run has imported the libraries, and nothing that reads settings. The server forks for
each command. The fork takes the site's environment and sets Django up: its settings and models are the site's.
The fork of a command that is waited for ends at once, without what a process does at its end. A test of the start, the
end, signals or the encoding of the output needs ``run_manage``.
"""

import importlib
import json
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from assessments.processes import die_with_parent

ROOT = Path(__file__).resolve().parent.parent
# These libraries take long to import, and read no settings.
LIBRARIES = (
    "PIL.ImageCms PIL.ImageDraw dj_database_url django.core.management.commands.shell django.db.backends.sqlite3.base "
    "django.db.models django.forms django.tasks django.test django.views.i18n django_stubs_ext gripcontrol msgspec "
    "pillow_heif prometheus_client psycopg pythonjsonlogger"
)


def run(environment: dict[str, str], code: str) -> subprocess.CompletedProcess[str]:
    """Run Python with a site's models at hand, in a process of its own with the environment of the site."""
    return manage(environment, "shell", "--verbosity", "0", "--command", code)


def manage(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a management command in a process of its own with the environment of the site."""
    with asked(environment, arguments) as connection:
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    command = ["manage.py", *arguments]
    assert answer, f"the process that ran this ended without a word:\n{' '.join(command)}"
    return subprocess.CompletedProcess(command, *json.loads(answer))


def asked(environment: dict[str, str], arguments: Sequence[str], log: Path | None = None) -> socket.socket:
    """Ask the server for a command, and return the connection on which it answers."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(120)
    _, address = server()
    connection.connect(address)
    connection.sendall(json.dumps([environment, arguments, log and str(log)]).encode())
    connection.shutdown(socket.SHUT_WR)
    return connection


class Process:
    """A management command that runs on, with the methods of a Popen. Its output goes to the end of a log."""

    def __init__(self, environment: dict[str, str], arguments: Sequence[str], log: Path) -> None:
        self.args = ["manage.py", *arguments]
        self.connection = asked(environment, arguments, log)
        self.pid = int(self.connection.recv(16))
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self.connection], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = int(self.connection.recv(16))
            self.connection.close()
        return self.returncode

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@cache
def server() -> tuple["subprocess.Popen[bytes]", bytes]:
    """Start the server; return it, and the address that it listens at. The server ends with this process."""
    with socket.socket(socket.AF_UNIX) as listener:
        # The kernel chooses the address.
        listener.bind("")
        listener.listen(16)
        # When this process ends, the server's standard input ends, and so does the server.
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.staging", str(listener.fileno())],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
        )
        return process, listener.getsockname()


def serve(listener: socket.socket) -> None:
    parent = os.getpid()
    for library in LIBRARIES.split():
        importlib.import_module(library)
    # The server does not wait for its forks.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(0, selectors.EVENT_READ)
        while all(key.fileobj == listener for key, _ in selector.select()):
            connection, _ = listener.accept()
            if not os.fork():
                die_with_parent(parent)
                answer(connection)
            connection.close()


def answer(connection: socket.socket) -> None:
    """Run the command that was sent, send back its exit code and output, and end this process."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    environment, arguments, log = json.loads(b"".join(iter(lambda: connection.recv(65536), b"")))
    os.environ.clear()
    os.environ |= environment
    sys.argv = ["manage.py", *arguments]
    if log:
        run_on(connection, log)
    outputs = [tempfile.TemporaryFile() for _ in range(2)]  # noqa: SIM115
    for number, output in enumerate(outputs, start=1):
        os.dup2(output.fileno(), number)
    returncode = 0
    try:
        importlib.import_module("manage").main()
    except SystemExit as end:
        returncode = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        returncode = 1
    sys.stdout.flush()
    sys.stderr.flush()
    for output in outputs:
        output.seek(0)
    connection.sendall(json.dumps([returncode, *(output.read().decode() for output in outputs)]).encode())
    os._exit(0)


def run_on(connection: socket.socket, log: str) -> None:
    """Go on as a command of its own in a copy of this process; send its pid, and at its end its exit code."""
    starter = os.getpid()
    if pid := os.fork():
        connection.sendall(b"%d" % pid)
        _, status = os.waitpid(pid, 0)
        connection.sendall(b"%d" % os.waitstatus_to_exitcode(status))
        os._exit(0)
    connection.close()
    die_with_parent(starter)
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    for number in (1, 2):
        os.dup2(output, number)
    os.close(output)
    importlib.import_module("manage").main()
    sys.exit()


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
