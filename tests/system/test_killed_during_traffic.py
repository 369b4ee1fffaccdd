"""Acceptance row 59 of platform-semantics.md section 22: the server is killed during traffic; no
acknowledged event is lost or doubled, and over UDP no device makes a new handshake."""

import random
from collections import Counter
from pathlib import Path

import pytest

from tests.system.processes import Server, Simulator, serving, simulating, wait_until

DEVICES = 200
EVENTS_A_SECOND = 500

SPREAD = 1000
"""A kill comes so many acknowledged events after the fewest, at most."""

KILLS_IN_A_ROW = 2
"""Then all that was sent has to come through. A device sends a message four times, the second 4 to
6 s after the first. On a busy machine an outage takes as long and swallows both; a third outage in
a row could meet the fourth, and the device loses its session by chance."""


OVER_TCP = ("--mix", "gcc:6.2:40", "--mix", "photon:0.7:40")
OVER_UDP = ("--mix", "argon:80", "--mix", "electron:2.3:40")

LONG = pytest.mark.soak


@pytest.mark.parametrize(
    ("kills", "events"), [(3, 100), pytest.param(100, 1000, marks=LONG)], ids=["few", "hundred"]
)
def test_what_was_acknowledged_is_in_the_log_once_and_no_device_notices(
    tmp_path: Path, kills: int, events: int
) -> None:
    """`events` are acknowledged between two kills at least, after every device has gone on."""
    moments = random.Random(kills)
    with serving(tmp_path / "data", {"CYAN_ENROLMENT": "open"}) as server:
        with simulating(
            server.key_file(), "--count", str(DEVICES), "--rate", str(EVENTS_A_SECOND)
        ) as simulator:
            devices = set(simulator.wait_until_ready())
            assert len(devices) == DEVICES
            for kill in range(1, kills + 1):
                _wait_for_events(simulator, events + moments.randint(0, SPREAD))
                server.kill()
                known = len(simulator.acknowledged())
                server.start()
                _wait_until_all_went_on(simulator, devices, known)
                assert _handshakes(server) == {"full": 0, "resumed": 0}
                assert server.metric("cyan_sessions_adopted_total") == DEVICES
                if kill % KILLS_IN_A_ROW == 0:
                    _wait_until_nothing_is_lost(simulator)
            acknowledged = simulator.acknowledged()
            counted = simulator.stop()
        assert counted["handshakes_full"] == DEVICES
        assert counted["lost_sessions"] == 0
        assert counted["reconnects"] == 0
        assert counted["events_refused"] == 0
        server.stop()
        _check_the_log(server, acknowledged)
    assert len(acknowledged) > kills * events


@pytest.mark.parametrize(
    ("kills", "events"), [(2, 100), pytest.param(30, 1000, marks=LONG)], ids=["few", "many"]
)
def test_where_sessions_end_with_the_server_nothing_is_lost_or_doubled_either(
    tmp_path: Path, kills: int, events: int
) -> None:
    """Over TCP the session goes with the connection; what was acknowledged does not."""
    moments = random.Random(kills)
    with serving(tmp_path / "data", {"CYAN_ENROLMENT": "open"}) as server:
        keys = ("--server-key", server.key_file("tcp"))
        with simulating(
            server.key_file(), *keys, *OVER_TCP, *OVER_UDP, "--rate", str(EVENTS_A_SECOND)
        ) as simulator:
            devices = set(simulator.wait_until_ready())
            assert len(devices) == DEVICES
            for _ in range(kills):
                _wait_for_events(simulator, events + moments.randint(0, SPREAD))
                server.kill()
                known = len(simulator.acknowledged())
                server.start()
                _wait_until_all_went_on(simulator, devices, known)
            acknowledged = simulator.acknowledged()
            simulator.stop()
        server.stop()
        _check_the_log(server, acknowledged)


def _check_the_log(server: Server, acknowledged: list[str]) -> None:
    logged = Counter(server.logged_events("heartbeat"))
    assert len(acknowledged) == len(set(acknowledged))
    assert [data for data in acknowledged if logged[data] == 0] == []
    assert [data for data, times in logged.items() if times > 1] == []


def _wait_for_events(simulator: Simulator, count: int) -> None:
    enough = len(simulator.acknowledged()) + count
    wait_until(lambda: len(simulator.acknowledged()) >= enough, f"{count} more events", 60)


def _wait_until_all_went_on(simulator: Simulator, devices: set[str], known: int) -> None:
    """Every device has an event acknowledged after the first `known` ones."""

    def waiting() -> set[str]:
        return devices - {data.split("-")[0] for data in simulator.acknowledged()[known:]}

    wait_until(lambda: not waiting(), "every device publishes again", 60)


def _wait_until_nothing_is_lost(simulator: Simulator) -> None:
    """All that was sent until now is acknowledged, at the latest with a message's fourth send."""
    sent = set(simulator.sent())
    wait_until(lambda: sent <= set(simulator.acknowledged()), "all is acknowledged", 60)


def _handshakes(server: Server) -> dict[str, float]:
    return {kind: server.metric("cyan_handshakes_total", kind=kind) for kind in ("full", "resumed")}
