"""The checks at the start name settings that cannot work together, with advice, and accept all others."""

import runpy
from pathlib import Path

import pytest
from django.core.checks import run_checks
from pytest_django import Settings

from tests.environment import ROOT, SETTINGS
from tests.running import bare_environment, run_manage

SEVERAL = {
    "MACHINES": "2",
    "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1",
    "MEDIA_DIR": "/tmp",
    "SECRET_KEY": "x" * 60,
    "SITE_URL": "https://example.org",
    "ALLOWED_HOSTS": "example.org",
}
BUCKET = {"S3_BUCKET": "documents", "S3_REGION": "eu-west-1"}
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
        pytest.param(PUBLIC | {"DEBUG": "1"}, {"W001"}, id="a public site in debug mode"),
        pytest.param({"DEBUG": "1"}, set(), id="debug mode on this machine"),
        pytest.param({"METRICS_TOKEN": "guess-me"}, {"W002"}, id="a token that can be guessed"),
        pytest.param({"METRICS_TOKEN": "x" * 32}, set(), id="a token that cannot be guessed"),
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
READ += ("SITE_URL", "ALLOWED_HOSTS")


def test_a_start_with_wrong_settings_ends_with_the_error_and_advice(tmp_path: Path) -> None:
    done = run_manage(bare_environment(tmp_path) | {"DELIVERY": "link"}, "serve")
    assert done.returncode == 1
    assert "assessments.E006" in done.stderr
    assert "HINT: Set S3_BUCKET, or DELIVERY to stream or accel." in done.stderr
