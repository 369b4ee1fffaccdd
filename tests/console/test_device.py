"""The room of one device in a real browser, over the real server and simulated devices."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.console.house import ADA, CLEO, House, house
from tests.console.windows import window


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[House]:
    options = ("--rate", "1")
    with house(tmp_path_factory.mktemp("device"), browser, count=3, simulator=options) as made:
        yield made


@pytest.fixture
def page(home: House) -> Iterator[Page]:
    """Ada looks at her first device."""
    with window(home.browser, home.server, ADA) as page:
        page.goto(f"/console/devices/{home.devices[0]}")
        yield page


def line(page: Page, name: str) -> Locator:
    """The form of a function or variable."""
    return page.locator("form.call").filter(has_text=name)


def test_a_function_is_called_and_its_result_stands_beside_it(page: Page) -> None:
    line(page, "led").get_by_label("led").fill("on")
    line(page, "led").get_by_role("button", name="Call").click()
    expect(line(page, "led").get_by_role("status")).to_contain_text("1")


def test_why_a_function_was_not_called_stands_beside_it(page: Page) -> None:
    # The form itself allows no more than any device takes; this one takes less.
    line(page, "echo").get_by_label("echo").fill("ä" * 1000)
    line(page, "echo").get_by_role("button", name="Call").click()
    expect(line(page, "echo").get_by_role("status")).to_contain_text("The argument has 2000 bytes")


def test_variables_are_read_one_by_one_and_together(page: Page) -> None:
    line(page, "answer").get_by_role("button", name="Read answer").click()
    expect(line(page, "answer").get_by_role("status")).to_contain_text("42")
    page.get_by_role("button", name="Read all").click()
    expect(line(page, "ready").get_by_role("status")).to_contain_text("true")
    expect(line(page, "greeting").get_by_role("status")).to_contain_text("hello from")


def test_an_event_appears_without_a_reload_and_shows_all_of_its_data(
    page: Page, home: House
) -> None:
    page.evaluate("window.isTheSamePage = true")
    log = page.locator("#events li.event")
    before = log.count()
    expect(log.filter(has_text="heartbeat").first).to_be_visible()
    expect(log.nth(before)).to_be_visible()
    log.filter(has_text="heartbeat").first.locator("summary").click()
    expect(log.filter(has_text="heartbeat").first.locator("pre")).to_contain_text(home.devices[0])
    assert page.locator("#events").get_by_text(home.devices[1]).count() == 0
    assert page.evaluate("window.isTheSamePage") is True


def test_a_ping_and_a_signal_reach_the_device(page: Page) -> None:
    page.get_by_role("button", name="Ping").click()
    expect(page.locator(".toast").last).to_contain_text("It answered within")
    page.get_by_role("button", name="Signal").click()
    expect(page.locator(".toast").last).to_contain_text("Its light shows all colors now.")
    page.get_by_role("button", name="Stop signal").click()
    expect(page.locator(".toast").last).to_contain_text("Its light is itself again.")


def test_a_name_is_refused_with_a_reason_and_then_taken(page: Page, home: House) -> None:
    page.get_by_role("button", name="Rename").click()
    dialog = page.get_by_role("dialog")
    for name, reason in (("a/b", "no slash"), ("lamp-2", "Another device of yours has that name")):
        dialog.get_by_label("Name").fill(name)
        dialog.get_by_role("button", name="Rename").click()
        expect(dialog).to_contain_text(reason)
    dialog.get_by_label("Name").fill("مصباح <b>1")
    dialog.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("مصباح <b>1")
    path = f"/v1/devices/{home.devices[0]}"
    assert home.ada.get(path).json()["name"] == "مصباح <b>1"
    assert home.ada.put(path, data={"name": "lamp-1"}).status_code == 200


def test_notes_and_switches_are_kept(page: Page, home: House) -> None:
    page.get_by_role("textbox", name="Notes").fill("in the attic\nbehind the door")
    page.get_by_role("button", name="Save the notes").click()
    expect(page.locator(".toast")).to_contain_text("The notes are saved.")
    page.get_by_label("Development device").check()
    expect(page.get_by_text("It is marked for development.")).to_be_visible()
    page.reload()
    assert (
        page.get_by_role("textbox", name="Notes").input_value() == "in the attic\nbehind the door"
    )
    assert page.get_by_label("Development device").is_checked()
    shown = home.ada.get(f"/v1/devices/{home.devices[0]}").json()
    assert (shown["notes"], shown["development"]) == ("in the attic\nbehind the door", True)
    page.get_by_label("Development device").uncheck()
    expect(page.get_by_text("It is not marked for development any more.")).to_be_visible()


def test_vitals_are_asked_for_and_drawn(page: Page) -> None:
    page.get_by_role("button", name="Ask now").click()
    chart = page.get_by_role("figure").filter(has_text="Signal strength")
    expect(chart.get_by_role("img")).to_be_visible()
    page.get_by_role("button", name="7 days").click()
    expect(page.get_by_role("button", name="7 days")).to_have_attribute("aria-pressed", "true")
    page.get_by_text("The last ones in full").click()
    expect(page.locator("#vitals dt").first).to_be_visible()


def test_its_ids_are_shown_and_it_is_found_by_its_name_too(page: Page, home: House) -> None:
    about = page.get_by_role("region", name="About")
    expect(about).to_contain_text(home.devices[0])
    page.goto("/console/devices/lamp-2")
    expect(page.get_by_role("heading", level=1)).to_have_text("lamp-2")


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("call", {"function": "led", "argument": "on"}),
        ("read", {"variable": "answer"}),
        ("ping", {}),
        ("signal", {"on": "yes"}),
        ("name", {"name": "mine"}),
        ("notes", {"notes": "mine"}),
        ("flags", {"flag": "development", "on": "true"}),
        ("release", {}),
        ("vitals", {"hours": "24"}),
    ],
)
def test_a_stranger_can_do_nothing_with_it(home: House, path: str, fields: dict[str, str]) -> None:
    before = home.ada.get(f"/v1/devices/{home.devices[0]}").json()
    with window(home.browser, home.server, CLEO) as page:
        page.goto("/console/account")
        token = page.locator("input[name=csrf]").first.input_value()
        for device_id in (home.devices[0], "0" * 24):
            answer = page.request.post(
                f"/console/devices/{device_id}/{path}", form={**fields, "csrf": token}
            )
            assert answer.status == 404
            assert "There is no such device, or it is not yours." in answer.text()
    after = home.ada.get(f"/v1/devices/{home.devices[0]}").json()
    for name in ("name", "notes", "development"):
        assert after[name] == before[name]


def test_a_device_that_is_gone_says_so_instead_of_answering(
    tmp_path_factory: pytest.TempPathFactory, browser: Browser
) -> None:
    with (
        house(tmp_path_factory.mktemp("gone"), browser, count=2) as home,
        window(browser, home.server, ADA) as page,
    ):
        page.goto(f"/console/devices/{home.devices[0]}")
        expect(page.locator(".page-head .dot.is-online")).to_be_visible()
        home.simulator.stop()
        expect(page.locator(".page-head .dot.is-offline")).to_be_visible()
        line(page, "led").get_by_role("button", name="Call").click()
        expect(line(page, "led").get_by_role("status")).to_contain_text("not connected")
        page.get_by_role("button", name="Ping").click()
        expect(page.locator(".toast.is-bad")).to_contain_text("It does not answer.")


def test_the_keyboard_stays_where_it_was_through_every_answer(page: Page) -> None:
    call = line(page, "led").get_by_role("button", name="Call")
    call.focus()
    page.keyboard.press("Enter")
    expect(line(page, "led").get_by_role("status")).to_contain_text("ms")
    expect(call).to_be_focused()
    for name in ("Signal", "Stop signal"):
        page.locator("#signal").focus()
        expect(page.locator("#signal")).to_have_text(name)
        page.keyboard.press("Enter")
        expect(page.locator("#signal")).not_to_have_text(name)
        expect(page.locator("#signal")).to_be_focused()
    switch = page.get_by_label("Development device")
    for said in ("It is marked for development.", "It is not marked for development any more."):
        switch.focus()
        page.keyboard.press("Space")
        expect(page.get_by_text(said)).to_be_visible()
        expect(switch).to_be_focused()
    span = page.get_by_role("button", name="7 days")
    span.focus()
    page.keyboard.press("Enter")
    expect(span).to_have_attribute("aria-pressed", "true")
    expect(span).to_be_focused()
    save = page.get_by_role("button", name="Save the notes")
    save.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("The notes are saved.")).to_be_visible()
    expect(save).to_be_focused()
