"""The account's rooms in a real browser: who one is, proofs, tokens, clients, history, the end."""

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console.windows import window
from tests.system.people import PASSWORD, log_in
from tests.system.processes import Server, done, serving

ADA = "ada@example.com"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("account") / "data"
    with serving(data, {"CYAN_LIMIT_LOOPBACK": "no"}) as running:
        done("user", "add", ADA, "--password", PASSWORD, "--data", running.data)
        yield running


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    with window(browser, server, ADA) as opened:
        yield opened


def test_what_one_says_of_oneself_is_kept(page: Page) -> None:
    page.goto("/console/account")
    page.get_by_label("First name").fill("Ada")
    page.get_by_label("Company").fill('<b>Lamps & "Co"</b>')
    page.get_by_label("This is a business account").check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".toast")).to_contain_text("Saved.")
    page.reload()
    assert page.get_by_label("First name").input_value() == "Ada"
    assert page.get_by_label("Company").input_value() == '<b>Lamps & "Co"</b>'
    assert page.get_by_label("This is a business account").is_checked()
    assert page.locator(".toast").count() == 0


def test_another_address_needs_the_password(page: Page) -> None:
    page.goto("/console/account")
    page.get_by_label("New address").fill("lovelace@example.com")
    page.get_by_label("Current password").first.fill("not mine")
    page.get_by_role("button", name="Change the address").click()
    expect(page.get_by_text("The current password is not right.")).to_be_visible()
    page.get_by_label("New address").fill("lovelace@example.com")
    page.get_by_label("Current password").first.fill(PASSWORD)
    page.get_by_role("button", name="Change the address").click()
    expect(page.locator(".who")).to_have_text("lovelace@example.com")
    page.get_by_label("New address").fill(ADA)
    page.get_by_label("Current password").first.fill(PASSWORD)
    page.get_by_role("button", name="Change the address").click()
    expect(page.locator(".who")).to_have_text(ADA)


def test_another_browser_is_seen_and_signed_out(
    page: Page, browser: Browser, server: Server
) -> None:
    with window(browser, server) as elsewhere:
        elsewhere.goto("/console/sign-in")
        elsewhere.get_by_label("E-mail address").fill(ADA)
        elsewhere.get_by_label("Password").fill(PASSWORD)
        elsewhere.get_by_role("button", name="Sign in").click()
        elsewhere.get_by_role("navigation", name="Rooms").wait_for()
        page.goto("/console/account/security")
        expect(page.get_by_text("this browser")).to_have_count(1)
        page.get_by_role("button", name=re.compile("^Sign out Chrome on Linux")).first.click()
        expect(page.get_by_text("That browser is signed out.")).to_be_visible()
        elsewhere.goto("/console/account")
        expect(elsewhere).to_have_url(re.compile("/console/sign-in"))


def test_a_token_of_the_command_line_is_listed_and_ended(page: Page, server: Server) -> None:
    token = log_in(server, ADA, PASSWORD)
    asking = {"authorization": f"Bearer {token}"}
    assert httpx.get(f"{server.api_url}/v1/user", headers=asking).status_code == 200
    page.goto("/console/account/apps")
    assert token not in page.content()
    page.get_by_role("button", name="End the token of particle-cli").first.click()
    expect(page.get_by_text("The token has ended.")).to_be_visible()
    assert httpx.get(f"{server.api_url}/v1/user", headers=asking).status_code == 401


def test_a_client_is_made_and_its_secret_shown_once(page: Page, server: Server) -> None:
    page.goto("/console/account/apps")
    page.get_by_role("button", name="New client").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("lamp app")
    dialog.get_by_label("Kind").select_option("web")
    dialog.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("alert")).to_contain_text("redirect_uri")
    page.get_by_role("button", name="Try again").click()
    dialog.get_by_label("Redirect address").fill("https://example.com/setup")
    dialog.get_by_role("button", name="Make it").click()
    expect(page.get_by_text("This is the only time that the secret is shown.")).to_be_visible()
    client_id, secret = page.locator(".command code").all_inner_texts()[:2]
    made = httpx.post(
        f"{server.api_url}/oauth/token",
        data={"grant_type": "client_credentials"},
        auth=(client_id, secret),
    )
    assert made.status_code == 200
    page.goto("/console/account/apps")
    assert secret not in page.content()
    page.get_by_role("button", name="Delete lamp app").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("The client is deleted")).to_be_visible()
    headers = {"authorization": f"Bearer {made.json()['access_token']}"}
    assert httpx.get(f"{server.api_url}/v1/user", headers=headers).status_code == 401


def test_what_was_done_stands_in_the_history(page: Page) -> None:
    page.goto("/console/account/history")
    expect(page.get_by_role("row").filter(has_text="Signed in").first).to_be_visible()
    created = page.get_by_role("row").filter(has_text="User created")
    expect(created).to_contain_text("your account")
    expect(created).to_contain_text("by operator")
    page.goto("/console/account/history?before=1")
    expect(page.get_by_text("Nothing yet")).to_be_visible()
    assert page.goto(f"/console/account/history?before={'9' * 5000}") is not None
    expect(page.get_by_role("heading", name="What was done")).to_be_visible()


def test_an_account_is_deleted_with_its_password_only(browser: Browser, server: Server) -> None:
    name = "gone@example.com"
    done("user", "add", name, "--password", PASSWORD, "--data", server.data)
    with window(browser, server, name) as page:
        page.goto("/console/account")
        page.get_by_role("button", name="Delete the account").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Current password").fill("not mine")
        dialog.get_by_role("button", name="Delete for ever").click()
        expect(page.get_by_role("alert")).to_contain_text("The current password is not right.")
        page.get_by_role("button", name="Delete the account").click()
        dialog.get_by_label("Current password").fill(PASSWORD)
        dialog.get_by_role("button", name="Delete for ever").click()
        expect(page.get_by_text("Your account is deleted.")).to_be_visible()
        page.get_by_label("E-mail address").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("is not right")


def test_a_new_password_signs_out_the_other_browsers_and_not_this_one(
    browser: Browser, server: Server
) -> None:
    name = "changing@example.com"
    done("user", "add", name, "--password", PASSWORD, "--data", server.data)
    with window(browser, server, name) as page, window(browser, server) as elsewhere:
        elsewhere.goto("/console/sign-in")
        elsewhere.get_by_label("E-mail address").fill(name)
        elsewhere.get_by_label("Password").fill(PASSWORD)
        elsewhere.get_by_role("button", name="Sign in").click()
        elsewhere.get_by_role("navigation", name="Rooms").wait_for()
        page.goto("/console/account/security")
        page.get_by_label("Current password").first.fill(PASSWORD)
        page.get_by_label("New password").fill("short")
        assert page.get_by_label("New password").evaluate("field => field.validity.tooShort")
        page.get_by_label("New password").fill("another password")
        page.get_by_role("button", name="Change the password").click()
        expect(page.get_by_text("The new password holds.")).to_be_visible()
        elsewhere.goto("/console/account")
        expect(elsewhere).to_have_url(re.compile("/console/sign-in"))
        page.goto("/console/account")
        expect(page.get_by_role("heading", name="Account", exact=True)).to_be_visible()
