"""Coming in and going out, in a real browser: accounts, passwords, one-time codes."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console.windows import window
from tests.system.people import PASSWORD
from tests.system.processes import Server, done, serving, wait_until

ADA = "ada@example.com"
BEN = "ben@example.com"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("console") / "data"
    with serving(data, {"CYAN_SIGN_UP": "open", "CYAN_LIMIT_LOOPBACK": "no"}) as running:
        done("user", "add", ADA, "--password", PASSWORD, "--data", running.data)
        done("user", "add", BEN, "--password", PASSWORD, "--data", running.data)
        yield running


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """Nobody, at the door."""
    with window(browser, server) as opened:
        opened.goto("/console/sign-in")
        yield opened


def sign_in(page: Page, username: str, password: str = PASSWORD) -> None:
    page.get_by_label("E-mail address").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def is_in(page: Page) -> None:
    expect(page.get_by_role("navigation", name="Rooms")).to_be_visible()


def codes(server: Server) -> list[str]:
    """Those that stand in letters, which are files here."""
    letters = [path.read_text() for path in sorted((Path(server.data) / "mail").glob("*"))]
    found = [re.search(r"^ {4}([0-9a-f]{40})$", text, re.MULTILINE) for text in letters]
    return [match[1] for match in found if match]


def test_a_browser_at_the_servers_address_is_led_to_the_door(page: Page, server: Server) -> None:
    page.goto("/")
    expect(page).to_have_url(re.compile(r"/console/sign-in$"))
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert page.request.get("/", headers={"accept": "*/*"}).status == 404


def test_somebody_makes_an_account_and_is_in(page: Page) -> None:
    page.get_by_role("link", name="Make an account").click()
    page.get_by_label("E-mail address").fill("new@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("First name").fill("עדה")
    page.get_by_role("button", name="Make the account").click()
    is_in(page)
    expect(page.locator(".toast")).to_contain_text("Your account is made.")
    expect(page.get_by_role("heading", name="Welcome")).to_be_visible()
    page.goto("/console/account")
    expect(page.get_by_label("First name")).to_have_value("עדה")


def test_what_is_wrong_with_a_new_account_stands_beside_its_field(page: Page) -> None:
    page.goto("/console/sign-up")
    page.get_by_label("E-mail address").fill(ADA)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_label("E-mail address")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("There is already an account with this username.")).to_be_visible()
    expect(page.get_by_label("E-mail address")).to_have_value(ADA)
    assert page.get_by_label("Password").input_value() == ""


def test_a_wrong_password_and_an_unknown_name_are_told_alike(page: Page) -> None:
    told = []
    for username in (ADA, "nobody@example.com"):
        page.goto("/console/sign-in")
        sign_in(page, username, "not the password")
        told.append(page.get_by_role("alert").inner_text())
        assert page.get_by_label("E-mail address").input_value() == username
    assert told == ["The e-mail address or the password is not right."] * 2


def test_signing_out_ends_the_session_also_for_who_kept_the_cookie(
    page: Page, server: Server
) -> None:
    sign_in(page, ADA)
    is_in(page)
    cookies = page.context.cookies()
    assert all(cookie["httpOnly"] for cookie in cookies if "session" in cookie["name"])
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    page.context.add_cookies(
        [
            {
                "name": cookie["name"],
                "value": cookie["value"],
                "domain": cookie["domain"],
                "path": cookie["path"],
            }
            for cookie in cookies
        ]
    )
    page.goto("/console/account")
    expect(page).to_have_url(re.compile("/console/sign-in"))
    expect(page.get_by_text("Your session has ended.")).to_be_visible()


def test_after_signing_in_one_is_where_one_wanted_to_go_and_never_elsewhere(page: Page) -> None:
    page.goto("/console/account/security?tab=1")
    expect(page.get_by_text("Sign in to see that page.")).to_be_visible()
    sign_in(page, ADA)
    expect(page).to_have_url(re.compile(r"/console/account/security\?tab=1$"))
    page.get_by_role("button", name="Sign out").click()
    for target in (
        "https://evil.example/",
        "//evil.example/",
        "/console/\\evil.example",
        "/v1/user",
    ):
        page.goto(f"/console/sign-in?next={target}")
        sign_in(page, ADA)
        is_in(page)
        assert "evil" not in page.url
        assert "/console" in page.url
        page.get_by_role("button", name="Sign out").click()


def test_a_form_from_before_signing_out_changes_nothing(browser: Browser, server: Server) -> None:
    with window(browser, server) as page:
        page.goto("/console/sign-in")
        sign_in(page, BEN)
        page.goto("/console/account")
        page.get_by_label("Company").fill("Forged")
        other = page.context.new_page()
        other.goto("/console/account")
        other.get_by_role("button", name="Sign out").click()
        sign_in(other, BEN)
        is_in(other)
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("heading", name="That is not allowed")).to_be_visible()
        expect(page.get_by_text("Load it again")).to_be_visible()
        page.goto("/console/account")
        assert page.get_by_label("Company").input_value() == ""


def test_a_second_factor_is_set_up_asked_for_and_turned_off(page: Page) -> None:
    page.goto("/console/sign-up")
    page.get_by_label("E-mail address").fill("careful@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()
    page.goto("/console/account/security")
    page.get_by_role("link", name="Set it up").click()
    expect(page.locator(".qr svg")).to_be_visible()
    page.get_by_text("I cannot scan").click()
    secret = page.locator("details code").inner_text()
    page.get_by_label("Code", exact=True).fill("000000")
    page.get_by_role("button", name="Turn it on").click()
    expect(page.get_by_text("The one-time code is not right")).to_be_visible()
    totp = pyotp.TOTP(secret)
    page.get_by_label("Code", exact=True).fill(totp.now())
    page.get_by_role("button", name="Turn it on").click()
    expect(page.get_by_text("The second factor is on.")).to_be_visible()

    page.get_by_role("button", name="Sign out").click()
    sign_in(page, "careful@example.com")
    expect(page.get_by_role("heading", name="One-time code")).to_be_visible()
    page.get_by_label("Code", exact=True).fill("123")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("The code is not right")
    page.goto("/console/account")
    expect(page).to_have_url(re.compile("/console/sign-in"))
    sign_in(page, "careful@example.com")
    # The code of before was used; the next one counts a step ahead of its time.
    page.get_by_label("Code", exact=True).fill(totp.at(datetime.now(UTC), counter_offset=1))
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile(r"/console(/account|/welcome)$"))

    page.goto("/console/account/security")
    page.get_by_label("Current password").last.fill(PASSWORD)
    page.get_by_role("button", name="Turn it off").click()
    page.get_by_role("dialog").get_by_role("button", name="Turn it off").click()
    expect(page.get_by_text("The second factor is off.")).to_be_visible()


def test_a_forgotten_password_is_set_anew_with_the_code_of_the_letter(
    page: Page, server: Server
) -> None:
    page.get_by_role("link", name="Forgot the password?").click()
    page.get_by_label("E-mail address").fill(BEN)
    page.get_by_role("button", name="Send the code").click()
    expect(page.get_by_text("a code is on its way")).to_be_visible()
    wait_until(lambda: bool(codes(server)), "a letter with a code")
    code = codes(server)[0]
    (letter,) = (Path(server.data) / "mail").glob("*")
    assert f"{server.api_url}/console/reset" in letter.read_text()
    page.get_by_label("Code of the mail").fill("f" * 40)
    page.get_by_label("New password").fill("a new password")
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_text("The code of this password reset is not known")).to_be_visible()
    page.get_by_label("Code of the mail").fill(code)
    page.get_by_label("New password").fill("a new password")
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_text("The new password holds.")).to_be_visible()
    sign_in(page, BEN, "a new password")
    is_in(page)


def test_the_door_is_passed_by_keyboard_alone(page: Page) -> None:
    page.keyboard.type(ADA)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    is_in(page)
    page.goto("/console/account")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_light_and_dark_are_switched_and_kept(page: Page) -> None:
    sign_in(page, ADA)
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Light or dark").click()
    after = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert after != before
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == after
