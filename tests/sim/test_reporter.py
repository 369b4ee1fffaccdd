"""What the simulator prints for people."""

import io

import msgspec
import pytest

from cyan.sim.facts import (
    EndReason,
    Fact,
    State,
    StateChanged,
    UpdateBegan,
    UpdateEnded,
    UpdatesPending,
)
from cyan.sim.reporter import Reporter
from cyan.sim.statistics import Statistics

DEVICES = ("5eed01", "5eed02")


def printed(*facts: Fact, is_json: bool = False) -> list[str]:
    """The lines after each of DEVICES told these facts."""
    stream = io.StringIO()
    reporter = Reporter(is_json=is_json, stream=stream)
    for fact in facts:
        for device_id in DEVICES:
            reporter.on_fact(device_id, fact)
    return stream.getvalue().splitlines()


def ended(reason: EndReason, *, was_online: bool = False) -> StateChanged:
    return StateChanged(State.OFFLINE, was_online, reason)


@pytest.mark.parametrize(
    ("reason", "hint"),
    [
        (EndReason.HANDSHAKE_FAILED, "--server-key"),
        (EndReason.ALERT, "cyan doctor"),
        (EndReason.CLOSED, "cyan doctor"),
        (EndReason.MESSAGE_TIMEOUT, "did not answer"),
    ],
)
def test_the_first_device_that_does_not_come_online_is_told_with_the_reason(
    reason: EndReason, hint: str
) -> None:
    (line,) = printed(ended(reason), StateChanged(State.CONNECTING, False), ended(reason))
    assert line.startswith(f"{DEVICES[0]} is not online ({reason.value}): ")
    assert hint in line


def test_each_reason_is_told_once() -> None:
    lines = printed(ended(EndReason.HANDSHAKE_FAILED), ended(EndReason.ALERT))
    assert [line.split(" (")[1].split(")")[0] for line in lines] == [
        "handshake failed",
        "alert from the server",
    ]


def test_a_device_that_was_online_and_what_the_simulator_does_itself_are_not_told() -> None:
    assert printed(ended(EndReason.CLOSED, was_online=True)) == []
    assert printed(ended(EndReason.SLEEP), ended(EndReason.POWER_CUT)) == []


def test_programs_get_every_change_and_no_words() -> None:
    lines = printed(ended(EndReason.ALERT), is_json=True)
    assert lines == [
        f'{{"device":"{device_id}","state":"offline","reason":"alert from the server"}}'
        for device_id in DEVICES
    ]


def test_updates_are_told_to_programs_and_not_to_people() -> None:
    facts = (UpdatesPending(True), UpdateBegan(900, 512), UpdateEnded(-1320), UpdateEnded(0, b"a"))
    assert printed(*facts) == []
    lines = [msgspec.json.decode(line) for line in printed(*facts, is_json=True)]
    assert [line for line in lines if line.pop("device") == DEVICES[0]] == [
        {"updates_pending": True},
        {"update": "began", "size_bytes": 900, "offset_bytes": 512},
        {"update": "failed", "code": -1320},
        {"update": "applied", "sha256": "61"},
    ]


def test_updates_are_counted_by_how_they_ended() -> None:
    statistics = Statistics()
    for fact in (UpdateBegan(900, 0),) * 3 + (UpdateEnded(0), UpdateEnded(-1320)):
        statistics.count(fact)
    counted = (statistics.updates_begun, statistics.updates_applied, statistics.updates_failed)
    assert counted == (3, 1, 1)
