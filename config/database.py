"""The configuration of the database."""

from pathlib import Path
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from config.environment import env_text


def database(data_dir: Path, lock_timeout: int, idle_timeout: int) -> Any:
    """Return the entry of DATABASES; both timeouts are in seconds, and hold on PostgreSQL alone."""
    try:
        found: Any = dj_database_url.parse(env_text("DATABASE_URL", f"sqlite:///{data_dir / 'db.sqlite3'}"))
    except ValueError as error:
        raise ImproperlyConfigured(f"DATABASE_URL is not a database address: {error}.") from error
    if found["ENGINE"].endswith("sqlite3"):
        # Without IMMEDIATE, two writers that both began by reading lock each other out.
        found["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        }
        found["TEST"] = {"NAME": str(data_dir / "test.sqlite3")}
    elif found["ENGINE"].endswith("postgresql"):
        options = found.setdefault("OPTIONS", {})
        # Compiling a statement took .2 s; the statements here take milliseconds.
        options["options"] = (
            f"-c jit=off -c lock_timeout={lock_timeout}s -c idle_in_transaction_session_timeout={idle_timeout}s "
            + options.get("options", "")
        )
        # Seconds, and milliseconds, after which a silent server is taken for a dead one. The plans of statements are
        # kept, because planning took most of the processor time of PostgreSQL.
        options |= {"connect_timeout": 5, "tcp_user_timeout": 10_000, "server_side_binding": True}
        options["prepare_threshold"] = 2
    return found
