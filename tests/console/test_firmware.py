"""Firmware dropped into the page of a device, over the real server and simulated devices."""

from collections.abc import Iterator
from random import Random
from typing import Final

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from cyan.wire.describe.system import USER_PART
from cyan.wire.module import encode_module
from tests.console.house import ADA, CLEO, House, house
from tests.console.windows import window

ARGON: Final = 12
PHOTON: Final = 6

BODY: Final = Random(7).randbytes(100_000)
"""What compression makes no smaller."""

SOURCE: Final = """
PRODUCT_VERSION(7);
int brew(String how) { return 7; }
double level = 3.5;
void setup() {
    Particle.function("brew", brew);
    Particle.variable("level", level);
}
void loop() { Particle.publish("coffee", "hot"); delay(1000); }
"""


NOTE_WHAT_IS_SHOWN: Final = """() => {
    window.shown = [];
    const updates = document.querySelector("#updates");
    new MutationObserver(() => window.shown.push([
        updates.querySelector(".badge")?.textContent,
        updates.querySelector("progress")?.getAttribute("value"),
    ])).observe(updates, { childList: true, subtree: true });
}"""
"""Each state of the list of updates, however short: the word, and the percents of its bar."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[House]:
    # A slow network: an update takes some seconds, and is seen on its way.
    slow = ("--fault", "delay for_s=0.15")
    folder = tmp_path_factory.mktemp("firmware")
    settings = {"CYAN_SIMULATED_COMPILER": "all"}
    with house(folder, browser, count=4, simulator=slow, settings=settings) as made:
        yield made


@pytest.fixture
def page(home: House) -> Iterator[Page]:
    with window(home.browser, home.server, ADA) as page:
        yield page


def module(platform_id: int, body: bytes = BODY) -> FilePayload:
    data = encode_module(
        body, platform_id=platform_id, function=USER_PART, version=6, product_version=9
    )
    return {"name": "blink.bin", "mimeType": "application/octet-stream", "buffer": data}


def source(text: str) -> FilePayload:
    return {"name": "kettle.ino", "mimeType": "text/plain", "buffer": text.encode()}


def test_a_binary_goes_to_the_device_and_its_true_state_is_seen(page: Page, home: House) -> None:
    page.goto(f"/console/devices/{home.devices[0]}")
    page.evaluate("window.isTheSamePage = true")
    expect(page.get_by_text("Nothing was sent to it yet.")).to_be_visible()
    page.evaluate(NOTE_WHAT_IS_SHOWN)
    page.set_input_files("#flash-file", module(ARGON))
    update = page.locator("#updates li")
    expect(update.locator(".badge")).to_have_text("done", timeout=60_000)
    shown = page.evaluate("window.shown")
    words = list(dict.fromkeys(word for word, _ in shown if word is not None))
    assert words[-3:] == ["is being sent", "the device restarts with it", "done"] or words[-4:] == [
        "is being sent",
        "the device checks it",
        "the device restarts with it",
        "done",
    ]
    percents = [int(percent) for _, percent in shown if percent is not None]
    assert percents == sorted(percents)
    assert any(0 < percent < 100 for percent in percents)
    expect(page.get_by_role("region", name="About")).to_contain_text("Product version9")
    assert page.evaluate("window.isTheSamePage") is True
    told = home.ada.get(f"/v1/devices/{home.devices[0]}/firmware/updates").json()["updates"]
    assert [(each["state"], each["file"]) for each in told] == [("done", "blink.bin")]
    page.get_by_role("region", name="Firmware").get_by_role("link", name="History").click()
    expect(page.locator("#updates li")).to_contain_text("blink.bin")


def test_from_a_source_to_what_the_device_can_do(page: Page, home: House) -> None:
    page.goto(f"/console/devices/{home.devices[1]}")
    page.evaluate("window.isTheSamePage = true")
    page.set_input_files("#flash-file", source("void setup() { Particle.function(; }"))
    expect(page.locator("#flash .notice")).to_contain_text("The sources do not compile.")
    expect(page.locator("#flash pre")).to_contain_text("kettle.ino:1:")
    page.set_input_files("#flash-file", source(SOURCE))
    expect(page.locator("#updates li .badge")).to_have_text("done")
    brew = page.locator("form.call").filter(has_text="brew")
    brew.get_by_role("button", name="Call").click()
    expect(brew.get_by_role("status")).to_contain_text("7")
    expect(page.locator("#events").get_by_text("coffee").first).to_be_visible()
    expect(page.locator("form.call").filter(has_text="led")).to_have_count(0)
    assert page.evaluate("window.isTheSamePage") is True


def test_what_does_not_fit_is_refused_before_a_byte_is_sent(page: Page, home: House) -> None:
    page.goto(f"/console/devices/{home.devices[2]}")
    junk: FilePayload = {"name": "a.bin", "mimeType": "application/x", "buffer": b"junk" * 99}
    page.set_input_files("#flash-file", junk)
    expect(page.locator("#flash .notice")).to_contain_text("a.bin cannot be flashed")
    page.set_input_files("#flash-file", module(PHOTON))
    expect(page.locator("#flash .notice")).to_contain_text("photon")
    expect(page.get_by_text("Nothing was sent to it yet.")).to_be_visible()


def test_an_update_can_be_cancelled_on_its_way(page: Page, home: House) -> None:
    page.goto(f"/console/devices/{home.devices[2]}")
    page.set_input_files("#flash-file", module(ARGON))
    page.locator(".update-cancel").get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the update").click()
    expect(page.get_by_text("The update is cancelled.")).to_be_visible()
    expect(page.locator("#updates li .badge")).to_have_text("failed")
    expect(page.locator("#updates li")).to_contain_text("It was cancelled.")


def test_a_stranger_can_send_nothing_and_sees_no_update(home: House) -> None:
    with window(home.browser, home.server, CLEO) as page:
        page.goto("/console/account")
        token = page.locator("input[name=csrf]").first.input_value()
        for device_id in (home.devices[0], "0" * 24):
            path = f"/console/devices/{device_id}"
            answers = (
                page.request.post(
                    f"{path}/flash", multipart={"csrf": token, "file": module(ARGON)}
                ),
                page.request.post(f"{path}/updates/cancel", form={"csrf": token, "update": "1"}),
                page.request.get(f"{path}/updates"),
            )
            for answer in answers:
                assert answer.status == 404
                assert "There is no such device, or it is not yours." in answer.text()
