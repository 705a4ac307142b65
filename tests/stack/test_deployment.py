"""The files of a deployment, given to the programs that read them. ``make check`` lints the other files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cast import YEAR
from tests.environment import ROOT
from tests.running import PATIENCE, Site, free_port
from tests.servers import Nginx, found

DEPLOY = ROOT / "config" / "deploy"


@pytest.mark.parametrize("certificate", [False, True])
def test_nginx_accepts_its_configuration_without_a_warning(tmp_path: Path, certificate: bool) -> None:
    nginx = Nginx([free_port(), free_port()], tmp_path, certificate=certificate)
    command = [nginx.program, *nginx.arguments(), "-t"]
    said = subprocess.run(command, cwd=nginx.folder, capture_output=True, text=True, check=False)
    nginx.remove()
    assert said.returncode == 0, said.stderr
    # Newer versions of nginx prefer another line for HTTP/2, which older versions do not know.
    assert not [line for line in said.stderr.splitlines() if "[warn]" in line and "http2" not in line]


def test_nginx_speaks_http_2_with_a_certificate_and_sends_plain_visitors_there(site: Site, tmp_path: Path) -> None:
    curl = found("curl", "curl")
    if "HTTP2" not in subprocess.run([curl, "--version"], capture_output=True, text=True, check=True).stdout.split():
        pytest.skip("This curl knows no HTTP/2, so HTTP/2 was not tested.")
    nginx = Nginx([site.port, site.port], tmp_path, certificate=True)

    def fetch(url: str, *options: str) -> list[str]:
        command = [curl, "--silent", "--cacert", nginx.certificate, "--output", tmp_path / "page", *options]
        command += ["--write-out", "%{http_version} %{response_code} %{redirect_url}", url]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
        return done.stdout.split()

    try:
        nginx.start()
        assert nginx.url.startswith("https://")
        assert fetch(f"{nginx.url}/login/", "--http2") == ["2", "200"]
        assert "Sign in" in (tmp_path / "page").read_text()
        assert fetch(f"{nginx.url}/login/", "--http1.1") == ["1.1", "200"]
        assert fetch(f"http://127.0.0.1:{nginx.plain_port}/login/?a=b") == [
            "1.1",
            "301",
            "https://127.0.0.1/login/?a=b",
        ]
        # A stream comes over the same protocol, event by event; curl ends it by the time limit.
        session = f"sessionid={site.sessions['assessor']}"
        events = f"{nginx.url}/assessments/ASM-{YEAR}-001/events/"
        assert fetch(events, "--http2", "--no-buffer", "--max-time", "3", "--cookie", session) == ["2", "200"]
        assert "event:" in (tmp_path / "page").read_text()
        # Neither the question before each request nor the address that answers it is there for visitors.
        assert [fetch(f"{nginx.url}{path}")[1] for path in ("/_alive", "/livez", "/metrics")] == ["404"] * 3
    finally:
        nginx.remove()


def test_systemd_accepts_the_unit_without_a_warning(tmp_path: Path) -> None:
    analyze = found("systemd-analyze", "systemd")
    unit = tmp_path / "assessments.service"
    # systemd-analyze checks that the program exists, and the program is not installed in that folder.
    text = (DEPLOY / unit.name).read_text()
    unit.write_text(text.replace("/opt/assessments/.venv/bin/python", sys.executable))
    said = subprocess.run([analyze, "verify", unit], capture_output=True, text=True, check=False)
    assert not [line for line in said.stderr.splitlines() if unit.name in line]


def test_the_health_check_of_the_image_succeeds_only_when_a_site_serves(site: Site) -> None:
    (line,) = (line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if line.startswith("    CMD "))
    command = [sys.executable, *json.loads(line.removeprefix("    CMD "))[1:]]
    for port, code in (site.port, 0), (free_port(), 1):
        done = subprocess.run(command, env={"PORT": str(port)}, stderr=subprocess.DEVNULL, check=False, timeout=30)
        assert done.returncode == code
