"""What is shown here is shown on both databases."""

from pathlib import Path

import pytest

# Those that no database has a part in. On PostgreSQL they are left to `make security`.
OF_HTTP_ALONE = {
    Path(__file__).with_name(f"test_{name}.py") for name in ("access", "big_downloads", "headers", "sizes")
}


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path in OF_HTTP_ALONE and "postgresql" in item.name:
            item.add_marker("long")
