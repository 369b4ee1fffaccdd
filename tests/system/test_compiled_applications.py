"""From source to changed behaviour over real sockets: every kind of board that the simulator has,
each with the Device OS that it runs."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.system.people import logged_in
from tests.system.processes import Server, serving, simulating, wait_until

BOARDS: Final = (
    "core:0.7",
    "photon:0.7",
    "electron:1.5",
    "photon:2.3",
    "argon:1.5",
    "boron:3.0",
    "argon:4.2",
    "p2:5.4",
    "gcc:6.2",
    "boron:6.2",
)
CHANGED_WITHIN_S: Final = 90.0
SETTINGS: Final = {"CYAN_ENROLMENT": "open", "CYAN_SIMULATED_COMPILER": "all"}

SOURCE: Final = """
PRODUCT_VERSION(9);
int level = 17;
String mode = "calm";
int setMode(String name) { mode = name; return name.length(); }
void onStorm(const char *event, const char *data) { mode = String(data); }
void setup() {
  Particle.variable("level", level);
  Particle.variable("mode", mode);
  Particle.function("setMode", setMode);
  Particle.subscribe("storm", onStorm);
}
void loop() { Particle.publish("level", String(level)); delay(1s); }
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("compiled") / "data", SETTINGS) as server:
        yield server


def test_every_board_does_what_its_source_says(server: Server, tmp_path: Path) -> None:
    mix = [argument for board in BOARDS for argument in ("--mix", f"{board}:1")]
    keys = (server.key_file(), "--server-key", server.key_file("tcp"))
    with (
        simulating(*keys, *mix, "--state", tmp_path / "sim") as simulator,
        logged_in(server, "ada@example.com") as client,
    ):
        devices = simulator.wait_until_ready()
        for device in devices:
            client.post("/v1/devices", json={"id": device}).raise_for_status()
            answer = client.put(f"/v1/devices/{device}", files={"file": ("a.ino", SOURCE)})
            assert answer.json().get("message") == "Update started", answer.text
        for device in devices:
            _wait_for_variable(client, device, "level", 17)
            called = client.post(f"/v1/devices/{device}/setMode", json={"arg": "wild"}).json()
            assert called["return_value"] == len("wild"), called
            assert _read(client, device, "mode") == "wild"
            shown = client.get(f"/v1/devices/{device}").json()
            assert shown["functions"] == ["setMode"]
            assert shown["variables"] == {"level": "int32", "mode": "string"}
        wait_until(
            lambda: _publishers(server) >= set(devices), "all have published", CHANGED_WITHIN_S
        )
        client.post("/v1/devices/events", json={"name": "storm", "data": "wet"}).raise_for_status()
        for device in devices:
            _wait_for_variable(client, device, "mode", "wet")


def _publishers(server: Server) -> set[str]:
    rows = server.rows("SELECT DISTINCT origin FROM events_event WHERE name = 'level'")
    return {row[0] for row in rows}


def _read(client: httpx.Client, device: str, variable: str) -> Any:
    return client.get(f"/v1/devices/{device}/{variable}").json().get("result")


def _wait_for_variable(client: httpx.Client, device: str, variable: str, value: object) -> None:
    until = time.monotonic() + CHANGED_WITHIN_S
    while (found := _read(client, device, variable)) != value:
        updates = client.get(f"/v1/devices/{device}/firmware/updates").json()
        assert time.monotonic() < until, (device, variable, found, updates)
        time.sleep(0.2)
