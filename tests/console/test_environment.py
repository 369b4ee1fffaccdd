"""Environment variables by clicks: set, changed, rolled out, taken away; of the account and of a
device. What the API says of them afterwards is what the pages did."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from cyan.console.environment import Variable, variables_of
from cyan.environment.model import Layer, State
from tests.console.house import ADA, CLEO, House, house
from tests.console.windows import window


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("environment"), browser, count=2) as made:
        yield made


def test_what_the_next_rollout_does_is_told_of_each_variable() -> None:
    account = Layer(latest={"A": "1", "B": "2"}, snapshot={"A": "1", "B": "2"})
    own = Layer(latest={"B": "3", "C": "4"}, snapshot={"C": "5", "D": "6"})
    assert variables_of(State(own, account)) == [
        Variable("A", "1", is_own=False, hides=False, state="holds", before=None),
        Variable("B", "3", is_own=True, hides=True, state="changed", before="2"),
        Variable("C", "4", is_own=True, hides=False, state="changed", before="5"),
        Variable("D", "6", is_own=True, hides=False, state="removed", before=None),
    ]


def test_a_variable_of_the_account_is_set_rolled_out_and_reaches_the_devices_page(
    home: House,
) -> None:
    with window(home.browser, home.server, ADA) as page:
        page.goto("/console/account")
        page.get_by_role("link", name="Environment").click()
        expect(page.get_by_text("No variables")).to_be_visible()
        _set(page, "log level", "debug")
        expect(page.get_by_text("A variable's name has capital letters")).to_be_visible()
        assert page.get_by_label("Value").input_value() == "debug"
        _set(page, "LOG_LEVEL", '<b>debug</b>\nمرحبا "x"')
        expect(row(page, "LOG_LEVEL")).to_contain_text("new")
        assert home.ada.get("/v1/env/render").json()["env"] == {}
        page.get_by_role("button", name="Roll out").click()
        page.get_by_role("dialog").get_by_role("button", name="Roll out").click()
        expect(row(page, "LOG_LEVEL")).to_contain_text("holds")
        told = home.ada.get("/v1/env/render").json()["env"]
        assert told == {"LOG_LEVEL": '<b>debug</b>\nمرحبا "x"'}

        page.goto(f"/console/devices/{home.devices[0]}")
        page.get_by_role("link", name="Variables").click()
        expect(row(page, "LOG_LEVEL")).to_contain_text("the account")
        row(page, "LOG_LEVEL").get_by_role("link", name="Change LOG_LEVEL").click()
        assert page.get_by_label("Value").input_value() == '<b>debug</b>\nمرحبا "x"'
        page.get_by_label("Value").fill("quiet")
        page.get_by_role("button", name="Set it").click()
        expect(row(page, "LOG_LEVEL")).to_contain_text("instead of the account")
        page.get_by_role("button", name="Roll out").click()
        page.get_by_role("dialog").get_by_role("button", name="Roll out").click()
        expect(row(page, "LOG_LEVEL")).to_contain_text("holds")
        path = f"/v1/env/{home.devices[0]}/render"
        assert home.ada.get(path).json()["env"] == {"LOG_LEVEL": "quiet"}
        row(page, "LOG_LEVEL").get_by_role("button", name="Remove LOG_LEVEL").click()
        expect(row(page, "LOG_LEVEL")).to_contain_text("changed")
        expect(row(page, "LOG_LEVEL").get_by_text("the account", exact=True)).to_be_visible()


def test_more_than_a_device_takes_is_refused_beside_the_value(home: House) -> None:
    with window(home.browser, home.server, ADA) as page:
        page.goto("/console/account/environment")
        _set(page, "MUCH", "ä" * 9000)
        expect(page.get_by_text("one device takes 16384 at most")).to_be_visible()
        assert "MUCH" not in home.ada.get("/v1/env").json()["latest"]["own"]


@pytest.mark.parametrize("path", ["", "/remove", "/rollout"])
def test_a_stranger_changes_nothing_of_a_device(home: House, path: str) -> None:
    before = home.ada.get(f"/v1/env/{home.devices[0]}").json()
    with window(home.browser, home.server, CLEO) as page:
        page.goto("/console/account")
        token = page.locator("input[name=csrf]").first.input_value()
        for device_id in (home.devices[0], "0" * 24):
            answer = page.request.post(
                f"/console/devices/{device_id}/environment{path}",
                form={"name": "LOG_LEVEL", "value": "mine", "csrf": token},
            )
            assert answer.status == 404
    assert home.ada.get(f"/v1/env/{home.devices[0]}").json() == before


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has_text=name)


def _set(page: Page, name: str, value: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Value").fill(value)
    page.get_by_role("button", name="Set it").click()
