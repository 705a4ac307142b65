"""Settings from the environment. Each is read once, and a wrong value is named when the site starts."""

import os
import re
import secrets
import tempfile
import zoneinfo
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured


def env_text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def env_number(name: str, default: int, at_least: int = 1, at_most: int = 1_000_000_000) -> int:
    text = env_text(name, str(default))
    if not text.isdecimal() or not at_least <= int(text) <= at_most:
        raise ImproperlyConfigured(f"{name} is {text!r}; it must be a whole number from {at_least} to {at_most}.")
    return int(text)


def env_flag(name: str) -> bool:
    return env_choice(name, ["0", "1", "false", "true", "no", "yes", "off", "on"]) in {"1", "true", "yes", "on"}


def env_choice(name: str, choices: list[str]) -> str:
    """Return the one of the choices that is set; the default is the first choice."""
    text = env_text(name, choices[0])
    found = {choice.lower(): choice for choice in choices}.get(text.lower())
    if found is None:
        raise ImproperlyConfigured(f"{name} is {text!r}; it must be one of {', '.join(choices)}.")
    return found


def env_list(name: str, default: list[str]) -> list[str]:
    return [part.strip() for part in env_text(name).split(",") if part.strip()] or default


def env_time_zone(name: str, default: str) -> str:
    text = env_text(name, default)
    if text not in zoneinfo.available_timezones():
        raise ImproperlyConfigured(f"{name} is {text!r}; it must be a name such as Africa/Johannesburg.")
    return text


def env_language(name: str, default: str) -> str:
    text = env_text(name, default)
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}", text):
        raise ImproperlyConfigured(f"{name} is {text!r}; it must be the tag of a language, such as en, en-ZA or af.")
    return text


def env_url(name: str, default: str, schemes: set[str]) -> str:
    text = env_text(name, default)
    if text and urlsplit(text).scheme not in schemes:
        raise ImproperlyConfigured(f"{name} must be an address that starts with {' or '.join(sorted(schemes))}://.")
    return text


def generated_secret(path: Path) -> str:
    """Return the secret kept at ``path``; make it, readable by the owner alone, the first time."""
    if not path.exists():
        # Several processes may start at once. Each writes a file beside the path, then links it: exactly one link wins.
        handle, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(50))
        try:
            os.link(name, path)
        except FileExistsError:
            pass
        finally:
            os.unlink(name)
    return path.read_text().strip()
