"""Ledgers by clicks: made, written, changed, looked back at, deleted and archived."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console.house import ADA, CLEO, House, house
from tests.console.windows import window

LEDGERS = "/console/account/ledgers"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("ledgers"), browser, count=2) as made:
        yield made


@pytest.fixture
def page(home: House) -> Iterator[Page]:
    """Ada looks at her ledgers."""
    with window(home.browser, home.server, ADA) as page:
        page.goto(LEDGERS)
        yield page


def make(page: Page, name: str, scope: str, way: str) -> None:
    page.get_by_role("button", name="New ledger").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_label("Of", exact=True).select_option(label=scope)
    dialog.get_by_label("Which way").select_option(label=way)
    dialog.get_by_role("button", name="Make it").click()


def write(page: Page, data: str) -> None:
    page.get_by_label("Data").fill(data)
    page.get_by_role("button", name="Write it").click()


def test_a_ledger_of_devices_is_made_written_and_looked_back_at(page: Page, home: House) -> None:
    make(page, "Pump", "each device its own", "the cloud writes, devices read")
    expect(page.get_by_text("A ledger's name has small letters")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Which way")).to_have_value("Downstream")
    dialog.get_by_label("Name").fill("pump")
    dialog.get_by_role("button", name="Make it").click()
    expect(page.get_by_text("The ledger is made.")).to_be_visible()

    page.get_by_label("Device", exact=True).fill("lamp-9")
    write(page, '{"speed": 1}')
    expect(page.get_by_text("You have no device with this id or name.")).to_be_visible()
    page.get_by_label("Device", exact=True).fill("lamp-1")
    for wrong, said in (("{speed", "This is no JSON"), ("[1]", "Write one JSON object")):
        write(page, wrong)
        expect(page.get_by_text(said)).to_be_visible()
        assert page.get_by_label("Data").input_value() == wrong
    write(page, '{"speed": 1, "note": "<b>مرحبا</b>"}')
    expect(page.get_by_text("Written.")).to_be_visible()
    path = f"/v1/ledgers/pump/instances/{home.devices[0]}"
    held = home.ada.get(path).json()["instance"]["data"]
    assert held == {"speed": 1, "note": "<b>مرحبا</b>"}

    page.get_by_role("link", name="Change that of lamp-1").click()
    assert '"speed": 1' in page.get_by_label("Data").input_value()
    page.get_by_label("Change only the keys").check()
    write(page, '{"speed": 2}')
    expect(page.get_by_text("version 2")).to_be_visible()
    held = home.ada.get(path).json()["instance"]["data"]
    assert held == {"speed": 2, "note": "<b>مرحبا</b>"}
    page.get_by_role("link", name="Change that of lamp-1").click()
    former = page.get_by_role("region", name="Former states")
    former.get_by_text("What it held").click()
    expect(former).to_contain_text('"speed": 1')

    page.get_by_role("button", name="Delete that of lamp-1").click()
    page.locator("#confirm-yes").click()
    expect(page.get_by_text("It holds nothing")).to_be_visible()
    assert home.ada.get(path).status_code == 404


def test_a_ledger_of_the_account_is_described_and_archived(page: Page, home: House) -> None:
    make(page, "prices", "the account, one for all", "stays in the cloud")
    write(page, '{"tea": 2}')
    expect(page.get_by_text("version 1")).to_be_visible()
    page.get_by_label("Description").fill("What tea costs")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert home.ada.get("/v1/ledgers/prices").json()["ledger"]["description"] == "What tea costs"
    page.get_by_role("button", name="Archive").click()
    page.locator("#confirm-yes").click()
    expect(page.get_by_text("prices is archived.")).to_be_visible()
    assert page.get_by_role("link", name="prices").count() == 0


def test_what_devices_write_cannot_be_written_here(page: Page, home: House) -> None:
    make(page, "state", "each device its own", "devices write, the cloud reads")
    expect(page.get_by_text("What devices write to it appears here.")).to_be_visible()
    assert page.get_by_role("button", name="Write it").count() == 0
    token = page.locator("input[name=csrf]").first.input_value()
    answer = page.request.post(
        f"{LEDGERS}/state", form={"csrf": token, "value": "lamp-1", "data": "{}"}
    )
    assert answer.status == 422
    assert home.ada.get("/v1/ledgers/state/instances").json()["instances"] == []


def test_a_stranger_finds_no_ledger_of_hers(home: House) -> None:
    made = home.ada.post("/v1/ledgers", json={"ledger": {"name": "hers", "scope": "Owner"}})
    assert made.status_code == 201
    with window(home.browser, home.server, CLEO) as cleo:
        cleo.goto(LEDGERS)
        expect(cleo.get_by_text("No ledgers")).to_be_visible()
        token = cleo.locator("input[name=csrf]").first.input_value()
        assert cleo.request.get(f"{LEDGERS}/hers").status == 404
        for path in ("", "/description", "/archive", "/delete"):
            answer = cleo.request.post(f"{LEDGERS}/hers{path}", form={"csrf": token, "data": "{}"})
            assert answer.status == 404
    assert home.ada.get("/v1/ledgers/hers").json()["ledger"]["archived_at"] is None
