"""The checks at the start name settings that cannot work together, with advice, and accept all others."""

import runpy
from itertools import product
from pathlib import Path

import pytest
from django.core.checks import run_checks
from pytest_django import Settings

from tests import staging
from tests.environment import ROOT, SETTINGS
from tests.running import bare_environment, run_manage

SEVERAL = {
    "MACHINES": "2",
    "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1",
    "MEDIA_DIR": "/tmp",
    "SECRET_KEY": "0c8d4f1a9e7b3625" * 4,
    "SITE_URL": "https://example.org",
    "ALLOWED_HOSTS": "example.org",
}
BUCKET = {"S3_BUCKET": "documents", "S3_REGION": "eu-west-1"}
MAIL = {"EMAIL_HOST": "mail.example.org", "DEFAULT_FROM_EMAIL": "Office <office@example.org>"}
PUBLIC = {"ALLOWED_HOSTS": "example.org", "SITE_URL": "https://example.org"}


def without(name: str) -> dict[str, str]:
    return {each: value for each, value in SEVERAL.items() if each != name}


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        pytest.param({}, set(), id="nothing is set"),
        pytest.param(SEVERAL, set(), id="several machines"),
        pytest.param(without("MEDIA_DIR") | BUCKET, set(), id="several machines on a bucket"),
        pytest.param(without("DATABASE_URL"), {"E001"}, id="several machines on SQLite"),
        pytest.param(without("REDIS_URL"), {"E002"}, id="several machines without Redis"),
        pytest.param(without("MEDIA_DIR"), {"E003"}, id="several machines without a place for files"),
        pytest.param(without("SECRET_KEY"), {"E004"}, id="several machines, each with a key of its own"),
        pytest.param(without("SITE_URL"), {"E005", "W003", "W004"}, id="several machines, each with its own address"),
        pytest.param({"MACHINES": "2"}, {"E001", "E002", "E003", "E004", "E005"}, id="several machines, nothing else"),
        pytest.param({"DELIVERY": "link"}, {"E006"}, id="links without a bucket"),
        pytest.param({"DELIVERY": "link"} | BUCKET, set(), id="links to a bucket"),
        pytest.param({"DELIVERY": "accel"} | BUCKET, {"E007"}, id="nginx is to send what is in a bucket"),
        pytest.param({"DELIVERY": "accel"}, set(), id="nginx is to send what is in a folder"),
        pytest.param(PUBLIC, set(), id="a public site"),
        pytest.param(PUBLIC | {"DEBUG": "1"}, {"E011"}, id="a public site in debug mode"),
        pytest.param({"DEBUG": "1"}, set(), id="debug mode on this machine"),
        pytest.param(PUBLIC | {"METRICS_TOKEN": "guess-me"}, {"E012"}, id="a short token"),
        pytest.param(PUBLIC | {"METRICS_TOKEN": "x" * 32}, {"E012"}, id="a token of one letter"),
        pytest.param(PUBLIC | {"METRICS_TOKEN": "0c8d4f1a9e7b36250c8d"}, set(), id="a token that cannot be guessed"),
        pytest.param(
            PUBLIC | {"METRICS_TOKEN": "changeme-changeme-changeme"}, {"E012"}, id="a token that repeats itself"
        ),
        pytest.param(PUBLIC | {"SECRET_KEY": "change-me"}, {"E013"}, id="a key that can be guessed"),
        pytest.param(PUBLIC | {"SECRET_KEY": "secret-" * 9}, {"E013"}, id="a key that repeats itself"),
        pytest.param(
            PUBLIC | {"SECRET_KEY": "django-insecure-k0c8d4f1a9e7b36250c8d"}, {"E013"}, id="a key for development"
        ),
        pytest.param(MAIL, set(), id="a mail server"),
        pytest.param(MAIL | {"EMAIL_USE_SSL": "1"}, set(), id="implicit TLS on its usual port"),
        pytest.param(MAIL | {"EMAIL_USE_TLS": "1", "EMAIL_PORT": "587"}, set(), id="STARTTLS"),
        pytest.param(MAIL | {"EMAIL_USE_SSL": "1", "EMAIL_USE_TLS": "1"}, {"E015"}, id="both kinds of TLS"),
        pytest.param(MAIL | {"EMAIL_PORT": "465"}, {"E016"}, id="no TLS on the port of implicit TLS"),
        pytest.param(MAIL | {"EMAIL_PORT": "465", "EMAIL_USE_TLS": "1"}, {"E016"}, id="STARTTLS on that port"),
        pytest.param(MAIL | {"EMAIL_PORT": "587", "EMAIL_USE_SSL": "1"}, {"E017"}, id="implicit TLS on another port"),
        pytest.param(MAIL | {"EMAIL_HOST_USER": "office"}, {"E018"}, id="a mail user without a password"),
        pytest.param(MAIL | {"EMAIL_HOST_PASSWORD": "x"}, {"E018"}, id="a mail password without a user"),
        pytest.param({"EMAIL_HOST_USER": "office"}, {"E014"}, id="a mail user without a server"),
        pytest.param({"EMAIL_USE_TLS": "0", "EMAIL_PORT": "587"}, set(), id="a port and no server"),
        pytest.param({"EMAIL_HOST": "mail.example.org"}, {"W005"}, id="a mail server and no sender"),
        pytest.param(MAIL | {"DEFAULT_FROM_EMAIL": "Office <office>"}, {"W005"}, id="a sender without a domain"),
        pytest.param({"DEFAULT_FROM_EMAIL": "documents@localhost"}, set(), id="mails that become files"),
        pytest.param(PUBLIC | {"SITE_URL": "http://example.org"}, {"W003"}, id="links without HTTPS"),
        pytest.param(PUBLIC | {"SITE_URL": "https://example.com"}, {"W004"}, id="links to a name that is refused"),
    ],
)
@pytest.mark.django_db
@pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")
def test_only_settings_that_cannot_work_together_are_named(
    environment: dict[str, str], found: set[str], tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"DATA_DIR": str(tmp_path)} | environment).items():
        monkeypatch.setenv(name, value)
    made = runpy.run_path(str(ROOT / "config" / "settings.py"))
    for name in READ:
        setattr(settings, name, made[name])
    messages = run_checks()
    assert {message.id for message in messages} == {f"assessments.{each}" for each in found}
    assert all(message.hint for message in messages)


# The settings that the checks read.
READ = ("MACHINES", "DATABASES", "REDIS_URL", "S3_BUCKET", "DELIVERY", "METRICS_TOKEN", "ON_LOOPBACK", "DEBUG")
READ += ("SITE_URL", "ALLOWED_HOSTS", "MAILERS", "DEFAULT_FROM_EMAIL", "SECRET_KEY")


def test_a_start_with_wrong_settings_ends_with_the_error_and_advice(tmp_path: Path) -> None:
    done = run_manage(bare_environment(tmp_path) | {"DELIVERY": "link"}, "serve")
    assert done.returncode == 1
    assert "assessments.E006" in done.stderr
    assert "HINT: Set S3_BUCKET, or DELIVERY to stream or accel." in done.stderr


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (PUBLIC | {"DEBUG": "1"}, "DEBUG"),
        (PUBLIC | {"METRICS_TOKEN": "guess-me"}, "METRICS_TOKEN"),
        (MAIL | {"EMAIL_PORT": "465"}, "EMAIL_USE_SSL"),
    ],
)
def test_a_dangerous_or_a_wrong_setting_is_refused_by_every_command_that_serves(
    wrong: dict[str, str], named: str, tmp_path: Path
) -> None:
    for command in ("serve", "web", "worker", "sweep", "prepare"):
        done = staging.manage(bare_environment(tmp_path) | wrong, command)
        assert done.returncode == 1
        assert named in done.stderr


def test_debug_mode_is_not_served_to_other_machines(tmp_path: Path) -> None:
    """The caller chooses the Host header, so ALLOWED_HOSTS does not keep a caller out."""
    environment = bare_environment(tmp_path) | {"DEBUG": "1"}
    assert staging.manage(environment, "prepare").returncode == 0
    for command, bind in product(["serve", "web"], ["0.0.0.0", "::", "192.0.2.1"]):
        done = staging.manage(environment, command, "--bind", bind)
        assert done.returncode == 2
        assert f"DEBUG is on, so the site may not listen on {bind}" in done.stderr
