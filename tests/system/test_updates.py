"""Updates over real sockets: boards of both transports and both protocols, servers and boards that
are killed in the middle, and what people are told (acceptance rows 19 and 52)."""

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from cyan.wire.describe.system import USER_PART
from cyan.wire.module import encode_module, parse_module
from tests.system.people import logged_in
from tests.system.processes import Server, Simulator, serving, simulating, wait_until

ARGON, ELECTRON, GCC, PHOTON = "argon:1", "electron:2.3:1", "gcc:6.2:1", "photon:0.7:1"
"""The current protocol over UDP; the legacy one over UDP, and twice over TCP."""

FLEET: Final = ("--mix", ARGON, "--mix", ELECTRON, "--mix", GCC, "--mix", PHOTON)
IMAGE_BYTES: Final = 40_000
SLOW: Final = {"CYAN_UPDATE_KIB_PER_S": "24"}
"""All four take 7 s: time to break something in the middle."""

DONE_WITHIN_S: Final = 90.0

Update = dict[str, Any]


def make_application(platform_id: int, seed: int) -> bytes:
    """As a compiler makes it, of bytes that cannot be compressed."""
    return encode_module(
        random.Random(seed).randbytes(IMAGE_BYTES),
        platform_id=platform_id,
        function=USER_PART,
        version=5,
        product_id=platform_id,
        product_version=seed,
    )


class Fleet:
    """A person and their boards."""

    def __init__(self, server: Server, client: httpx.Client) -> None:
        self.server = server
        self._client = client
        self.platforms: dict[str, int] = {}
        self.updates: dict[str, str] = {}
        self.images: dict[str, bytes] = {}

    def claim(self, simulator: Simulator) -> None:
        for device_id in simulator.wait_until_ready():
            self._client.post("/v1/devices", json={"id": device_id}).raise_for_status()
            shown = self._client.get(f"/v1/devices/{device_id}").json()
            self.platforms[device_id] = shown["platform_id"]

    def flash_all(self, seed: int) -> None:
        """Begin to send an application to every board."""
        for device_id, platform_id in self.platforms.items():
            image = self.images[device_id] = make_application(platform_id, seed)
            answer = self._client.put(f"/v1/devices/{device_id}", files={"file": ("a.bin", image)})
            assert answer.status_code == 200, answer.text
            assert answer.json()["status"] == "Update started"
            self.updates[device_id] = answer.json()["update_id"]

    def try_all(self, seed: int) -> None:
        """The same, all at once, whatever the answers are."""

        def flash(device_id: str) -> None:
            image = make_application(self.platforms[device_id], seed)
            self._client.put(f"/v1/devices/{device_id}", files={"file": ("a.bin", image)})

        with ThreadPoolExecutor() as pool:
            list(pool.map(flash, self.platforms))

    def newest(self) -> list[Update]:
        """The last update of every board."""
        paths = [f"/v1/devices/{device_id}/firmware/updates" for device_id in self.platforms]
        return [self._client.get(path).raise_for_status().json()["updates"][0] for path in paths]

    def wait_until_online(self) -> None:
        def are_online() -> bool:
            return all(device["online"] for device in self._client.get("/v1/devices").json())

        wait_until(are_online, "every board is online", DONE_WITHIN_S)

    def look(self, device_id: str) -> Update:
        update = self.updates[device_id]
        found = self._client.get(f"/v1/devices/{device_id}/firmware/updates/{update}")
        shown: Update = found.raise_for_status().json()
        return shown

    def all(self) -> list[Update]:
        return [self.look(device_id) for device_id in self.platforms]

    def wait_until_sent(self, share: float) -> None:
        """Every board has at least this much of its file, and none has all of it."""
        least = int(IMAGE_BYTES * share)
        until = time.monotonic() + DONE_WITHIN_S
        while min(update["sent"] for update in self.all()) < least:
            assert time.monotonic() < until
            time.sleep(0.1)

    def cancel_all(self) -> None:
        for device_id, update in self.updates.items():
            path = f"/v1/devices/{device_id}/firmware/updates/{update}"
            self._client.delete(path).raise_for_status()

    def wait_until_ended(self) -> None:
        wait_until(
            lambda: all(update["state"] in ("done", "failed") for update in self.all()),
            "every update has ended",
            DONE_WITHIN_S,
        )

    def check_all_run_it(self) -> None:
        """Every board reports the application that was sent to it."""
        for device_id, image in self.images.items():
            update = self.look(device_id)
            platform_id = self.platforms[device_id]
            assert (update["state"], update["detail"]) == ("done", None), (platform_id, update)
            ((stored,),) = self.server.rows(
                "SELECT application_hash FROM devices_device WHERE id = ?", device_id
            )
            assert stored == parse_module(image).sha256.hex()
            assert len(self.flash_events(device_id)) >= 2

    def was_told(self, device_id: str, data: list[str]) -> bool:
        return self.flash_events(device_id) == data

    def flash_events(self, device_id: str) -> list[str]:
        rows = self.server.rows(
            "SELECT data FROM events_event WHERE name = 'spark/flash/status' AND origin = ?"
            " ORDER BY position",
            device_id,
        )
        return [row[0].decode() for row in rows]


@contextmanager
def fleet(server: Server) -> Iterator[Fleet]:
    with logged_in(server, "ada@example.com") as client:
        yield Fleet(server, client)


def simulated(server: Server, state: Path, *more: str) -> tuple[Any, ...]:
    return (
        server.key_file(),
        "--server-key", server.key_file("tcp"), "--seed", "5", "--state", state, *more,
    )  # fmt: skip


def test_every_board_takes_an_update_and_its_story_is_told_in_order(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "data", {"CYAN_ENROLMENT": "open"}) as server,
        simulating(*simulated(server, tmp_path / "sim", *FLEET)) as simulator,
        fleet(server) as boards,
    ):
        boards.claim(simulator)
        boards.flash_all(7)
        boards.wait_until_ended()
        boards.check_all_run_it()
        for device_id in boards.platforms:
            wait_until(partial(_has_app_hash, server, device_id), "the hash is told")
            assert _story(server, device_id) == [
                ("spark/flash/status", "started "),
                ("spark/flash/status", "success "),
                ("spark/status", "offline"),
                ("spark/status", "online"),
                ("spark/device/app-hash", parse_module(boards.images[device_id]).sha256.hex()),
            ]
            shown = boards.look(device_id)
            assert shown["sha256"] == sha256(boards.images[device_id]).hexdigest()


@pytest.mark.parametrize("kills", [1, pytest.param(10, marks=pytest.mark.soak)])
def test_a_killed_server_goes_on_with_every_update(tmp_path: Path, kills: int) -> None:
    settings = {"CYAN_ENROLMENT": "open", **SLOW}
    with (
        serving(tmp_path / "data", settings) as server,
        simulating(*simulated(server, tmp_path / "sim", *FLEET)) as simulator,
        fleet(server) as boards,
    ):
        boards.claim(simulator)
        for seed in range(kills):
            boards.flash_all(seed + 1)
            boards.wait_until_sent(0.3)
            server.kill()
            server.start()
            boards.wait_until_ended()
            boards.check_all_run_it()
            for update in boards.all():
                assert update["tries"] >= 2, update


def test_a_server_killed_while_boards_restart_still_learns_that_they_run_it(tmp_path: Path) -> None:
    settings = {"CYAN_ENROLMENT": "open", **SLOW}
    with (
        serving(tmp_path / "data", settings) as server,
        simulating(*simulated(server, tmp_path / "sim", *FLEET)) as simulator,
        fleet(server) as boards,
    ):
        boards.claim(simulator)
        boards.flash_all(3)
        wait_until(
            lambda: any(update["state"] == "verifying" for update in boards.all()),
            "a board restarts",
            DONE_WITHIN_S,
        )
        server.kill()
        server.start()
        boards.wait_until_ended()
        boards.check_all_run_it()


def test_boards_that_lose_their_power_in_the_middle_get_the_rest_afterwards(tmp_path: Path) -> None:
    settings = {"CYAN_ENROLMENT": "open", **SLOW}
    with serving(tmp_path / "data", settings) as server, fleet(server) as boards:
        arguments = simulated(server, tmp_path / "sim", *FLEET)
        with simulating(*arguments) as simulator:
            boards.claim(simulator)
            boards.flash_all(4)
            boards.wait_until_sent(0.3)
            simulator.kill()
        with simulating(*arguments) as simulator:
            simulator.wait_until_ready()
            boards.wait_until_ended()
            boards.check_all_run_it()


def test_a_cancelled_update_leaves_the_board_as_it_was(tmp_path: Path) -> None:
    settings = {"CYAN_ENROLMENT": "open", **SLOW}
    with (
        serving(tmp_path / "data", settings) as server,
        simulating(*simulated(server, tmp_path / "sim", *FLEET)) as simulator,
        fleet(server) as boards,
    ):
        boards.claim(simulator)
        boards.flash_all(6)
        boards.cancel_all()
        for device_id in boards.platforms:
            update = boards.look(device_id)
            assert (update["state"], update["reason"]) == ("failed", "cancelled")
            wait_until(partial(boards.was_told, device_id, ["started ", "failed "]), "it is told")
        boards.wait_until_online()  # those of the legacy protocol were sent away, to end it there
        boards.flash_all(8)
        boards.wait_until_ended()
        boards.check_all_run_it()


def _has_app_hash(server: Server, device_id: str) -> bool:
    return any(name == "spark/device/app-hash" for name, _ in _story(server, device_id))


def _story(server: Server, device_id: str) -> list[tuple[str, str]]:
    """What people were told of a device since its update began."""
    rows = server.rows(
        "SELECT name, data FROM events_event WHERE origin = ? AND name IN"
        " ('spark/flash/status', 'spark/status', 'spark/device/app-hash') ORDER BY position",
        device_id,
    )
    told = [(name, (data or b"").decode()) for name, data in rows]
    return told[told.index(("spark/flash/status", "started ")) :]
