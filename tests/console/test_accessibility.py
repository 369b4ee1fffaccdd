"""Every room as axe-core sees it: no serious finding, in light and dark, on a desk and a phone.

What axe cannot see is in the other tests: keyboard paths, what a screen reader is told live.
"""

import os
import re
from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect

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
    "account/secrets",
    "account/history",
    "nothing-here",
)
LOOKS: Final = (("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390))
FINGER_PX: Final = 44
"""WCAG 2.5.5, target size (enhanced)."""

TOO_SMALL: Final = """(least) => [...document.querySelectorAll(
    "button, a.button, .input, select, .rooms a, .tabs a, .tick label"
)].filter((one) => {
    const box = one.getBoundingClientRect();
    return one.checkVisibility() && box.width > 1 && box.height < least;
}).map((one) => one.outerHTML.slice(0, 120))"""


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


@pytest.mark.parametrize("path", ["devices", "devices/{device}", "events", "account/apps"])
def test_on_a_phone_a_finger_hits_what_it_means(home: House, path: str) -> None:
    with window(home.browser, home.server, ADA) as page:
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(f"/console/{path.format(device=home.devices[0])}")
        assert page.get_by_role("button").count() > 2
        assert page.evaluate(TOO_SMALL, FINGER_PX) == []


def test_the_first_key_leads_past_the_bar_of_rooms(home: House) -> None:
    with window(home.browser, home.server, ADA) as page:
        page.goto("/console/devices")
        page.keyboard.press("Tab")
        skip = page.get_by_role("link", name="Skip to the content")
        expect(skip).to_be_focused()
        expect(skip).to_be_in_viewport()
        page.keyboard.press("Enter")
        expect(page.locator("#main")).to_be_focused()
        page.keyboard.press("Tab")
        expect(page.locator("#main :focus")).to_have_count(1)


def test_a_right_to_left_name_turns_itself_and_not_its_row(home: House) -> None:
    name = "مصباح الحديقة (٢)"
    path = f"/v1/devices/{home.devices[0]}"
    before = home.ada.get(path).json()["name"]
    assert home.ada.put(path, data={"name": name}).status_code == 200
    try:
        with window(home.browser, home.server, ADA) as page:
            page.goto("/console/devices")
            page.get_by_role("link", name=name).wait_for()
            lefts = page.evaluate(
                "[...document.querySelectorAll('#device-rows tbody tr')].map((row) =>"
                " [...row.querySelectorAll('.tick, .dot, .device-title a, td:last-child')]"
                ".map((one) => Math.round(one.getBoundingClientRect().left)))"
            )
            assert len(lefts) == len(home.devices) - 1
    finally:
        assert home.ada.put(path, data={"name": before}).status_code == 200
    assert all(row == sorted(row) for row in lefts), lefts


def test_where_the_system_forces_its_colors_the_focus_and_the_room_are_seen(home: House) -> None:
    with window(home.browser, home.server, ADA) as page:
        page.emulate_media(forced_colors="active")
        page.goto("/console/devices")
        page.keyboard.press("Tab")
        style = "getComputedStyle(document.activeElement)"
        assert page.evaluate(f"{style}.outlineStyle") == "solid"
        assert page.evaluate(f"{style}.outlineWidth") == "3px"
        here = "getComputedStyle(document.querySelector('.rooms a[aria-current]'))"
        assert page.evaluate(f"{here}.outlineStyle") == "solid"
