"""The first visit, and the operator's page, in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from cyan.wire.server_key import decode_server_key
from tests.console.house import ADA, CLEO, House, house
from tests.console.windows import window
from tests.system.people import PASSWORD
from tests.system.processes import done, serving, simulating, wait_until

ROOT = "root@example.com"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("welcome"), browser, count=2) as made:
        data = made.server.data
        done("user", "add", ROOT, "--password", PASSWORD, "--operator", "--data", data)
        yield made


def test_who_has_no_device_is_welcomed_and_who_has_some_sees_them(home: House) -> None:
    with window(home.browser, home.server, CLEO) as page:
        page.goto("/console")
        expect(page.get_by_role("heading", name="Welcome")).to_be_visible()
        expect(page.get_by_text("No device is yours yet.")).to_be_visible()
    with window(home.browser, home.server, ADA) as page:
        page.goto("/console")
        expect(page).to_have_title("Devices · Cyan")


def test_a_simulated_device_is_alive_on_the_first_page(home: House) -> None:
    with window(home.browser, home.server, ADA) as page:
        page.goto("/console/welcome")
        expect(page.locator(".dot.is-online")).to_have_count(1)
        page.get_by_role("link", name="lamp-1").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("lamp-1")


@pytest.mark.parametrize(("board", "size"), [("udp", 320), ("tcp", 512)])
def test_the_key_for_a_board_has_the_address_that_was_asked_for(
    home: House, board: str, size: int
) -> None:
    with window(home.browser, home.server, ADA) as page:
        page.goto(f"/console/welcome?board={board}")
        page.get_by_label("Name or address").fill("cloud.example.com")
        page.get_by_role("button", name="Use it").click()
        with page.expect_download() as loading:
            page.get_by_role("link", name=f"server_{board}_public.der").first.click()
        content = loading.value.path().read_bytes()
        assert loading.value.suggested_filename == f"server_{board}_public.der"
        assert len(content) == size
        assert decode_server_key(content).host == "cloud.example.com"
        expect(page.get_by_text(f"particle keys server server_{board}_public.der")).to_be_visible()


def test_an_address_that_no_board_can_store_is_refused(home: House) -> None:
    with window(home.browser, home.server, ADA) as page:
        page.goto("/console/welcome?host=ünder/ground")
        expect(page.get_by_text("A name, or an IPv4 address.")).to_be_visible()
        path = "/console/welcome/server_udp_public.der"
        assert page.request.get(f"{path}?host={'x' * 64}").status == 400
        assert page.request.get("/console/welcome/server_udp.pem").status == 404


def test_the_lines_for_the_command_line_have_the_servers_own_address(home: House) -> None:
    with window(home.browser, home.server, ADA) as page:
        page.goto("/console/welcome")
        expect(page.get_by_text(f"apiUrl {home.server.api_url}")).to_be_visible()


def test_the_operator_sees_the_server_and_its_figures_change_by_themselves(home: House) -> None:
    with window(home.browser, home.server, ROOT) as page:
        page.goto("/console")
        page.get_by_role("link", name="Server", exact=True).click()
        figures = page.get_by_label("Figures")
        expect(figures).to_contain_text("Devices online")
        before = figures.inner_html()
        page.evaluate("window.isTheSamePage = true")
        page.wait_for_function(
            "text => document.querySelector('[aria-label=Figures]').innerHTML != text", arg=before
        )
        assert page.evaluate("window.isTheSamePage") is True
        expect(page.get_by_text("None was refused")).to_be_visible()


def test_for_others_there_is_no_server_page(home: House) -> None:
    with window(home.browser, home.server, ADA) as page:
        page.goto("/console/server")
        expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()
        assert page.get_by_role("link", name="Server", exact=True).count() == 0


def test_a_refused_device_stands_there_with_what_helps(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        done("user", "add", ROOT, "--password", PASSWORD, "--operator", "--data", server.data)
        with simulating(server.key_file(), "--count", "1", "--seed", "7"):
            wait_until(
                lambda: bool(server.rows("SELECT device_id FROM devices_refusal")), "a refusal"
            )
        ((device_id,),) = server.rows("SELECT device_id FROM devices_refusal")
        with window(browser, server, ROOT) as page:
            page.goto("/console/server")
            row = page.get_by_role("row").filter(has_text=device_id)
            expect(row).to_contain_text("Nobody has registered it here.")
            expect(row).to_contain_text(f"cyan device add {device_id}")
            page.goto("/console/welcome")
            expect(page.get_by_text("cyan device add <id>")).to_be_visible()


def test_the_console_can_be_switched_off(tmp_path: Path) -> None:
    with serving(tmp_path / "data", {"CYAN_CONSOLE": "off"}) as server:
        for path in ("/", "/console", "/console/sign-in"):
            answer = httpx.get(server.api_url + path, headers={"accept": "text/html"})
            assert answer.status_code == 404
        assert httpx.get(f"{server.api_url}/health").status_code == 200
