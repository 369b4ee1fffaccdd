"""The tutorial of the first hour, done in a real browser as it says."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from tests.console.windows import chromium, window
from tests.docs.pages import ROOT, blocks
from tests.system.dev import Dev, developing

TUTORIAL: Final = ROOT / "docs/tutorial/first-hour.md"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    with developing(tmp_path_factory.mktemp("hour") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def page(browser: Browser, dev: Dev) -> Iterator[Page]:
    """The tests go on in one window, as the page does."""
    username, password = dev.ready["username"], dev.ready["password"]
    with window(browser, dev, username, password) as page:
        yield page


def sketch(text: str) -> FilePayload:
    return {"name": "kettle.ino", "mimeType": "text/plain", "buffer": text.encode()}


def said(text: str) -> None:
    """The tutorial says this, wherever its lines break."""
    assert text in " ".join(TUTORIAL.read_text().split())


def test_two_devices_are_there_and_the_third_is_claimed_by_its_id(page: Page, dev: Dev) -> None:
    said("*Devices* has two simulated devices that are yours.")
    said("at the end of the list of devices")
    page.goto("/")
    expect(page.get_by_text("2 devices, 2 online")).to_be_visible()
    page.get_by_role("button", name="Claim a device").click()
    third = dev.ready["devices"][-1]["id"]
    page.get_by_role("dialog").get_by_label("Device id").fill(third)
    page.get_by_role("dialog").get_by_role("button", name="Claim", exact=True).click()
    page.wait_for_url(f"**/console/devices/{third}")


def test_it_answers_as_the_tutorial_says(page: Page) -> None:
    said("Type `off` beside the function `led` and press *Call*: it answers 0")
    said("`ready` is `false` now")
    said("`answer` is 42")
    led = page.locator("form.call").filter(has_text="led")
    led.get_by_role("textbox").fill("off")
    led.get_by_role("button", name="Call").click()
    expect(led.get_by_role("status")).to_contain_text(re.compile(r"^\s*0\s"))
    page.get_by_role("button", name="Read all").click()
    for name, value in (("ready", "false"), ("answer", "42")):
        line = page.locator("form.call").filter(has_text=name)
        expect(line.get_by_role("status")).to_contain_text(value)
    for button in ("Ping", "Signal", "Ask now", "Rename"):
        expect(page.get_by_role("button", name=button).first).to_be_visible()
    expect(page.locator("#events").get_by_text("heartbeat").first).to_be_visible()


def test_the_program_of_the_tutorial_gets_there_and_runs(page: Page) -> None:
    (program,) = blocks(TUTORIAL, "cpp")
    page.set_input_files("#flash-file", sketch(program))
    expect(page.locator("#updates .badge").first).to_have_text("done", timeout=60_000)
    said("the function `boil`, which answers 7, the variable `temperature`, 92.5")
    boil = page.locator("form.call").filter(has_text="boil")
    boil.get_by_role("button", name="Call").click()
    expect(boil.get_by_role("status")).to_contain_text("7")
    temperature = page.locator("form.call").filter(has_text="temperature")
    temperature.get_by_role("button").click()
    expect(temperature.get_by_role("status")).to_contain_text("92.5")
    expect(page.locator("#events").get_by_text("kettle/ready").first).to_be_visible()


def test_a_missing_bracket_is_told_in_the_compilers_words(page: Page) -> None:
    said("a missing bracket")
    (program,) = blocks(TUTORIAL, "cpp")
    page.set_input_files("#flash-file", sketch(program.replace("boil);", "boil;", 1)))
    expect(page.locator("#flash pre")).to_contain_text("kettle.ino:")


def test_the_events_of_all_devices_are_narrowed_by_the_beginning_of_their_names(
    page: Page,
) -> None:
    page.goto("/console/events")
    page.get_by_label("Names that begin with").fill("kettle/")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("#events").get_by_text("kettle/ready").first).to_be_visible()
    for button in ("Pause", "Publish"):
        expect(page.get_by_role("button", name=button).first).to_be_visible()
    expect(page.get_by_role("link", name="History")).to_be_visible()


def test_its_pictures_are_there() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", TUTORIAL.read_text())
    assert len(pictures) == 3
    for picture in pictures:
        path: Path = TUTORIAL.parent / picture
        assert path.read_bytes().startswith(b"\x89PNG")
