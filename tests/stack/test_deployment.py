"""What describes a deployment (image, compose file, unit) is held against the application. No image is built here."""

import configparser
import json
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands

from tests.environment import ROOT, SETTINGS
from tests.servers import NGINX_CONF

DEPLOY = ROOT / "config" / "deploy"
OURS = {name for name, app in get_commands().items() if app == "assessments"}
# What containers are told besides the settings.
OTHERS = {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}


@cache
def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions and what they say, with lines that go on put together."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def said(instruction: str) -> list[str]:
    return [rest for word, rest in instructions() if word == instruction]


@cache
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return content


def of_the_application() -> dict[str, dict[str, Any]]:
    return {name: service for name, service in compose()["services"].items() if service["image"] == "assessments"}


def test_the_image_copies_what_is_there_and_what_docker_is_given() -> None:
    given = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {source for rest in said("COPY") for source in rest.split()[:-1]}
    assert copied == given
    assert all((ROOT / source).exists() for source in copied)


def test_the_image_has_the_makefile_s_libraries_and_fonts() -> None:
    makefile = (ROOT / "Makefile").read_text()
    wanted = re.findall(r"^(?:LIBRARIES|FONTS) := (.+)$", makefile, re.MULTILINE)
    (installing,) = (rest for rest in said("RUN") if "apt-get install" in rest)
    installed = installing.partition("--no-install-recommends")[2].partition("&&")[0].split()
    assert installed == " ".join(wanted).split()


def test_the_image_has_a_python_that_the_makefile_would_take() -> None:
    versions = {re.fullmatch(r"python:3\.(\d+)-slim-bookworm(?: AS \w+)?", base)[1] for base in said("FROM")}  # type: ignore[index]
    (minor,) = versions
    assert f"python3.{minor}" in {
        f"python{each}" for each in re.findall(r"\b3\.\d+\b", (ROOT / "Makefile").read_text())
    }
    assert int(minor) >= 12


def test_the_image_runs_our_command_as_nobody_in_particular_and_has_its_folder() -> None:
    (command,), (entry,), (user,) = said("CMD"), said("ENTRYPOINT"), said("USER")
    assert json.loads(entry) == ["python", "manage.py"]
    assert json.loads(command)[0] in OURS
    assert user not in {"", "root", "0"}
    words = [word for word, _ in instructions()]
    assert words.index("USER") < words.index("HEALTHCHECK") < words.index("ENTRYPOINT")
    environment = dict(pair.split("=") for rest in said("ENV") for pair in shlex.split(rest))
    assert set(environment) <= {*SETTINGS, *OTHERS}
    assert said("VOLUME") == [environment["DATA_DIR"]]


@pytest.mark.parametrize(("answer", "code"), [("200 OK", 0), ("503 Service Unavailable", 1)])
def test_the_image_s_health_check_tells_a_web_that_serves_from_one_that_does_not(answer: str, code: int) -> None:
    (check,) = said("HEALTHCHECK")
    command = json.loads(check.partition("CMD")[2])
    assert command[0] == "python"
    door = (
        "import socket, subprocess, sys\n"
        "door = socket.create_server(('127.0.0.1', 0))\n"
        "asking = subprocess.Popen(sys.argv[2:], env={'PORT': str(door.getsockname()[1])}, stderr=subprocess.DEVNULL)\n"
        "caller, _ = door.accept()\n"
        "assert caller.recv(4096).startswith(b'GET /readyz ')\n"
        "caller.sendall(f'HTTP/1.1 {sys.argv[1]}\\r\\nContent-Length: 0\\r\\n\\r\\n'.encode())\n"
        "sys.exit(asking.wait())\n"
    )
    done = subprocess.run([sys.executable, "-c", door, answer, sys.executable, *command[1:]], check=False, timeout=30)
    assert done.returncode == code


def test_the_compose_file_runs_two_webs_four_workers_two_sweeps_and_what_they_need() -> None:
    services = compose()["services"]
    commands = {name: service["command"] for name, service in of_the_application().items()}
    assert {command[0] for command in commands.values()} <= OURS
    assert {name for name, command in commands.items() if command[0] == "web"} == {"web-1", "web-2"}
    assert (services["worker"]["deploy"]["replicas"], services["sweep"]["deploy"]["replicas"]) == (4, 2)
    assert services.keys() - commands.keys() == {"postgres", "redis", "nginx"}
    assert all(re.fullmatch(r"\w+:\d[\w.-]*", services[name]["image"]) for name in services.keys() - commands.keys())
    build = compose()["x-application"]["build"]
    assert (DEPLOY / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).exists()


def test_the_compose_file_s_containers_can_write_only_where_they_must() -> None:
    assert all(service["read_only"] for service in compose()["services"].values())
    for name, service in of_the_application().items():
        assert service["cap_drop"] == ["ALL"], name
        folders = {volume.rpartition(":")[2] for volume in service["volumes"]}
        data = service["environment"]["DATA_DIR"]
        assert folders == {data, f"{data}/{settings.WORK_ROOT.name}", "/tmp"}, name
    named = {volume.partition(":")[0] for each in compose()["services"].values() for volume in each.get("volumes", [])}
    assert {name for name in named if re.fullmatch(r"\w+", name)} == set(compose()["volumes"])
    assert all((DEPLOY / name).exists() for name in named if name.startswith("./"))


def test_the_compose_file_knows_our_settings_and_holds_no_secret() -> None:
    for service in compose()["services"].values():
        assert set(service.get("environment", {})) <= {*SETTINGS, *OTHERS}
        assert not [name for name in service.get("environment", {}) if "SECRET" in name or "PASSWORD" in name]
    assert all(service["env_file"] == ["secrets.env"] for service in of_the_application().values())
    assert "/config/deploy/secrets.env" in (ROOT / ".gitignore").read_text().split()


def test_nothing_of_the_compose_file_waits_for_a_health_that_is_never_told() -> None:
    services = compose()["services"]
    told_by_the_image = bool(said("HEALTHCHECK"))
    for service in services.values():
        for name, wait in service.get("depends_on", {}).items():
            check = services[name].get("healthcheck", {})
            if wait["condition"] == "service_healthy":
                assert "test" in check or (services[name]["image"] == "assessments" and told_by_the_image), name
                assert not check.get("disable"), name
            else:
                assert services[name]["restart"] == "no", name


def test_the_compose_file_s_nginx_finds_the_webs_and_may_read_their_files() -> None:
    services = compose()["services"]
    nginx, text = services["nginx"], NGINX_CONF.read_text()
    hosts = dict(pair.split(":") for pair in nginx["extra_hosts"])
    webs = {name: service["networks"]["default"]["ipv4_address"] for name, service in services.items() if "web" in name}
    assert hosts == webs
    (port,) = said("EXPOSE")
    assert re.findall(r"^    server (\S+) ", text, re.MULTILINE) == [f"{name}:{port}" for name in webs]
    (group,) = re.findall(r"--uid (\d+) --user-group", " ".join(said("RUN")))
    assert nginx["user"].rpartition(":")[2] == group
    (alias,) = re.findall(r"alias (\S+);", text)
    assert alias == f"{services['web-1']['environment']['DATA_DIR']}/media/"
    assert f"location {settings.ACCEL_PREFIX} {{" in text
    (listens,) = re.findall(r"^    listen (\d+);", text, re.MULTILINE)
    assert nginx["ports"] == [f"${{LISTEN:-127.0.0.1:8000}}:{listens}"]


def test_docker_itself_reads_the_compose_file_where_it_is_installed(tmp_path: Path) -> None:
    """Without Docker's compose this shows only that the file is YAML, as the other tests here do."""
    folder = tmp_path / "config" / "deploy"
    shutil.copytree(DEPLOY, folder)
    (folder / "secrets.env").write_text("SECRET_KEY=x\n")
    docker = shutil.which("docker") or "false"
    command = [docker, "compose", "--file", str(folder / "compose.yaml")]
    if subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0:
        read = subprocess.run([*command, "config", "--quiet"], capture_output=True, text=True, check=False)
        assert read.returncode == 0, read.stderr
    assert compose()["name"]


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=True, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(DEPLOY / "assessments.service")
    return parser


def test_the_unit_serves_and_gives_a_document_the_time_to_its_end() -> None:
    service = unit()["Service"]
    assert service["ExecStart"].split()[1:] == ["manage.py", "serve"]
    assert service["ExecStart"].startswith(service["WorkingDirectory"])
    assert service["Environment"].split()[0] == f"DATA_DIR=/var/lib/{service['StateDirectory']}"
    assert int(service["TimeoutStopSec"]) > settings.DOCUMENT_DEADLINE + 10
    # A signal to all would reach the children twice, and the second one does not wait.
    assert service["KillMode"] == "mixed"
    assert service["User"] not in {"", "root"}


def test_systemd_itself_has_nothing_to_say_about_the_unit_where_it_is_installed(tmp_path: Path) -> None:
    """Without systemd this shows only that no directive stands in a section that it does not belong to."""
    analyze = shutil.which("systemd-analyze")
    if analyze:
        # It looks for the program, which is not installed there.
        text = (DEPLOY / "assessments.service").read_text().replace("/opt/assessments/.venv/bin/python", sys.executable)
        (tmp_path / "assessments.service").write_text(text)
        said = subprocess.run(
            [analyze, "verify", tmp_path / "assessments.service"], capture_output=True, text=True, check=False
        )
        assert not [line for line in said.stderr.splitlines() if "assessments.service" in line], said.stderr
    assert set(unit()) == {"DEFAULT", "Unit", "Service", "Install"}
