"""The events room in a real browser, over the real server and simulated devices."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console.house import ADA, CLEO, House, house
from tests.console.windows import window


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[House]:
    options = ("--rate", "0.2")
    with house(tmp_path_factory.mktemp("events"), browser, count=2, simulator=options) as made:
        yield made


@pytest.fixture
def page(home: House) -> Iterator[Page]:
    with window(home.browser, home.server, ADA) as page:
        page.goto("/console/events")
        yield page


def publish(home: House, name: str, data: str = "") -> None:
    answer = home.ada.post("/v1/devices/events", data={"name": name, "data": data})
    assert answer.status_code == 200


def names(page: Page) -> list[str]:
    return page.locator("#events .event-name").all_inner_texts()


def test_what_is_published_by_click_appears_in_the_log(page: Page) -> None:
    page.evaluate("window.isTheSamePage = true")
    page.get_by_role("button", name="Publish").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("spark/mine")
    dialog.get_by_role("button", name="Publish").click()
    expect(dialog).to_contain_text("Event names that begin with spark or particle are reserved.")
    dialog.get_by_label("Name").fill("doorbell")
    dialog.get_by_label("Data").fill('{"who": "<b>Ben</b>"}')
    dialog.get_by_role("button", name="Publish").click()
    expect(page.locator(".toast")).to_contain_text("doorbell is published.")
    dialog.get_by_role("button", name="Close").first.click()
    row = page.locator("#events li").filter(has_text="doorbell").first
    row.locator("summary").click()
    expect(row.locator("pre")).to_contain_text('"who": "<b>Ben</b>"')
    expect(row).to_contain_text("you, by API or console")
    assert page.evaluate("window.isTheSamePage") is True


def test_a_prefix_filters_what_comes_and_is_in_the_address(page: Page, home: House) -> None:
    page.get_by_label("Names that begin with").fill("kitchen/")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url("**/console/events?prefix=kitchen%2F*")
    expect(page.get_by_text("Nothing yet.")).to_be_visible()
    publish(home, "garage/light")
    publish(home, "kitchen/light", "on")
    expect(page.locator("#events li")).to_have_count(1)
    assert names(page) == ["kitchen/light"]


def test_events_of_one_device_can_be_looked_at_alone(page: Page, home: House) -> None:
    page.get_by_label("Device, by name or id").fill("lamp-1")
    page.get_by_role("button", name="Filter").click()
    publish(home, "not-of-a-device")
    expect(page.locator("#events").get_by_text("heartbeat").first).to_be_visible()
    assert set(page.locator("#events .event-source").all_inner_texts()) == {"lamp-1"}
    page.goto("/console/events?device=nobody")
    expect(page.get_by_text("There is no such device, or it is not yours.")).to_be_visible()


def test_what_comes_while_it_is_paused_waits_and_is_then_shown(page: Page, home: House) -> None:
    page.goto("/console/events?prefix=pause/")
    publish(home, "pause/before")
    expect(page.locator("#events li")).to_have_count(1)
    page.get_by_role("button", name="Pause").click()
    publish(home, "pause/one")
    publish(home, "pause/two")
    expect(page.get_by_role("button", name="Go on (2 new)")).to_be_visible()
    assert names(page) == ["pause/before"]
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("#events li")).to_have_count(3)
    assert names(page) == ["pause/two", "pause/one", "pause/before"]
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#events li")).to_have_count(0)


def test_a_log_that_lost_its_connection_misses_nothing(page: Page, home: House) -> None:
    page.goto("/console/events?prefix=gap/")
    publish(home, "gap/first")
    expect(page.locator("#events li")).to_have_count(1)
    page.context.set_offline(True)
    publish(home, "gap/second")
    page.context.set_offline(False)
    publish(home, "gap/third")
    expect(page.locator("#events li")).to_have_count(3)
    assert names(page) == ["gap/third", "gap/second", "gap/first"]


def test_events_of_the_system_can_be_hidden_and_stay_hidden(page: Page) -> None:
    system = page.locator("#events .is-system").first
    expect(system).to_be_visible()
    page.get_by_label("Hide those of the system").check()
    expect(system).to_be_hidden()
    page.reload()
    expect(page.get_by_label("Hide those of the system")).to_be_checked()
    expect(page.locator("#events .is-system").first).to_be_hidden()
    page.get_by_label("Hide those of the system").uncheck()


def test_the_past_is_looked_through_a_page_at_a_time(page: Page, home: House) -> None:
    for number in range(105):
        publish(home, f"past/{number:03}")
    page.goto("/console/events/history?prefix=past/")
    expect(page.locator("li.event")).to_have_count(100)
    page.get_by_role("button", name="Look further back").click()
    expect(page.locator("li.event")).to_have_count(105)
    shown = page.locator(".event-name").all_inner_texts()
    assert shown == [f"past/{number:03}" for number in reversed(range(105))]


def test_a_date_that_is_none_is_said_to_be_none(page: Page) -> None:
    page.goto("/console/events/history?since=yesterday")
    expect(page.get_by_text("The first day is a date like 2026-01-31")).to_be_visible()
    page.goto("/console/events/history?until=2001-01-01")
    expect(page.get_by_text("That is all")).to_be_visible()


def test_a_stranger_sees_none_of_them(home: House) -> None:
    with window(home.browser, home.server, CLEO) as page:
        page.goto("/console/events")
        publish(home, "adas/secret", "42")
        # What Cleo publishes then is behind it in the log: what comes first would be seen first.
        page.get_by_role("button", name="Publish").first.click()
        page.get_by_role("dialog").get_by_label("Name").fill("cleos")
        page.get_by_role("dialog").get_by_role("button", name="Publish").click()
        expect(page.locator("#events li")).to_have_count(1)
        assert names(page) == ["cleos"]
        page.goto("/console/events/history")
        expect(page.locator("li.event")).to_have_count(1)
        page.goto(f"/console/events/history?device={home.devices[0]}")
        expect(page.get_by_text("There is no such device, or it is not yours.")).to_be_visible()
