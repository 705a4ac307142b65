"""Commands of ``manage.py`` in a site's environment, at a third of their processor time.

One server process for each test run has imported the libraries, and nothing that reads settings. The server forks for
each command. The fork takes the site's environment and sets Django up: its settings and models are the site's.
The fork ends at once, without what a process does at its end. A test of the start, the end, signals or the encoding of
the output needs ``run_manage``.
"""

import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
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
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(120)
        _, address = server()
        connection.connect(address)
        connection.sendall(json.dumps([environment, arguments]).encode())
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    command = ["manage.py", *arguments]
    assert answer, f"the process that ran this ended without a word:\n{' '.join(command)}"
    return subprocess.CompletedProcess(command, *json.loads(answer))


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
    environment, arguments = json.loads(b"".join(iter(lambda: connection.recv(65536), b"")))
    os.environ.clear()
    os.environ |= environment
    sys.argv = ["manage.py", *arguments]
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


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
