"""Devices and people over IPv6, and both kinds of addresses at once."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.system.peers import DatagramPeer, StreamPeer
from tests.system.people import logged_in
from tests.system.processes import Server, Simulator, serving, simulating, wait_until

BOARDS = ("--mix", "argon:3", "--mix", "electron:2.3:2", "--mix", "photon:0.7:2", "--mix", "gcc:2")
OVER_UDP = 5


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    settings = {"CYAN_ENROLMENT": "open", "CYAN_HOST": "::1"}
    with serving(tmp_path / "data", settings) as server:
        yield server


def go_on(simulator: Simulator, devices: set[str]) -> None:
    """Every device has one more event acknowledged."""
    known = len(simulator.acknowledged())

    def waiting() -> set[str]:
        return devices - {data.split("-")[0] for data in simulator.acknowledged()[known:]}

    wait_until(lambda: not waiting(), "every device publishes again", 60)


def call_all(ada: httpx.Client, devices: set[str]) -> list[object]:
    return [
        ada.post(f"/v1/devices/{device}/echo", data={"arg": "six"}).json()["return_value"]
        for device in devices
    ]


def test_devices_live_over_ipv6_as_they_do_over_ipv4(server: Server) -> None:
    tcp = ("--server-key", server.key_file("tcp"))
    ports = ("--port", str(server.udp_port), "--tcp-port", str(server.tcp_port))
    where = ("--server", server.host, *ports)
    with (
        simulating(server.key_file(), *tcp, *where, *BOARDS, "--rate", "20") as simulator,
        logged_in(server, "ada@example.com") as ada,
    ):
        devices = set(simulator.wait_until_ready())
        for device in devices:
            assert ada.post("/v1/devices", data={"id": device}).status_code == 200
            assert ada.get(f"/v1/devices/{device}").json()["last_ip_address"] == "::1"
        assert call_all(ada, devices) == [3] * len(devices)
        go_on(simulator, devices)
        server.kill()
        server.start()
        go_on(simulator, devices)
        assert server.metric("cyan_handshakes_total", kind="full") == 0
        assert server.metric("cyan_sessions_adopted_total") == OVER_UDP
        assert call_all(ada, devices) == [3] * len(devices)
        simulator.stop()
        acknowledged = simulator.acknowledged()
    logged = Counter(server.logged_events("heartbeat"))
    assert [logged[data] for data in acknowledged] == [1] * len(acknowledged)


def test_one_socket_serves_both_kinds_of_addresses(tmp_path: Path) -> None:
    settings = {"CYAN_ENROLMENT": "open", "CYAN_HOST": "::"}
    with serving(tmp_path / "data", settings) as server:
        for number, host in enumerate(("127.0.0.1", "::1")):
            with DatagramPeer(server, number, host=host).connect() as device:
                assert device.publish(b"datagram")
            with StreamPeer(server, 10 + number, host=host).connect() as device:
                assert device.publish(b"stream")
        addresses = [line["address"] for line in server.logged("device.online")]
        assert addresses == ["127.0.0.1", "127.0.0.1", "::1", "::1"]
    assert sorted(server.logged_events("peer")) == ["datagram"] * 2 + ["stream"] * 2
