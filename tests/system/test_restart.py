"""Devices do not notice that the server was away (acceptance row 60 of platform-semantics.md
section 22, over UDP): sessions, presence and what was acknowledged outlive its process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.people import logged_in
from tests.system.processes import Server, Simulator, serving, simulating, wait_until
from tests.system.relay import HOST, relaying

STATUS = "spark/status"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "data", {"CYAN_ENROLMENT": "open"}) as server:
        yield server


def _wait_for_more(simulator: Simulator, devices: list[str]) -> None:
    """Each device has one more event acknowledged."""
    known = len(simulator.acknowledged())

    def went_on() -> bool:
        fresh = simulator.acknowledged()[known:]
        return {data.split("-")[0] for data in fresh} == set(devices)

    wait_until(went_on, "every device publishes again", 60)


def _wait_until_presence_is_stored(server: Server, count: int) -> None:
    select = "SELECT count(*) FROM devices_presence WHERE online"
    wait_until(lambda: server.rows(select) == [(count,)], "presence is stored")


def test_after_a_graceful_stop_devices_go_on_without_a_handshake(server: Server) -> None:
    with simulating(server.key_file(), "--count", "3", "--rate", "3") as simulator:
        devices = simulator.wait_until_ready()
        _wait_for_more(simulator, devices)
        server.stop()
        assert server.logged("server.stopped")
        server.start()
        _wait_for_more(simulator, devices)
        assert server.metric("cyan_handshakes_total", kind="full") == 0
        assert server.metric("cyan_handshakes_total", kind="resumed") == 0
        assert server.metric("cyan_sessions_adopted_total") == 3
        wait_until(lambda: server.metric("cyan_devices_online") == 3, "all are online")
        # Nobody went offline or came back: each device came online once, before the stop.
        assert server.logged_events(STATUS) == ["online"] * 3
        assert len(server.logged("device.online")) == 3
        assert server.logged("device.offline") == []
        counted = simulator.stop()
    assert (counted["handshakes_full"], counted["reconnects"]) == (3, 0)


def test_after_a_kill_a_silent_device_is_online_and_callable_at_once(server: Server) -> None:
    with (
        simulating(server.key_file(), "--count", "1", "--rate", "0") as simulator,
        logged_in(server, "ada@example.com") as ada,
    ):
        (device,) = simulator.wait_until_ready()
        assert ada.post("/v1/devices", data={"id": device}).status_code == 200
        _wait_until_presence_is_stored(server, 1)
        server.kill()
        server.start()
        assert ada.get(f"/v1/devices/{device}").json()["online"] is True
        answer = ada.post(f"/v1/devices/{device}/echo", data={"arg": "hello"})
        assert (answer.status_code, answer.json()["return_value"]) == (200, 5)
        assert server.logged_events(STATUS) == ["online"]
        assert simulator.stop()["handshakes_full"] == 1


def test_an_event_whose_acknowledgement_was_lost_with_the_server_is_logged_once(
    server: Server,
) -> None:
    key_file = server.key_file()
    with (
        relaying(server.udp_port) as relay,
        simulating(
            key_file, "--count", "1", "--rate", "1", "--server", HOST, "--port", str(relay.port)
        ) as simulator,
    ):
        devices = simulator.wait_until_ready()
        _wait_for_more(simulator, devices)
        relay.loses_answers = True

        def unanswered() -> set[str]:
            return set(server.logged_events("heartbeat")) - set(simulator.acknowledged())

        wait_until(lambda: bool(unanswered()), "an event is in the log and not acknowledged")
        server.kill()
        lost = unanswered()
        relay.loses_answers = False
        server.start()
        wait_until(lambda: lost <= set(simulator.acknowledged()), "it is acknowledged", 60)
        assert simulator.stop()["handshakes_full"] == 1
    logged = server.logged_events("heartbeat")
    assert len(logged) == len(set(logged))


def test_a_device_that_comes_back_after_both_were_away_resumes_from_its_new_port(
    server: Server, tmp_path: Path
) -> None:
    arguments = ["--count", "2", "--rate", "2", "--state", str(tmp_path / "sim")]
    with simulating(server.key_file(), *arguments) as simulator:
        devices = simulator.wait_until_ready()
        _wait_for_more(simulator, devices)
        assert simulator.stop()["handshakes_full"] == 2
    server.stop()
    server.start()
    with simulating(server.key_file(), *arguments) as simulator:
        assert simulator.wait_until_ready() == devices
        _wait_for_more(simulator, devices)
        assert server.metric("cyan_handshakes_total", kind="resumed") == 2
        assert server.metric("cyan_handshakes_total", kind="full") == 0
        counted = simulator.stop()
    assert (counted["handshakes_full"], counted["handshakes_resumed"]) == (0, 2)


def test_a_killed_device_resumes_its_session_too(server: Server, tmp_path: Path) -> None:
    arguments = ["--count", "1", "--rate", "2", "--state", str(tmp_path / "sim")]
    with simulating(server.key_file(), *arguments) as simulator:
        devices = simulator.wait_until_ready()
        _wait_for_more(simulator, devices)
        simulator.kill()
    with simulating(server.key_file(), *arguments) as simulator:
        assert simulator.wait_until_ready() == devices
        _wait_for_more(simulator, devices)
        assert server.metric("cyan_handshakes_total", kind="resumed") == 1
        assert server.metric("cyan_handshakes_total", kind="full") == 1
        simulator.stop()
    logged = server.logged_events("heartbeat")
    assert len(logged) == len(set(logged))


def test_a_device_that_roams_behind_a_new_address_is_followed_there(server: Server) -> None:
    key_file = server.key_file()
    with (
        relaying(server.udp_port) as relay,
        simulating(
            key_file, "--count", "1", "--rate", "1", "--server", HOST, "--port", str(relay.port)
        ) as simulator,
        logged_in(server, "ada@example.com") as ada,
    ):
        devices = simulator.wait_until_ready()
        assert ada.post("/v1/devices", data={"id": devices[0]}).status_code == 200
        relay.move()
        _wait_for_more(simulator, devices)
        answer = ada.post(f"/v1/devices/{devices[0]}/echo", data={"arg": "there?"})
        assert (answer.status_code, answer.json()["return_value"]) == (200, 6)
        counted = simulator.stop()
    assert (counted["handshakes_full"], counted["handshakes_resumed"]) == (1, 0)
