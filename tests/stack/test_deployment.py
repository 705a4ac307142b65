"""The files of a deployment, given to the programs that read them. ``make check`` lints the other files."""

import json
import subprocess
import sys
from pathlib import Path

from tests.environment import ROOT
from tests.running import Site, free_port
from tests.servers import Nginx, found

DEPLOY = ROOT / "config" / "deploy"


def test_nginx_accepts_its_configuration_without_a_warning(tmp_path: Path) -> None:
    nginx = Nginx([free_port(), free_port()], tmp_path)
    command = [nginx.program, *nginx.arguments(), "-t"]
    said = subprocess.run(command, cwd=nginx.folder, capture_output=True, text=True, check=False)
    nginx.remove()
    assert said.returncode == 0, said.stderr
    assert "[warn]" not in said.stderr


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
