"""What the tests of rooms share: a real server, simulated devices, and people in browsers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
from playwright.sync_api import Browser

from tests.system.people import PASSWORD, log_in
from tests.system.processes import Server, Simulator, done, serving, simulating

ADA: Final = "ada@example.com"
CLEO: Final = "cleo@example.com"


@dataclass(frozen=True, slots=True)
class House:
    """`devices` are online, the first ones Ada's, the last one nobody's."""

    server: Server
    simulator: Simulator
    browser: Browser
    devices: list[str]
    ada: httpx.Client
    """Ada by the API, to prepare what a test needs and to look at what it did."""

    @property
    def free(self) -> str:
        return self.devices[-1]


@contextmanager
def house(
    folder: Path,
    browser: Browser,
    *,
    count: int = 3,
    simulator: tuple[str, ...] = (),
    settings: Mapping[str, str] | None = None,
) -> Iterator[House]:
    """A house that stands as long as its `with`."""
    data = folder / "data"
    with serving(data, {"CYAN_ENROLMENT": "open", **(settings or {})}) as server:
        for name in (ADA, CLEO):
            done("user", "add", name, "--password", PASSWORD, "--data", server.data)
        token = log_in(server, ADA, PASSWORD)
        options = ("--count", str(count), *simulator)
        with (
            simulating(server.key_file(), *options) as devices,
            httpx.Client(
                base_url=server.api_url, headers={"authorization": f"Bearer {token}"}, timeout=60
            ) as ada,
        ):
            ids = devices.wait_until_ready()
            for number, device_id in enumerate(ids[:-1], 1):
                assert ada.post("/v1/devices", data={"id": device_id}).status_code == 200
                path = f"/v1/devices/{device_id}"
                assert ada.put(path, data={"name": f"lamp-{number}"}).status_code == 200
            yield House(server, devices, browser, ids, ada)
