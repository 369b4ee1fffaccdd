"""Boards of every generation of Device OS, over both transports, at the real server: they come
online, publish, are called and read, and live through a restart of the server."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from cyan.sim.boards import find_board
from cyan.sim.platforms import Transport
from tests.system.people import logged_in
from tests.system.processes import Server, Simulator, done, serving, simulating, wait_until

BOARDS: Final = (
    "core:0.7",
    "photon:0.7",
    "electron:0.7",
    "p1:1.5",
    "argon:1.5",
    "photon:2.3",
    "electron:2.3",
    "boron:2.3",
    "argon:3.0",
    "boron:3.3",
    "argon:4.2",
    "p2:5.4",
    "gcc:6.2",
    "boron:6.2",
)
OVER_TCP: Final = [
    index
    for index, board in enumerate(BOARDS)
    if find_board(*board.split(":")).transport is Transport.TCP
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {"CYAN_ENROLMENT": "open", "CYAN_TCP_PORT": str(_free_port())}
    with serving(tmp_path_factory.mktemp("generations") / "data", settings) as server:
        yield server


@pytest.fixture(scope="module")
def arguments(server: Server, tmp_path_factory: pytest.TempPathFactory) -> list[Path | str]:
    """The same devices each time, which keep what firmware keeps."""
    mix = [argument for board in BOARDS for argument in ("--mix", f"{board}:1")]
    state = tmp_path_factory.mktemp("simulator") / "state"
    keys = ("--server-key", _stream_key_file(server))
    return [*keys, *mix, "--rate", str(len(BOARDS)), "--state", state]


@pytest.fixture(scope="module")
def simulator(server: Server, arguments: list[Path | str]) -> Iterator[Simulator]:
    with simulating(server.key_file(), *arguments) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def devices(simulator: Simulator) -> list[str]:
    return simulator.wait_until_ready()


@pytest.fixture(scope="module")
def ada(server: Server, devices: list[str]) -> Iterator[httpx.Client]:
    """The owner of all of them."""
    with logged_in(server, "ada@example.com") as client:
        for device in devices:
            assert client.post("/v1/devices", data={"id": device}).status_code == 200
        yield client


def test_all_of_them_are_online_and_described(devices: list[str], ada: httpx.Client) -> None:
    def undescribed() -> list[str]:
        return [
            board
            for board, device in zip(BOARDS, devices, strict=True)
            if set(ada.get(f"/v1/devices/{device}").json().get("functions") or ())
            != {"led", "echo"}
        ]

    wait_until(lambda: undescribed() == [], "every device is described")
    shown = {device["id"]: device for device in ada.get("/v1/devices").json()}
    for board, device in zip(BOARDS, devices, strict=True):
        assert shown[device]["online"] is True, board
        assert shown[device]["platform_id"] == find_board(*board.split(":")).platform.id


@pytest.mark.parametrize("index", range(len(BOARDS)), ids=BOARDS)
def test_functions_and_variables_are_answered(
    index: int, devices: list[str], ada: httpx.Client
) -> None:
    device = devices[index]
    called = ada.post(f"/v1/devices/{device}/echo", data={"arg": "hello"})
    assert (called.status_code, called.json()["return_value"]) == (200, 5)
    values = {
        name: ada.get(f"/v1/devices/{device}/{name}").json()["result"]
        for name in ("answer", "greeting", "ready")
    }
    assert values == {"answer": 42, "greeting": "hello", "ready": True}


def test_their_events_are_logged_once_each(
    server: Server, simulator: Simulator, devices: list[str]
) -> None:
    _wait_for_more(simulator, devices)
    acknowledged = simulator.acknowledged()
    logged = server.logged_events("heartbeat")
    assert set(acknowledged) <= set(logged)
    assert len(logged) == len(set(logged))


def test_after_a_restart_all_go_on_and_only_tcp_shakes_hands(
    server: Server, simulator: Simulator, devices: list[str], ada: httpx.Client
) -> None:
    server.kill()
    server.start()
    _wait_for_more(simulator, devices)
    wait_until(lambda: server.metric("cyan_devices_online") == len(BOARDS), "all are online")
    for device in devices:
        called = ada.post(f"/v1/devices/{device}/echo", data={"arg": "again"})
        assert (called.status_code, called.json()["return_value"]) == (200, 5)
    statistics = simulator.stop()
    assert statistics["handshakes_full"] == len(BOARDS) + len(OVER_TCP)
    assert statistics["handshakes_resumed"] == 0
    # Attempts that found nobody count too.
    assert statistics["reconnects"] >= len(OVER_TCP)


def test_after_a_reset_udp_resumes_from_new_ports_in_the_form_of_its_time(
    server: Server, arguments: list[Path | str], devices: list[str], ada: httpx.Client
) -> None:
    with simulating(server.key_file(), *arguments) as simulator:
        assert simulator.wait_until_ready() == devices
        _wait_for_more(simulator, devices)
        for device in devices:
            called = ada.post(f"/v1/devices/{device}/echo", data={"arg": "back"})
            assert (called.status_code, called.json()["return_value"]) == (200, 4)
        statistics = simulator.stop()
    assert statistics["handshakes_full"] == len(OVER_TCP)
    assert statistics["handshakes_resumed"] == len(BOARDS) - len(OVER_TCP)


def _wait_for_more(simulator: Simulator, devices: list[str]) -> None:
    """Each device has one more event acknowledged."""
    known = len(simulator.acknowledged())

    def went_on() -> bool:
        fresh = simulator.acknowledged()[known:]
        return {data.split("-")[0] for data in fresh} == set(devices)

    wait_until(went_on, "every device publishes again", 60)


def _stream_key_file(server: Server) -> Path:
    """The padded key file for TCP, made by the command for it."""
    path = server.data.with_name("tcp.der")
    port = next(line["tcp_port"] for line in server.logged("server.ready"))
    done(
        "keys", "server", "--protocol", "tcp", "--host", "127.0.0.1", "--port", str(port),
        "--out", path, "--data", server.data,
    )  # fmt: skip
    return path


def _free_port() -> int:
    """A port that nobody uses: it has to be the same after a restart."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
