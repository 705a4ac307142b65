"""The ids in each line of the log, in any thread or task, and the settings of the log."""

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async

from assessments.live.threads import in_own_thread, in_stream_thread
from assessments.logs import ObjectFormatter, SubjectFilter, about
from tests import staging
from tests.running import bare_environment, run_manage

logger = logging.getLogger("test")


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, object]] = []
        self.setFormatter(ObjectFormatter())
        self.addFilter(SubjectFilter())

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))


@pytest.fixture
def lines() -> Iterator[list[dict[str, object]]]:
    handler = Lines()
    logger.addHandler(handler)
    yield handler.lines
    logger.removeHandler(handler)


def test_a_line_has_the_ids_of_all_blocks_that_it_is_in(lines: list[dict[str, object]]) -> None:
    with about(request_id="12345678"):
        with about(assessment="ASM-2026-001", attempt="0a1b2c3d"):
            logger.warning("within")
        logger.warning("between")
    logger.warning("without")
    ids = [{name: line[name] for name in ("request_id", "assessment", "attempt") if name in line} for line in lines]
    assert ids == [
        {"request_id": "12345678", "assessment": "ASM-2026-001", "attempt": "0a1b2c3d"},
        {"request_id": "12345678"},
        {},
    ]


def test_requests_at_the_same_time_keep_their_ids_apart_in_every_thread(lines: list[dict[str, object]]) -> None:
    async def request(request_id: str) -> None:
        with about(request_id=request_id):
            for run in (sync_to_async(logger.warning), *both):
                await asyncio.sleep(0.01)
                await run(request_id)

    async def all_requests() -> None:
        await asyncio.gather(*(request(f"request-{number}") for number in range(5)))

    both = [
        lambda text: in_stream_thread(logger.warning, text),
        lambda text: in_own_thread(logger.warning, text),
    ]
    asyncio.run(all_requests())
    assert len(lines) == 15
    assert all(line["request_id"] == line["message"] for line in lines)


def test_a_line_has_the_known_fields_of_a_record_alone(lines: list[dict[str, object]]) -> None:
    try:
        raise ValueError("it broke")
    except ValueError:
        logger.exception("Seen: %s", "a\nb", extra={"request": "<GET /?q=private>", "status": 500})
    [line] = lines
    assert "private" not in json.dumps(line)
    assert {name: line[name] for name in ("level", "logger", "message", "status")} == {
        "level": "ERROR",
        "logger": "test",
        "message": "Seen: a\nb",
        "status": 500,
    }
    assert str(line["exception"]).endswith("ValueError: it broke")


def test_the_library_of_sentry_is_loaded_only_with_an_address_of_sentry(tmp_path: Path) -> None:
    code = "import sys; print('sentry_sdk' in sys.modules)"
    for dsn, loaded in {"": "False", "http://public@127.0.0.1:1/1": "True"}.items():
        environment = bare_environment(tmp_path) | {"SENTRY_DSN": dsn}
        assert staging.run(environment, code).stdout.strip() == loaded


@pytest.mark.parametrize(
    ("name", "value"), [("LOG_FORMAT", "xml"), ("SENTRY_DSN", "nonsense"), ("SENTRY_DSN", "http://example.org")]
)
def test_a_bad_setting_of_the_log_is_reported_in_one_line(name: str, value: str, tmp_path: Path) -> None:
    done = run_manage(bare_environment(tmp_path) | {name: value}, "check")
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith(f"Cannot start: {name}")
