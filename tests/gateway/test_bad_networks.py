"""Loss, duplication and reordering both ways, other addresses and sleep in the middle of
everything, and restarts of the server: what a device saw acknowledged is in the log once, a call
gives the right value or none, and the device stays or comes back.

Networks and devices follow from a seed, and so does the whole run. `make soak` runs many more.
"""

import math
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Final

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from cyan.sim.facts import EndReason, Outcome
from tests.gateway.bad_network import FarDevice, Faults
from tests.gateway.far_calls import Ending, telling
from tests.gateway.far_fleet import (
    DEVICES,
    EVENT_INTERVAL_S,
    GOOD,
    LISTENERS,
    TROUBLE_S,
    Fleet,
    logged_events,
)
from tests.gateway.world import World

SUCCESS: Final = 0.96
"""Of the calls, at a loss of a fifth both ways."""

NEVER_ARRIVES: Final = (1 - 0.8 * 0.8) ** 4
"""No copy of a message and no acknowledgement comes through, at a loss of a fifth: for a device the
end of its session (device-protocol.md §2.2), for a handshake each of its three round trips is like
that (§1.4.2)."""

NEVER_ANSWERED: Final = (1 - 0.8 * 0.8) ** 5
"""Nothing at all comes back for the 55 s that a device waits (device-protocol.md §2.7), which ends
a connection and keeps the session. One that is not fully connected yet publishes nothing: all that
it sends in this time is a last message of its introduction, twice, and a ping, three times."""

OLDER: Final = ("argon:5.4", "argon:4.2", "boron:3.3", "argon:3.0", "electron:2.3", "electron:1.5")
"""Since 4.0 with a moved connection id, since 3.1 with one that does not tell, before without."""

NO_LOSS = Faults(duplication=0.2, reordering=0.2)
ALL = Faults(loss=0.2, duplication=0.2, reordering=0.2)

SEEDS = [*range(2), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 40))]


@pytest.fixture(autouse=True)
def _commits_without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """On virtual time nothing is gained by commits that wait for each other."""
    monkeypatch.setattr("cyan.core.db.engine.GROUP_INTERVAL_S", 0.0)
    monkeypatch.setattr("cyan.events.log.COMMIT_INTERVAL_S", 0.0)


@pytest.fixture
def lines() -> Iterator[list[EventDict]]:
    """The server's log, in which nothing failed."""
    with capture_logs() as captured:
        yield captured
    assert [line for line in captured if line["log_level"] in ("error", "critical")] == []


def at_most(chance: float, times: int) -> float:
    """As often as this happens by chance alone, and three standard deviations more."""
    expected = chance * times
    return expected + 3 * math.sqrt(expected)


def at_least(chance: float, times: int) -> float:
    """As often as this happens, and two standard deviations less."""
    return chance * times - 2 * math.sqrt(chance * (1 - chance) * times)


@pytest.mark.parametrize("fleets", [10, pytest.param(40, marks=pytest.mark.soak)])
@pytest.mark.parametrize("faults", [Faults(loss=0.2), ALL], ids=["loss", "all"])
async def test_with_a_fifth_lost_both_ways_calls_succeed_and_sessions_end_by_chance_alone(
    world: World, lines: list[EventDict], faults: Faults, fleets: int
) -> None:
    world.gateway.stretch = Random(fleets).random
    endings: Counter[Ending] = Counter()
    ends: Counter[EndReason] = Counter()
    connections = messages = 0
    for seed in range(fleets):
        fleet = await Fleet.connected(world, seed, listeners=0)
        await fleet.live(faults)
        await fleet.check()
        endings += fleet.calls.endings
        ends += fleet.ends()
        connections += fleet.handshakes().total()
        messages += fleet.messages
        fleet.leave()
    assert endings[Ending.RIGHT] >= at_least(SUCCESS, endings.total())
    assert ends.keys() <= {
        EndReason.MESSAGE_TIMEOUT,
        EndReason.PING_TIMEOUT,
        EndReason.HANDSHAKE_FAILED,
    }
    assert 0 < ends[EndReason.MESSAGE_TIMEOUT] <= at_most(NEVER_ARRIVES, messages)
    assert ends[EndReason.PING_TIMEOUT] <= at_most(NEVER_ANSWERED, connections)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "faults",
    [Faults(duplication=0.2), Faults(reordering=0.2), NO_LOSS],
    ids=["duplication", "reordering", "both"],
)
async def test_where_nothing_is_lost_all_calls_succeed_and_all_events_arrive(
    world: World, lines: list[EventDict], faults: Faults, seed: int
) -> None:
    fleet = await Fleet.connected(world, seed)
    await fleet.live(faults)
    await fleet.check()
    assert fleet.calls.endings == {Ending.RIGHT: TROUBLE_S}
    assert fleet.ends() == {}
    assert fleet.handshakes() == {False: DEVICES}
    for device in fleet.devices:
        assert set(device.settled(Outcome.ACKNOWLEDGED)) >= set(device.sent[:-1])
    logged = [event.data for event in logged_events(world)]
    for device in fleet.devices[:LISTENERS]:
        assert set(device.received) >= set(logged[DEVICES:-DEVICES])
    statuses = Counter(event.origin for event in world.logged("spark/status"))
    assert statuses == {device.device_id: 1 for device in fleet.devices}


@pytest.mark.parametrize("seed", SEEDS)
async def test_devices_that_change_their_address_keep_their_sessions(
    world: World, lines: list[EventDict], seed: int
) -> None:
    fleet = await Fleet.connected(world, seed)
    await fleet.live(NO_LOSS, roam=True)
    await fleet.check()
    assert fleet.ends() == {}
    assert fleet.handshakes() == {False: DEVICES}
    # Until a device says something by itself, nobody knows where it is.
    assert fleet.calls.endings.keys() <= {Ending.RIGHT, Ending.TIMEOUT, Ending.OFFLINE}
    assert fleet.calls.endings[Ending.RIGHT] > TROUBLE_S * 0.9


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("faults", [GOOD, NO_LOSS], ids=["good", "no loss"])
async def test_restarts_are_noticed_by_no_device(
    world: World, lines: list[EventDict], faults: Faults, seed: int
) -> None:
    fleet = await Fleet.connected(world, seed)
    await fleet.live(faults, restart=True)
    await fleet.check()
    assert fleet.ends() == {}
    assert fleet.handshakes() == {False: DEVICES}
    assert fleet.calls.endings.keys() <= {Ending.RIGHT, Ending.LOST}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("roam", [False, True], ids=["in one place", "moving"])
async def test_devices_that_sleep_during_restarts_resume_their_sessions(
    world: World, lines: list[EventDict], roam: bool, seed: int
) -> None:
    fleet = await Fleet.connected(world, seed)
    await fleet.live(NO_LOSS, roam=roam, sleep=True, restart=True)
    await fleet.check()
    ends = fleet.ends()
    assert ends[EndReason.SLEEP] > DEVICES
    assert ends.keys() <= {EndReason.SLEEP, EndReason.MESSAGE_TIMEOUT}
    # An outage leaves a message one copy of four. Its answer finds nobody where it came from if the
    # device has moved on since, and that is the end of a session.
    assert ends[EndReason.MESSAGE_TIMEOUT] <= (1 if roam else 0)
    assert fleet.handshakes() == {
        False: DEVICES + ends[EndReason.MESSAGE_TIMEOUT],
        True: ends[EndReason.SLEEP],
    }


@pytest.mark.parametrize("seed", SEEDS)
async def test_after_all_of_it_at_once_everyone_comes_back(
    world: World, lines: list[EventDict], seed: int
) -> None:
    fleet = await Fleet.connected(world, seed)
    await fleet.live(ALL, roam=True, sleep=True, restart=True)
    await fleet.check()
    assert fleet.ends().keys() <= {
        EndReason.SLEEP,
        EndReason.MESSAGE_TIMEOUT,
        EndReason.PING_TIMEOUT,
        EndReason.HANDSHAKE_FAILED,
    }


@pytest.mark.parametrize("seed", SEEDS)
async def test_older_firmware_keeps_its_sessions_too_where_nothing_is_lost(
    world: World, lines: list[EventDict], seed: int
) -> None:
    fleet = await Fleet.connected(world, seed, boards=OLDER)
    await fleet.live(NO_LOSS, sleep=True, restart=True)
    await fleet.check()
    slept = fleet.ends()[EndReason.SLEEP]
    assert slept > DEVICES
    assert fleet.ends() == {EndReason.SLEEP: slept}
    assert fleet.handshakes() == {False: DEVICES, True: slept}


@pytest.mark.parametrize("seed", SEEDS)
async def test_older_firmware_comes_back_after_all_of_it_at_once(
    world: World, lines: list[EventDict], seed: int
) -> None:
    fleet = await Fleet.connected(world, seed, boards=OLDER)
    await fleet.live(ALL, roam=True, sleep=True, restart=True)
    await fleet.check()


@pytest.mark.parametrize("fleets", [2, pytest.param(40, marks=pytest.mark.soak)])
async def test_handshakes_fail_by_chance_alone(
    world: World, lines: list[EventDict], fleets: int
) -> None:
    failed = attempts = 0
    for seed in range(fleets):
        devices = [
            FarDevice(
                world, index, ALL, seed=f"handshakes/{seed}", behaviour=telling(EVENT_INTERVAL_S)
            )
            for index in range(2 * DEVICES)
        ]
        await world.advance(TROUBLE_S)
        for device in devices:
            assert False in device.handshakes
            failures = device.ends[EndReason.HANDSHAKE_FAILED]
            failed += failures
            attempts += failures + device.handshakes.count(False)
            device.leave()
    assert 0 < failed <= at_most(3 * NEVER_ARRIVES, attempts)
