"""Secrets by clicks: set, replaced, deleted, and never read back."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console.house import ADA, CLEO, House, house
from tests.console.windows import window

SECRETS = "/console/account/secrets"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("secrets"), browser, count=1) as made:
        yield made


def keep(page: Page, name: str, value: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Value").fill(value)
    page.get_by_role("button", name="Keep it").click()


def test_a_secret_is_kept_replaced_and_deleted_and_its_value_is_on_no_page(home: House) -> None:
    with window(home.browser, home.server, ADA) as page:
        page.goto("/console/account")
        page.get_by_role("link", name="Secrets").click()
        keep(page, "api key", "first value")
        expect(page.get_by_text("A secret's name has capital letters")).to_be_visible()
        assert "first value" not in page.content()
        keep(page, "API_KEY", "first value")
        expect(page.get_by_text("API_KEY is kept.")).to_be_visible()
        page.get_by_role("link", name="Replace API_KEY").click()
        assert page.get_by_label("Value").input_value() == ""
        assert page.get_by_label("Name").input_value() == "API_KEY"
        page.get_by_label("Value").fill("ä" * 8192)
        page.get_by_role("button", name="Keep it").click()
        expect(page.get_by_text("text of 1 to 8192 bytes")).to_be_visible()
        keep(page, "API_KEY", "second value")
        expect(page.get_by_text("API_KEY is kept.")).to_be_visible()
        assert "second value" not in page.content()
        (kept,) = home.ada.get("/v1/secrets").json()["secrets"]
        assert kept["name"] == "API_KEY"
        page.get_by_role("button", name="Delete API_KEY").click()
        page.locator("#confirm-yes").click()
        expect(page.get_by_text("API_KEY is deleted.")).to_be_visible()
        assert home.ada.get("/v1/secrets").json()["secrets"] == []


def test_a_stranger_neither_sees_nor_deletes_one(home: House) -> None:
    assert home.ada.put("/v1/secrets/HERS", json={"value": "x"}).is_success
    with window(home.browser, home.server, CLEO) as page:
        page.goto(SECRETS)
        expect(page.get_by_text("No secrets")).to_be_visible()
        token = page.locator("input[name=csrf]").first.input_value()
        answer = page.request.post(f"{SECRETS}/delete", form={"csrf": token, "name": "HERS"})
        assert answer.status == 404
    assert home.ada.get("/v1/secrets/HERS").status_code == 200
