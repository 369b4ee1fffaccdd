"""One browser for all modules with tests in a browser: to start one takes two seconds."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser

from tests.console.windows import chromium

_HERE: Final = Path(__file__).parent

_open: Final[list[tuple[Browser, ExitStack]]] = []
"""The running browser, if one is."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules with a browser one after the other, behind the others of this folder."""
    places = [at for at, item in enumerate(items) if item.path.parent == _HERE]
    here = [items[at] for at in places]
    in_browser = {item.path for item in here if "browser" in _names(item)}
    here.sort(key=lambda item: item.path in in_browser)
    for at, item in zip(places, here, strict=True):
        items[at] = item


@pytest.fixture(scope="module")
def browser() -> Browser:
    """Headless, and shared: who looks has a window of their own (`windows.window`)."""
    if not _open:
        with ExitStack() as stack:
            launched = stack.enter_context(chromium())
            _open.append((launched, stack.pop_all()))
    return _open[0][0]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Ends the browser behind its last module: while it runs, so does an event loop in this thread,
    and tests with one of their own cannot."""
    try:
        return (yield)
    finally:
        is_of_browser = nextitem is not None and (
            nextitem.path == item.path or "browser" in _names(nextitem)
        )
        if _open and not is_of_browser:
            _, stack = _open.pop()
            stack.close()


def _names(item: pytest.Item) -> list[str]:
    return item.fixturenames if isinstance(item, pytest.Function) else []
