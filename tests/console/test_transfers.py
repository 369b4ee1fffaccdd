"""Devices that change hands by clicks: asked for, given away, kept, withdrawn; and claimed by the
list."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console.house import ADA, CLEO, House, house
from tests.console.windows import window

TRANSFERS = "/console/devices/transfers"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("transfers"), browser, count=6) as made:
        yield made


@pytest.fixture
def pages(home: House) -> Iterator[tuple[Page, Page]]:
    """Ada, whose all devices but the last are, and Cleo, who would like some."""
    with ExitStack() as stack:
        ada, cleo = (
            stack.enter_context(window(home.browser, home.server, who)) for who in (ADA, CLEO)
        )
        yield ada, cleo


def ask(cleo: Page, device_id: str) -> None:
    cleo.goto("/console/devices")
    cleo.get_by_role("button", name="Claim a device").click()
    cleo.get_by_role("dialog").get_by_label("Device id").fill(device_id)
    cleo.get_by_role("dialog").get_by_role("button", name="Claim", exact=True).click()
    cleo.get_by_role("button", name="Ask its owner for it").click()
    expect(cleo.get_by_role("heading", name="Transfers")).to_be_visible()


def test_a_device_is_given_to_who_asked_for_it(pages: tuple[Page, Page], home: House) -> None:
    (ada, cleo), device_id = pages, home.devices[0]
    ask(cleo, device_id)
    mine = cleo.get_by_role("row").filter(has_text=device_id)
    expect(mine).to_contain_text("open")
    # Who asks learns neither the owner nor the name.
    assert ADA not in cleo.content()
    assert "lamp-1" not in cleo.content()

    ada.goto("/console/devices")
    expect(ada.get_by_text("1 request waits for your answer.")).to_be_visible()
    ada.get_by_role("link", name="Who asks for what").click()
    row = ada.get_by_role("row").filter(has_text=CLEO)
    expect(row).to_contain_text("lamp-1")
    row.get_by_role("button", name="Give it away").click()
    expect(ada.locator("#confirm")).to_contain_text(f"Give lamp-1 to {CLEO}?")
    ada.locator("#confirm-yes").click()
    expect(ada.get_by_text("The device is theirs now.")).to_be_visible()
    expect(row).to_contain_text("accepted")
    assert home.ada.get(f"/v1/devices/{device_id}").status_code == 403

    cleo.reload()
    mine.get_by_role("link").click()
    expect(cleo.get_by_role("button", name="Ping")).to_be_visible()


def test_a_device_is_kept_and_a_request_withdrawn(pages: tuple[Page, Page], home: House) -> None:
    ada, cleo = pages
    for number in (1, 2):
        ask(cleo, home.devices[number])
    first, second = (
        cleo.get_by_role("row").filter(has_text=home.devices[number]) for number in (1, 2)
    )
    ada.goto(TRANSFERS)
    theirs = ada.get_by_role("row").filter(has_text=home.devices[1])
    stale = ada.get_by_role("row").filter(has_text=home.devices[2])
    second.get_by_role("button", name="Withdraw").click()
    expect(second).to_contain_text("withdrawn")
    # Ada's page is older than that.
    stale.get_by_role("button", name="Keep it").click()
    expect(ada.get_by_text("This transfer request is withdrawn already.")).to_be_visible()
    theirs.get_by_role("button", name="Keep it").click()
    expect(theirs).to_contain_text("refused")
    cleo.reload()
    expect(first).to_contain_text("refused")
    for number in (1, 2):
        assert home.ada.get(f"/v1/devices/{home.devices[number]}").status_code == 200


def test_only_who_was_asked_can_answer(pages: tuple[Page, Page], home: House) -> None:
    _, cleo = pages
    ask(cleo, home.devices[3])
    (request,) = [
        one
        for one in home.ada.get("/v1/device_transfers").json()["transfers"]
        if one["device_id"] == home.devices[3]
    ]
    token = cleo.locator("input[name=csrf]").first.input_value()
    for word in ("accept", "refuse"):
        answer = cleo.request.post(f"{TRANSFERS}/{request['id']}/{word}", form={"csrf": token})
        assert "There is no such transfer request." in answer.text()
    assert home.ada.get(f"/v1/devices/{home.devices[3]}").status_code == 200


def test_many_are_claimed_and_what_was_not_stays_with_its_reason(home: House) -> None:
    with window(home.browser, home.server, CLEO) as cleo:
        cleo.goto("/console/devices")
        cleo.get_by_role("button", name="Claim a device").click()
        cleo.get_by_role("button", name="Claim many at once").click()
        dialog = cleo.get_by_role("dialog")
        box = dialog.get_by_label("Device ids")
        box.fill(f"{home.free.upper()}\n{home.devices[4]}, <b>0123</b>\n\n{home.free.upper()}")
        dialog.get_by_role("button", name="Claim them").click()
        expect(dialog).to_contain_text("That belongs to someone else.")
        expect(dialog).to_contain_text("<b>0123</b> No device with this id has ever connected")
        expect(cleo.get_by_text("1 of 3 are yours now.")).to_be_visible()
        assert box.input_value() == f"{home.devices[4]}\n<b>0123</b>"
        dialog.get_by_role("link", name="Done").click()
        expect(cleo.locator("#device-rows")).to_contain_text(home.free)


def test_more_than_a_page_of_ids_is_refused(home: House) -> None:
    with window(home.browser, home.server, ADA) as ada:
        ada.goto("/console/devices")
        ada.get_by_role("button", name="Claim a device").click()
        ada.get_by_role("button", name="Claim many at once").click()
        dialog = ada.get_by_role("dialog")
        dialog.get_by_label("Device ids").fill("\n".join(f"{n:024x}" for n in range(300)))
        dialog.get_by_role("button", name="Claim them").click()
        expect(dialog).to_contain_text("these are 300")
