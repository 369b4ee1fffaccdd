"""The devices room in a real browser, over the real server and simulated devices."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console.house import ADA, CLEO, House, house
from tests.console.windows import window
from tests.system.processes import simulating


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("devices"), browser, count=4) as made:
        yield made


@pytest.fixture
def page(home: House) -> Iterator[Page]:
    """Ada looks at her devices."""
    with window(home.browser, home.server, ADA) as page:
        page.goto("/console/devices")
        yield page


def rows(page: Page) -> list[str]:
    return page.locator("#device-rows tbody tr a").all_inner_texts()


def test_the_list_has_the_devices_of_its_person_and_what_is_known_of_them(page: Page) -> None:
    assert rows(page) == ["lamp-1", "lamp-2", "lamp-3"]
    expect(page.get_by_text("3 devices, 3 online")).to_be_visible()
    row = page.get_by_role("row", name="lamp-1")
    expect(row).to_contain_text("Argon")
    expect(row).to_contain_text("6.2.0")
    expect(row.locator(".dot.is-online")).to_be_visible()


def test_a_stranger_sees_nothing_of_them(home: House) -> None:
    with window(home.browser, home.server, CLEO) as page:
        page.goto("/console/devices")
        expect(page.get_by_text("No devices yet")).to_be_visible()
        for path in ("", "/live", "/vitals"):
            answer = page.request.get(f"/console/devices/{home.devices[0]}{path}")
            assert answer.status == 404
            unknown = page.request.get(f"/console/devices/{'0' * 24}{path}")
            assert unknown.status == 404
            assert re.sub(r"[0-9a-f-]{36}", "", answer.text()) == re.sub(
                r"[0-9a-f-]{36}", "", unknown.text()
            )


def test_nobody_is_sent_to_sign_in_and_comes_back_to_the_same_view(home: House) -> None:
    with window(home.browser, home.server) as page:
        page.goto("/console/devices?q=lamp-2&sort=-name")
        assert "/console/sign-in" in page.url
        page.get_by_label("E-mail address").fill(ADA)
        page.get_by_label("Password").fill("correct horse battery")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("1 of 3 devices fit.")).to_be_visible()
        assert page.url.endswith("/console/devices?q=lamp-2&sort=-name")


def test_a_search_narrows_the_list_and_the_address_and_the_back_button_undoes_it(
    page: Page,
) -> None:
    page.get_by_role("searchbox").fill("LAMP-2")
    expect(page.get_by_text("1 of 3 devices fit.")).to_be_visible()
    assert rows(page) == ["lamp-2"]
    assert page.url.endswith("/console/devices?q=LAMP-2")
    page.go_back()
    expect(page.get_by_text("3 devices, 3 online")).to_be_visible()
    assert page.url.endswith("/console/devices")


def test_filters_and_orders_are_in_the_address(page: Page) -> None:
    page.get_by_label("Connection").select_option("Offline")
    expect(page.get_by_text("No device fits")).to_be_visible()
    page.get_by_label("Connection").select_option("Online")
    expect(page.get_by_text("3 of 3 devices fit.")).to_be_visible()
    page.get_by_role("link", name="Name").click()
    expect(page.locator("#device-rows tbody tr a").first).to_have_text("lamp-3")
    assert page.url.endswith("/console/devices?online=yes&sort=-name")
    page.reload()
    assert rows(page) == ["lamp-3", "lamp-2", "lamp-1"]
    assert page.get_by_label("Connection").input_value() == "yes"


def test_ticked_devices_answer_a_ping_together(page: Page) -> None:
    expect(page.locator("#chosen")).to_be_hidden()
    page.get_by_label("Tick lamp-1").check()
    page.get_by_label("Tick lamp-3").check()
    expect(page.locator("#chosen")).to_contain_text("2 ticked")
    page.get_by_role("button", name="Ping").click()
    expect(page.locator(".toast")).to_contain_text("2 of 2 answered.")


def test_ticked_devices_are_marked_for_development_and_back(page: Page, home: House) -> None:
    for button, flag in (("Development", True), ("Not development", False)):
        page.get_by_label("Tick all of this page").check()
        page.get_by_role("button", name=button, exact=True).click()
        expect(page.locator(".badge", has_text="development")).to_have_count(3 if flag else 0)
        for device_id in home.devices[:3]:
            assert home.ada.get(f"/v1/devices/{device_id}").json()["development"] is flag


def test_claiming_by_id_says_what_is_wrong_and_then_goes_to_the_device(
    page: Page, home: House
) -> None:
    page.get_by_role("button", name="Claim a device").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Device id").fill("0123")
    dialog.get_by_role("button", name="Claim", exact=True).click()
    expect(dialog).to_contain_text("No device with this id has ever connected to this server.")
    dialog.get_by_label("Device id").fill(home.free.upper())
    dialog.get_by_role("button", name="Claim", exact=True).click()
    page.wait_for_url(f"**/console/devices/{home.free}")
    expect(page.get_by_text("The device is yours.")).to_be_visible()
    assert home.ada.get(f"/v1/devices/{home.free}").status_code == 200
    # And back: release asks first.
    page.get_by_role("button", name="Release").click()
    expect(page.locator("#confirm")).to_contain_text("Its name and notes go.")
    page.locator("#confirm").get_by_role("button", name="Cancel").click()
    assert home.ada.get(f"/v1/devices/{home.free}").status_code == 200
    page.get_by_role("button", name="Release").click()
    page.locator("#confirm-yes").click()
    page.wait_for_url("**/console/devices")
    assert home.ada.get(f"/v1/devices/{home.free}").status_code == 403


def test_somebody_else_s_device_can_be_asked_for_but_not_claimed(home: House) -> None:
    with window(home.browser, home.server, CLEO) as page:
        page.goto("/console/devices")
        page.get_by_role("button", name="Claim a device").click()
        page.get_by_role("dialog").get_by_label("Device id").fill(home.devices[0])
        page.get_by_role("dialog").get_by_role("button", name="Claim", exact=True).click()
        expect(page.get_by_role("dialog")).to_contain_text("That belongs to someone else.")
        page.get_by_role("button", name="Ask its owner for it").click()
        expect(page.get_by_text("Its owner was asked.")).to_be_visible()
    assert home.ada.get(f"/v1/devices/{home.devices[0]}").status_code == 200


def test_releasing_ticked_devices_asks_first_and_takes_them_off_the_list(
    page: Page, home: House
) -> None:
    assert home.ada.post("/v1/devices", data={"id": home.free}).status_code == 200
    assert home.ada.put(f"/v1/devices/{home.free}", data={"name": "spare"}).status_code == 200
    page.reload()
    page.get_by_label("Tick spare").check()
    page.get_by_role("button", name="Release").click()
    page.locator("#confirm-yes").click()
    expect(page.locator(".toast")).to_contain_text("1 of 1 are not yours any more.")
    assert rows(page) == ["lamp-1", "lamp-2", "lamp-3"]


def test_a_form_without_its_token_changes_nothing(page: Page, home: House) -> None:
    answer = page.request.post(
        "/console/devices/act", form={"action": "release", "id": home.devices[0]}
    )
    assert answer.status == 403
    assert home.ada.get(f"/v1/devices/{home.devices[0]}").status_code == 200


def test_dots_change_by_themselves_when_devices_go_and_come(
    tmp_path_factory: pytest.TempPathFactory, browser: Browser
) -> None:
    folder = tmp_path_factory.mktemp("dots")
    options = ("--state", str(folder / "state"))
    with (
        house(folder, browser, count=2, simulator=options) as home,
        window(home.browser, home.server, ADA) as page,
    ):
        page.goto("/console/devices")
        page.evaluate("window.isTheSamePage = true")
        expect(page.get_by_text("1 device, 1 online")).to_be_visible()
        home.simulator.stop()
        expect(page.locator(".dot.is-offline")).to_be_visible()
        expect(page.get_by_text("1 device, 0 online")).to_be_visible()
        expect(page.locator("#device-rows .is-now")).to_have_count(0)
        with simulating(home.server.key_file(), "--count", "2", *options) as again:
            again.wait_until_ready()
            expect(page.locator(".dot.is-online")).to_be_visible()
        assert page.evaluate("window.isTheSamePage") is True


def test_sorting_by_keyboard_keeps_the_place(page: Page) -> None:
    sorter = page.get_by_role("link", name="Name", exact=True)
    for first in ("lamp-3", "lamp-1"):
        sorter.focus()
        page.keyboard.press("Enter")
        expect(page.locator("#device-rows tbody tr a").first).to_have_text(first)
        expect(sorter).to_be_focused()
    # The page of many ids has its field ready.
    page.get_by_role("button", name="Claim a device").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Claim many at once").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Device ids")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_after_an_action_on_ticked_devices_the_keyboard_is_in_the_page(page: Page) -> None:
    page.get_by_label("Tick lamp-1").check()
    page.get_by_role("button", name="Ping").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text("1 of 1 answered.")
    expect(page.locator("#main")).to_be_focused()
