"""What the page on the simulator promises, at the real server: behaviour files and faults."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.docs.pages import ROOT, blocks
from tests.system.people import logged_in
from tests.system.processes import Server, serving, simulating, wait_until

BEHAVIOUR = blocks(ROOT / "docs/howto/simulate-a-fleet.md", "toml")[0]
FAULTS = (
    "loss rate=0.1",
    "duplicate rate=0.1",
    "reorder rate=0.1 for_s=1",
    "delay for_s=[0,0.05]",
    "clock fast=[-0.01,0.01]",
    "move every_s=20",
    "sleep every_s=30 for_s=[1,3]",
    "reboot every_s=30",
    "power-cut every_s=60 session=kept",
    "power-cut every_s=60 session=lost",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("fleets") / "data", {"CYAN_ENROLMENT": "open"}) as server:
        yield server


@pytest.fixture(scope="module")
def ada(server: Server) -> Iterator[httpx.Client]:
    with logged_in(server, "ada@example.com") as client:
        yield client


def test_devices_do_what_the_example_of_the_page_says(
    server: Server, ada: httpx.Client, tmp_path: Path
) -> None:
    behaviour = tmp_path / "kitchen.toml"
    behaviour.write_text(re.sub(r"interval_s = \d+", "interval_s = 0.5", BEHAVIOUR))
    with simulating(
        server.key_file(), "--behaviour", behaviour, "--count", "1", "--seed", "kitchen"
    ) as simulator:
        (device,) = simulator.wait_until_ready()
        assert ada.post("/v1/devices", data={"id": device}).status_code == 200

        def read(name: str) -> object:
            return ada.get(f"/v1/devices/{device}/{name}").json()["result"]

        def call(name: str, argument: str) -> object:
            answer = ada.post(f"/v1/devices/{device}/{name}", data={"arg": argument})
            return answer.json()["return_value"]

        described = ada.get(f"/v1/devices/{device}").json()
        assert described["functions"] == ["lamp", "label"]
        assert [read("lamp"), call("lamp", "on"), read("lamp")] == [False, 1, True]
        assert [call("lamp", "dance"), read("lamp")] == [-1, True]
        temperature = read("temperature")
        assert isinstance(temperature, float)
        assert 15 <= temperature <= 30
        assert call("label", "grün") == 5
        assert read("label") == "grün"
        ada.post("/v1/devices/events", data={"name": "label/new", "data": "attic"})
        wait_until(lambda: read("label") == "attic", "the event sets the variable")
        raw = "SELECT data FROM events_event WHERE name = 'kitchen/raw'"
        wait_until(lambda: len(server.rows(raw)) > 1, "it publishes bytes")
        simulator.stop()
        acknowledged = simulator.acknowledged()
    assert set(server.rows(raw)) == {(b"\x00\xff\x10",)}
    readings = [json.loads(one) for one in server.logged_events("kitchen/reading")]
    assert [sorted(reading) for reading in readings] == [["lamp", "n", "t"]] * len(readings)
    assert readings[-1]["lamp"] is True
    assert not [one for one in acknowledged if one.startswith("0x")], "asked for none"


def test_what_was_acknowledged_is_in_the_log_once_whatever_goes_wrong(
    server: Server, tmp_path: Path
) -> None:
    faults = [argument for fault in FAULTS for argument in ("--fault", fault)]
    keys = ("--server-key", server.key_file("tcp"))
    mix = (
        "--mix",
        "argon:12",
        "--mix",
        "electron:2.3:3",
        "--mix",
        "gcc:3",
        "--mix",
        "photon:0.7:2",
    )
    with simulating(
        server.key_file(), *keys, *mix, *faults, "--rate", "100", "--seed", "bad day"
    ) as simulator:
        # A third more than brings the faults that are asked for below on a quick machine.
        wait_until(lambda: len(simulator.acknowledged()) > 400, "400 events", 110)
        statistics = simulator.stop()
        acknowledged, sent = simulator.acknowledged(), simulator.sent()
    assert statistics["faults"] > 20
    assert min(statistics[f"datagrams_{what}"] for what in ("lost", "doubled", "held_back")) > 50
    assert statistics["handshakes_resumed"] > 3
    logged = Counter(server.logged_events("heartbeat"))
    assert len(set(acknowledged)) == len(acknowledged)
    assert [data for data in acknowledged if logged[data] != 1] == []
    assert [data for data, times in logged.items() if times > 1] == []
    assert set(logged) <= set(sent)
    assert server.logged_errors() == []


def test_a_claim_code_makes_a_device_somebodys(server: Server, ada: httpx.Client) -> None:
    code = ada.post("/v1/device_claims").json()["claim_code"]
    with simulating(
        server.key_file(), "--claim-code", code, "--count", "2", "--seed", "claims"
    ) as simulator:
        first, second = simulator.wait_until_ready()
        wait_until(
            lambda: first in {device["id"] for device in ada.get("/v1/devices").json()},
            "the device is hers",
        )
        assert second not in {device["id"] for device in ada.get("/v1/devices").json()}
        simulator.stop()
