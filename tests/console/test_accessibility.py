"""Every room as axe-core sees it: no serious finding, in light and dark, on a desk and a phone.

What axe cannot see is in the other tests: keyboard paths, what a screen reader is told live.
"""

import os
import re
from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, Page

from tests.console.house import ADA, House, house
from tests.console.windows import window
from tests.docs.pages import ROOT as TREE
from tests.system.people import PASSWORD
from tests.system.processes import done

AXE: Final = TREE / "tests/compat/node_modules/axe-core/axe.min.js"
SERIOUS: Final = ("serious", "critical")
OPERATOR: Final = "root@example.com"

DOORS: Final = ("sign-in", "forgotten", "reset", "nothing-here")
ROOMS: Final = (
    "welcome",
    "devices",
    "devices?q=nothing-fits",
    "devices/transfers",
    "devices/{device}",
    "events",
    "events/history",
    "account",
    "account/security",
    "account/security/second-factor",
    "account/apps",
    "account/environment",
    "devices/{device}/environment",
    "account/ledgers",
    "account/history",
    "nothing-here",
)
LOOKS: Final = (("light", 1280), ("dark", 1280), ("light", 390))


@pytest.fixture(scope="module")
def axe() -> str:
    """Without it these tests are skipped, except in CI, where they fail."""
    if not AXE.exists():
        reason = "axe-core is not installed: `make test` installs it with npm."
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return AXE.read_text()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("axe"), browser, count=2) as made:
        data = made.server.data
        done("user", "add", OPERATOR, "--password", PASSWORD, "--operator", "--data", data)
        yield made


def findings(page: Page, axe: str, path: str) -> list[str]:
    """The serious ones of a page, in each look."""
    found = []
    for scheme, width in LOOKS:
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(f"/console/{path}")
        # Through the debugger, past the policy of the page, which lets no script in.
        page.evaluate(axe)
        result = page.evaluate("axe.run({resultTypes: ['violations']})")
        assert result["passes"], "axe has looked at nothing"
        found += [
            f"{path} {scheme} {width}: {one['id']}: {node['html'][:200]}"
            for one in result["violations"]
            if one["impact"] in SERIOUS
            for node in one["nodes"]
        ]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{path} {width}: wider than the window")
    return found


@pytest.mark.parametrize("path", DOORS)
def test_the_doors_have_no_serious_finding(home: House, axe: str, path: str) -> None:
    with window(home.browser, home.server) as page:
        assert findings(page, axe, path) == []


@pytest.mark.parametrize("path", ROOMS)
def test_the_rooms_have_no_serious_finding(home: House, axe: str, path: str) -> None:
    with window(home.browser, home.server, ADA) as page:
        assert findings(page, axe, path.format(device=home.devices[0])) == []


def test_the_operators_page_has_no_serious_finding(home: House, axe: str) -> None:
    with window(home.browser, home.server, OPERATOR) as page:
        assert findings(page, axe, "server") == []


def test_dialogs_have_no_serious_finding_and_close_by_keyboard(home: House, axe: str) -> None:
    with window(home.browser, home.server, ADA) as page:
        page.goto("/console/account/apps")
        page.get_by_role("button", name=re.compile("New client")).first.click()
        page.evaluate(axe)
        result = page.evaluate("axe.run(document.querySelector('dialog[open]'))")
        serious = [one["id"] for one in result["violations"] if one["impact"] in SERIOUS]
        assert serious == []
        page.keyboard.press("Escape")
        assert page.locator("dialog[open]").count() == 0


def test_with_reduced_motion_nothing_moves(home: House) -> None:
    with window(home.browser, home.server, ADA) as page:
        page.emulate_media(reduced_motion="reduce")
        page.goto("/console/devices")
        running = page.evaluate("document.getAnimations().length")
        assert running == 0
        page.emulate_media(reduced_motion="no-preference")
        page.goto("/console/devices")
        assert page.evaluate("document.getAnimations().length") > 0
