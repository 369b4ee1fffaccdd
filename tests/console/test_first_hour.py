"""The first hour of somebody new, by clicks alone: from sign-up to a device that does more."""

from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, FilePayload, Page, expect

from tests.console.windows import window
from tests.system.people import PASSWORD
from tests.system.processes import serving, simulating

SETTINGS: Final = {
    "CYAN_ENROLMENT": "open",
    "CYAN_SIGN_UP": "open",
    "CYAN_SIMULATED_COMPILER": "all",
}

KETTLE: Final = b"""
int boil(String how) { return 100; }
void setup() { Particle.function("boil", boil); }
void loop() { Particle.publish("whistle", "loud"); delay(1000); }
"""


def test_from_sign_up_to_a_device_that_does_something_new(browser: Browser, tmp_path: Path) -> None:
    with (
        serving(tmp_path / "data", SETTINGS) as server,
        simulating(server.key_file(), "--count", "1", "--rate", "1") as simulator,
    ):
        (device_id,) = simulator.wait_until_ready()
        with window(browser, server) as page:
            _sign_up(page)
            _claim(page, device_id)
            page.evaluate("window.isTheSamePage = true")
            _call(page)
            _see_an_event(page)
            _flash(page)
            assert page.evaluate("window.isTheSamePage") is True
            _publish(page)
            page.get_by_role("button", name="Sign out").click()
            expect(page.get_by_text("You are signed out.")).to_be_visible()
            page.go_back()
            expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def _sign_up(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="Make an account").click()
    page.get_by_label("E-mail address").fill("new@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_role("heading", name="Welcome")).to_be_visible()


def _claim(page: Page, device_id: str) -> None:
    page.get_by_role("navigation", name="Rooms").get_by_role("link", name="Devices").click()
    page.get_by_role("button", name="Claim by id").click()
    page.get_by_role("dialog").get_by_label("Device id").fill(device_id)
    page.get_by_role("dialog").get_by_role("button", name="Claim", exact=True).click()
    expect(page.get_by_text("The device is yours.")).to_be_visible()
    expect(page.locator(".page-head .dot.is-online")).to_be_visible()


def _call(page: Page) -> None:
    line = page.locator("form.call").filter(has_text="led")
    line.get_by_label("led").fill("on")
    line.get_by_role("button", name="Call").click()
    expect(line.get_by_role("status")).to_contain_text("1")


def _see_an_event(page: Page) -> None:
    expect(page.locator("#events").get_by_text("heartbeat").first).to_be_visible()


def _flash(page: Page) -> None:
    file: FilePayload = {"name": "kettle.ino", "mimeType": "text/plain", "buffer": KETTLE}
    page.set_input_files("#flash-file", file)
    expect(page.locator("#updates li .badge")).to_have_text("done", timeout=60_000)
    line = page.locator("form.call").filter(has_text="boil")
    line.get_by_role("button", name="Call").click()
    expect(line.get_by_role("status")).to_contain_text("100")
    expect(page.locator("#events").get_by_text("whistle").first).to_be_visible()


def _publish(page: Page) -> None:
    page.get_by_role("navigation", name="Rooms").get_by_role("link", name="Events").click()
    page.get_by_role("button", name="Publish").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("tea-time")
    dialog.get_by_role("button", name="Publish").click()
    dialog.get_by_role("button", name="Close").first.click()
    expect(page.locator("#events").get_by_text("tea-time").first).to_be_visible()
