"""The configuration of outgoing mail."""

from pathlib import Path
from typing import Any

from config.environment import env_flag, env_number, env_text


def mailer(data_dir: Path) -> dict[str, Any]:
    """Return the entry of MAILERS. assessments/operations/checks.py names options that cannot work together."""
    host = env_text("EMAIL_HOST")
    # TLS from the first byte has a port of its own. EMAIL_USE_TLS is STARTTLS, on the port of plain mail.
    use_ssl = env_flag("EMAIL_USE_SSL")
    options = {
        "host": host,
        "port": env_number("EMAIL_PORT", 465 if use_ssl else 25, at_most=65535),
        "username": env_text("EMAIL_HOST_USER"),
        "password": env_text("EMAIL_HOST_PASSWORD"),
        "use_tls": env_flag("EMAIL_USE_TLS"),
        "use_ssl": use_ssl,
        "timeout": env_number("EMAIL_TIMEOUT", 20),
    }
    if host:
        return {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": options}
    # Without a mail server, mails are files: no mail is lost, and no mail is sent by accident.
    folder = str(data_dir / "mail")
    return {"BACKEND": "django.core.mail.backends.filebased.EmailBackend", "OPTIONS": {"file_path": folder}}
