"""Pictures of the console's main pages: `python -m tests.console.screenshots FOLDER`.

Desk and phone, light and dark, empty, wrong, long and right-to-left names, 10,000 devices.
Somebody looks at each; the tutorial shows some of them.
"""

import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import httpx
from playwright.sync_api import Browser, FilePayload, Page

from cyan.wire.describe.system import USER_PART
from cyan.wire.module import encode_module
from tests.console.windows import chromium, window
from tests.system.people import PASSWORD, log_in
from tests.system.processes import Server, done, migrated, serving, simulating

ADA: Final = "ada@example.com"
EMPTY: Final = "cleo@example.com"
FLEET: Final = "fleet@example.com"
OPERATOR: Final = "root@example.com"

FLEET_SIZE: Final = 10_000
FIRMWARE_BYTES: Final = 400_000
NAMES: Final = (
    "greenhouse-north",
    "مصباح الحديقة الخلفية",
    "the-pump-behind-the-old-mill-that-nobody-has-ever-found-again-x2",
    "kitchen",
)
PLATFORMS: Final = (12, 13, 32)
"""Argon, Boron, Photon 2."""

SETTLED_MS: Final = 700
"""For streams to have told what is, and animations to have ended."""

DESK: Final = (1280, 860)
PHONE: Final = (390, 844)


@dataclass(frozen=True, slots=True)
class Shot:
    """One page. `looks` are of `desk`, `phone`, `dark`, `phone-dark`."""

    name: str
    path: str
    who: str | None = ADA
    looks: tuple[str, ...] = ("desk", "phone")
    act: Callable[[Page], None] | None = None


def _open_dialog(page: Page) -> None:
    page.get_by_role("button", name="New client").first.click()


def _fail_to_sign_in(page: Page) -> None:
    page.get_by_label("E-mail address").fill(ADA)
    page.get_by_label("Password").fill("not this one")
    page.get_by_role("button", name="Sign in").click()


def _call(page: Page) -> None:
    line = page.locator("form.call").filter(has_text="led").first
    line.get_by_role("textbox").fill("on")
    line.get_by_role("button", name="Call").click()
    page.get_by_role("button", name="Read all").click()


def _flash(page: Page) -> None:
    data = encode_module(
        Random(7).randbytes(FIRMWARE_BYTES), platform_id=12, function=USER_PART, version=6
    )
    file: FilePayload = {
        "name": "blink.bin",
        "mimeType": "application/octet-stream",
        "buffer": data,
    }
    page.set_input_files("#flash-file", file)
    page.locator("#updates progress[value]").first.wait_for()


def _cancel(page: Page) -> None:
    _flash(page)
    # Its button is made anew with each step of the update, too often for a slow machine to hit it.
    page.locator("#cancel-update").evaluate("it => it.showModal()")
    page.get_by_role("button", name="Cancel the update").click()
    page.locator("#updates .badge.is-bad").first.wait_for()


def _send_junk(page: Page) -> None:
    file: FilePayload = {"name": "a.bin", "mimeType": "application/octet-stream", "buffer": b"junk"}
    page.set_input_files("#flash-file", file)
    page.locator("#flash .notice").wait_for()


def _inspect(page: Page) -> None:
    page.get_by_role("button", name="Pause").click()
    page.locator(".event summary").nth(1).click()


def _open_claim(page: Page) -> None:
    page.get_by_role("button", name="Claim a device").click()


def _cut_off(page: Page) -> None:
    page.route("**/live*", lambda route: route.abort())
    page.reload()
    page.locator("#not-live").wait_for()


def _scroll_to_refused(page: Page) -> None:
    page.get_by_role("heading", name="Refused devices").evaluate("it => it.scrollIntoView()")


def _tick(page: Page) -> None:
    page.get_by_label("Tick all of this page").check()


EVERY: Final = ("desk", "phone", "dark", "phone-dark")
SHOTS: Final = (
    Shot("sign-in", "sign-in", None, EVERY),
    Shot("sign-in-wrong", "sign-in", None, ("desk",), _fail_to_sign_in),
    Shot("sign-up", "sign-up", None),
    Shot("forgotten", "reset?sent=1", None, ("desk",)),
    Shot("welcome", "welcome", looks=EVERY),
    Shot("welcome-empty", "welcome", EMPTY),
    Shot("devices", "devices", looks=EVERY, act=_tick),
    Shot("devices-empty", "devices", EMPTY),
    Shot("devices-none-fits", "devices?q=nothing", looks=("desk",)),
    Shot("devices-10000", "devices", FLEET),
    Shot("devices-10000-found", "devices?q=77", FLEET, ("desk",)),
    Shot("transfers", "devices/transfers", looks=("desk", "phone")),
    Shot("device", "devices/{device}", looks=EVERY, act=_call),
    Shot("device-long-name", "devices/{long}"),
    Shot("device-right-to-left", "devices/{arabic}"),
    Shot("device-offline", "devices/{offline}"),
    Shot("device-file-refused", "devices/{device}", looks=("desk",), act=_send_junk),
    Shot("device-update", "devices/{kitchen}", looks=("desk",), act=_flash),
    Shot("device-update-cancelled", "devices/{long}", looks=("desk",), act=_cancel),
    Shot("devices-claim", "devices", act=_open_claim),
    Shot("devices-not-live", "devices", looks=("desk", "phone"), act=_cut_off),
    Shot("sign-in-first", "devices", None, ("desk",)),
    Shot("events", "events", looks=EVERY),
    Shot("events-inspected", "events", looks=("desk", "phone", "dark"), act=_inspect),
    Shot("events-history", "events/history"),
    Shot("events-empty", "events", EMPTY, ("desk",)),
    Shot("account", "account", looks=EVERY),
    Shot("account-security", "account/security"),
    Shot("account-second-factor", "account/security/second-factor", looks=("desk", "phone-dark")),
    Shot("account-apps", "account/apps"),
    Shot("account-new-client", "account/apps", looks=("desk", "phone"), act=_open_dialog),
    Shot("account-environment", "account/environment", looks=("desk", "phone")),
    Shot("account-ledgers", "account/ledgers", looks=("desk", "phone")),
    Shot("account-secrets", "account/secrets", looks=("desk", "phone")),
    Shot("account-history", "account/history"),
    Shot("server", "server", OPERATOR, EVERY),
    Shot("server-refused", "server", OPERATOR, act=_scroll_to_refused),
    Shot("not-found", "nothing", looks=("desk", "phone-dark")),
    Shot("not-found-nobody", "nothing", None, ("desk",)),
)


@contextmanager
def stage(folder: Path) -> Iterator[tuple[Server, dict[str, str]]]:
    """A server with everything to be seen, and the ids that the paths name."""
    data = migrated(folder / "data")
    for name in (ADA, EMPTY, FLEET):
        done("user", "add", name, "--password", PASSWORD, "--data", data)
    done("user", "add", OPERATOR, "--password", PASSWORD, "--operator", "--data", data)
    _add_rows(data / "cyan.db")
    settings = {"CYAN_ENROLMENT": "open", "CYAN_SIGN_UP": "open", "CYAN_LIMIT_LOOPBACK": "no"}
    with serving(data, settings) as server:
        # Slow enough for an update to be seen on its way.
        options = ("--count", str(len(NAMES)), "--rate", "0.5", "--fault", "delay for_s=0.15")
        with simulating(server.key_file(), *options) as simulator:
            ids = simulator.wait_until_ready()
            headers = {"authorization": f"Bearer {log_in(server, ADA, PASSWORD)}"}
            with httpx.Client(base_url=server.api_url, headers=headers, timeout=60) as api:
                for device_id, name in zip(ids, NAMES, strict=True):
                    assert api.post("/v1/devices", data={"id": device_id}).status_code == 200
                    path = f"/v1/devices/{device_id}"
                    assert api.put(path, data={"name": name}).status_code == 200, name
                    api.post(f"/v1/diagnostics/{device_id}/update")
                offline = api.get("/v1/devices/cellar").json()["id"]
                api.post("/v1/clients", data={"name": "lamp app", "type": "installed"})
                time.sleep(5)
                ids_of = {
                    "device": ids[0],
                    "arabic": ids[1],
                    "long": ids[2],
                    "kitchen": ids[3],
                    "offline": offline,
                }
                yield server, ids_of


def _add_rows(path: Path) -> None:
    """A large fleet, a device that is never online, and refusals, as the server would find them."""
    now_ms = int(time.time() * 1000)
    connection = sqlite3.connect(path)
    owners = dict(connection.execute("SELECT username, id FROM accounts_user").fetchall())
    rows = [
        (f"{number:024x}", f"sensor-{number:05}", owners[FLEET], now_ms, PLATFORMS[number % 3])
        for number in range(1, FLEET_SIZE + 1)
    ]
    rows.append(("e00fce68" + "0" * 15 + "1", "cellar", owners[ADA], now_ms, 13))
    connection.executemany(
        "INSERT INTO devices_device (id, name, owner_id, registered_at_ms, platform_id)"
        " VALUES (?, ?, ?, ?, ?)",
        rows,
    )
    reasons = ("unknown_device", "wrong_key", "key_of_another_device", "handshakes_again")
    connection.executemany(
        "INSERT INTO devices_refusal (device_id, reason, fingerprint, transport, address,"
        " first_at_ms, last_at_ms, count) VALUES (?, ?, 'ab', 'udp', '192.0.2.7', ?, ?, ?)",
        [
            (f"e00fce6800000000000000{at:02x}", reason, now_ms, now_ms - at * 61_000, at * 7 + 1)
            for at, reason in enumerate(reasons)
        ],
    )
    connection.commit()
    connection.close()


def take(browser: Browser, server: Server, ids: dict[str, str], folder: Path) -> list[str]:
    """Every picture; what the pages did that they should not."""
    faults = []
    for shot in SHOTS:
        for look in shot.looks:
            try:
                _take_one(browser, server, ids, folder, shot, look)
            except AssertionError as error:
                faults.append(f"{shot.name}.{look}: {error}")
    return faults


def _take_one(
    browser: Browser, server: Server, ids: dict[str, str], folder: Path, shot: Shot, look: str
) -> None:
    with window(browser, server, shot.who) as page:
        width, height = PHONE if "phone" in look else DESK
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(
            color_scheme="dark" if "dark" in look else "light", reduced_motion="reduce"
        )
        page.goto(f"/console/{shot.path.format(**ids)}")
        if shot.act is not None:
            shot.act(page)
        page.wait_for_timeout(SETTLED_MS)
        page.screenshot(path=folder / f"{shot.name}.{look}.png")


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as data,
        chromium() as browser,
        stage(Path(data)) as (server, ids),
    ):
        faults = take(browser, server, ids, folder)
    print(f"The pictures are in {folder}.")
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
