"""Pages that stay open while the world goes on: the server restarts, the session ends elsewhere,
the device changes hands."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.console.house import ADA, House, house
from tests.console.windows import window
from tests.system.people import PASSWORD


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[House]:
    options = ("--rate", "1")
    with house(tmp_path_factory.mktemp("streams"), browser, count=3, simulator=options) as made:
        yield made


def test_a_page_says_that_it_is_not_live_and_comes_back_by_itself(home: House) -> None:
    with window(home.browser, home.server, ADA) as page:
        page.goto(f"/console/devices/{home.devices[0]}")
        page.evaluate("window.isTheSamePage = true")
        log = page.locator("#events li.event")
        expect(log.first).to_be_visible()
        home.server.stop()
        expect(page.get_by_text("This page is not live")).to_be_visible()
        before = log.first.inner_text()
        home.server.start()
        expect(page.get_by_text("This page is not live")).to_be_hidden(timeout=60_000)
        expect(log.first).not_to_have_text(before, timeout=60_000)
        assert page.evaluate("window.isTheSamePage") is True


def test_a_session_that_ends_elsewhere_takes_the_page_out_of_sight(home: House) -> None:
    with window(home.browser, home.server, ADA) as here, window(home.browser, home.server) as there:
        there.goto("/console/sign-in")
        there.get_by_label("E-mail address").fill(ADA)
        there.get_by_label("Password").fill(PASSWORD)
        there.get_by_role("button", name="Sign in").click()
        there.get_by_role("navigation", name="Rooms").wait_for()
        there.goto(f"/console/devices/{home.devices[0]}")
        expect(there.locator("#events li.event").first).to_be_visible()
        here.goto("/console/account/security")
        here.get_by_role("button", name="Sign out all others").click()
        here.locator("#confirm-yes").click()
        expect(there).to_have_url(re.compile(r"/console/sign-in\?next="))
        expect(there.get_by_text("lamp-1")).to_have_count(0)


def test_a_device_that_is_released_elsewhere_says_so_on_its_page(home: House) -> None:
    with window(home.browser, home.server, ADA) as page:
        page.goto(f"/console/devices/{home.devices[1]}")
        expect(page.locator(".page-head .dot.is-online")).to_be_visible()
        assert home.ada.delete(f"/v1/devices/{home.devices[1]}").status_code == 200
        expect(page.get_by_text("This device is not yours any more.")).to_be_visible()
        page.get_by_role("link", name="To your devices").click()
        expect(page.get_by_text("1 device, 1 online")).to_be_visible()
