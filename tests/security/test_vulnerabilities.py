"""What the check of the packages says: of a hole, of none, and of a service that does not answer."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.running import ROOT, free_port

Answer = Callable[[str], tuple[int, dict[str, Any]]]


def hole(package: str, *fixed: str) -> dict[str, Any]:
    """A hole of a package, as the service describes it."""
    events = [{"introduced": "0"}, *({"fixed": version} for version in fixed)]
    affected = {"package": {"name": package, "ecosystem": "PyPI"}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    return {"id": "PYSEC-2026-1", "summary": "A hole.", "affected": [affected]}


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], str]]:
    """Start a service of known holes on this machine: ``serve(answer)`` gives its address."""
    servers = []

    def start(answer: Answer) -> str:
        class Service(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, found = answer(question["package"]["name"])
                body = json.dumps(found).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *about: object) -> None:
                """Not told: it is the check's output that counts."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def check(address: str) -> subprocess.CompletedProcess[str]:
    here = {"PIP_AUDIT_VULNERABILITY_SERVICE": "osv", "PIP_AUDIT_OSV_URL": address, "no_proxy": "127.0.0.1"}
    return subprocess.run(
        [sys.executable, "-m", "tests.vulnerabilities"],
        cwd=ROOT,
        env=os.environ | here,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_no_known_hole_is_nothing_to_say(serve: Callable[[Answer], str]) -> None:
    done = check(serve(lambda package: (200, {})))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_hole_that_a_newer_version_mends_fails_the_check(serve: Callable[[Answer], str]) -> None:
    done = check(serve(lambda package: (200, {"vulns": [hole(package, "99.1")]} if package == "pillow" else {})))
    assert done.returncode == 1
    assert "pillow" in done.stdout
    assert "PYSEC-2026-1: mended in 99.1" in done.stdout


def test_a_hole_that_nothing_mends_yet_is_said_and_fails_nothing(serve: Callable[[Answer], str]) -> None:
    done = check(serve(lambda package: (200, {"vulns": [hole(package)]} if package == "pillow" else {})))
    assert done.returncode == 0
    assert "PYSEC-2026-1: no version mends it yet" in done.stdout


def test_a_service_that_does_not_answer_is_said_aloud_in_one_line() -> None:
    done = check(f"http://127.0.0.1:{free_port()}/")
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line == "WARNING: the packages were NOT checked for known vulnerabilities: the service does not answer."


def test_a_service_that_is_out_of_order_is_said_aloud_in_one_line(serve: Callable[[Answer], str]) -> None:
    done = check(serve(lambda package: (503, {})))
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert "NOT checked" in line
