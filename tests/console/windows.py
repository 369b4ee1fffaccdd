"""Browser windows in which somebody is signed in. Whatever a page should not do fails its test."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect, sync_playwright

from tests.system.people import PASSWORD, HasApi

PATIENCE_MS: Final = 20_000
"""Generous for a busy machine."""

_cookies: dict[tuple[str, str], StorageState] = {}
"""Of who has signed in before: the tests of signing in do it by hand."""

_EXPECTED: Final = "Failed to load resource"
"""What Chromium says of each refusal; tests of refusals look at the page itself."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser, as Debian packages it."""
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("There is no chromium; scripts/test-tools installs it.")
    with sync_playwright() as playwright:
        # The sandbox needs rights that a container seldom has; what is shown is our own.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def window(
    browser: Browser, server: HasApi, username: str | None = None, password: str = PASSWORD
) -> Iterator[Page]:
    """A window of its own, with the cookies of nobody else; of a person who has signed in."""
    faults: list[str] = []
    known = (server.api_url, username or "")
    context = browser.new_context(
        base_url=server.api_url,
        viewport={"width": 1280, "height": 900},
        storage_state=_cookies.get(known),
    )
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(f"script: {error}"))
    page.on(
        "console",
        lambda said: (
            faults.append(f"{said.type}: {said.text}")
            if said.type in ("error", "warning") and _EXPECTED not in said.text
            else None
        ),
    )
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((server.api_url, "data:", "blob:"))
            else faults.append(f"elsewhere: {request.url}")
        ),
    )
    try:
        if username is not None and known not in _cookies:
            page.goto("/console/sign-in")
            page.get_by_label("E-mail address").fill(username)
            page.get_by_label("Password").fill(password)
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("navigation", name="Rooms").wait_for()
            _cookies[known] = context.storage_state()
        yield page
        assert faults == [], faults
    finally:
        context.close()
