"""Fixtures for tests in a browser."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from .running import Site


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("Chromium is not installed, so the pages were not tested in a browser.")
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    only_here = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--disable-quic"]
    # Playwright's default of five seconds is too short on a busy machine.
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-gpu", *quiet, *only_here]
        )


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Give a function that opens a page, signed in, with cookies of its own: ``open_page(site, "assessor", "/path/")``.

    Further options are those of Playwright's ``new_context``, such as ``java_script_enabled=False``. The test fails
    on an error in a script, and on anything that the content security policy blocks.
    """
    wrong: list[str] = []
    contexts = []

    def listen(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            wrong.append(message.text)

    def open_page(site: Site, username: str | None, path: str, **options: Any) -> Page:
        context = browser.new_context(base_url=site.url, **options)
        context.set_default_timeout(60_000)
        contexts.append(context)
        if username:
            context.add_cookies(
                [{"name": name, "value": value, "url": site.url} for name, value in site.cookies(username).items()]
            )
        page = context.new_page()
        page.on("console", listen)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong, wrong
