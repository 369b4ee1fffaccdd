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

from cyan.devices.description import described
from cyan.events.model import Event
from cyan.sim.facts import EndReason, Outcome
from tests.gateway.bad_network import FarDevice, Faults
from tests.gateway.far_calls import EVENT, FUNCTION, VARIABLES, Calls, Ending, telling
from tests.gateway.world import ADA, STEP_S, World

DEVICES: Final = 20
LISTENERS: Final = 2
"""So many of them get the events of all."""

EVENT_INTERVAL_S: Final = 20.0
"""For each device, as often as it is called: one call a second over all of them."""

TROUBLE_S: Final = 300
RECOVERY_S: Final = 130
"""A message that was lost for good is noticed after 60 to 90 s, and the handshakes after that take
seconds where nothing is lost any more."""

SUCCESS: Final = 0.96
"""Of the calls, at a loss of a fifth both ways."""

NEVER_ARRIVES: Final = (1 - 0.8 * 0.8) ** 4
"""No copy of a message and no acknowledgement comes through, at a loss of a fifth: for a device the
end of its session (device-protocol.md §2.2), for a handshake each of its three round trips is like
that (§1.4.2)."""

LAST_S: Final = 3.0
"""Of a server that is about to be killed."""

ROAM_EVERY_S, SLEEP_EVERY_S, RESTART_EVERY_S = 40, 90, 60
LONGEST_SLEEP_S: Final = 40.0
LONGEST_OUTAGE_S: Final = 20.0
"""Under 25 s, so that no session is lost by it (session-behaviour.md)."""

PAGE: Final = 5000
"""Rows of one read of the log."""

GOOD = Faults()
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


class Fleet:
    """Devices of one owner that are online on a good network, and calls to them."""

    def __init__(self, world: World, seed: int, listeners: int) -> None:
        self.world = world
        self.listeners = listeners
        self.random = Random(f"fleet/{seed}")
        self.devices = [
            FarDevice(
                world,
                index,
                GOOD,
                seed=f"bad networks/{seed}",
                behaviour=telling(EVENT_INTERVAL_S, listens=index < listeners),
            )
            for index in range(DEVICES)
        ]
        self.calls = Calls(world, self.random)
        self.messages = 0
        """How many the devices sent while there was trouble, copies not counted."""

    @classmethod
    async def connected(cls, world: World, seed: int, listeners: int = LISTENERS) -> "Fleet":
        fleet = cls(world, seed, listeners)
        for device in fleet.devices:
            world.register(device.device_id, ADA)
        await world.advance(10)
        assert all(device.is_online for device in fleet.devices)
        return fleet

    async def live(
        self, faults: Faults, *, roam: bool = False, sleep: bool = False, restart: bool = False
    ) -> None:
        """Trouble for a while; then the network is good again."""
        before = sum(device.messages for device in self.devices)
        for device in self.devices:
            device.change_faults(faults)
        for second in range(TROUBLE_S):
            self.calls.start(self.random.choice(self.devices))
            for device in self.devices:
                if roam and self.random.random() < 1 / ROAM_EVERY_S:
                    device.roam()
                if sleep and device.is_online and self.random.random() < 1 / SLEEP_EVERY_S:
                    device.sleep(self.random.uniform(1, LONGEST_SLEEP_S))
            if restart and second % RESTART_EVERY_S == RESTART_EVERY_S // 2:
                await self._fall_silent_over_a_slow_disk()
                await self.calls.lose()
                await self.world.restart(outage_s=self.random.uniform(0, LONGEST_OUTAGE_S))
            await self.world.advance(1)
        await self.calls.finish()
        self.messages = sum(device.messages for device in self.devices) - before
        for device in self.devices:
            device.change_faults(GOOD)
        await self.world.advance(RECOVERY_S)

    async def _fall_silent_over_a_slow_disk(self) -> None:
        """The server's last seconds: it takes events in while a commit takes its time. That commit
        still comes to its end; what waits for the next one is gone."""
        world = self.world
        with world.slow_disk():
            for _ in range(round(LAST_S / STEP_S)):
                world.clock.advance(STEP_S)
                world.gateway.turn()
                for device in self.devices:
                    device.on_time(world.clock.monotonic())
                await world.spin()
            world.gateway.stop_listening()
            world.socket.close()
            world.log.append = lambda event, done=None: None  # type: ignore[method-assign]
            world.log._waiting.clear()
            world.log._waiting_dones.clear()

    async def check(self) -> None:
        """What holds whatever happens."""
        self._check_the_log()
        self._check_what_listeners_got()
        assert self.calls.endings[Ending.WRONG] == 0
        assert self.calls.endings[Ending.REFUSED] == 0
        await self._check_that_everyone_is_there()

    def ends(self) -> Counter[EndReason]:
        """Why connections ended, over all devices."""
        return sum((device.ends for device in self.devices), Counter())

    def handshakes(self) -> Counter[bool]:
        """Of all devices: True resumptions, False full ones."""
        return Counter(resumed for device in self.devices for resumed in device.handshakes)

    def leave(self) -> None:
        for device in self.devices:
            device.leave()

    def _check_the_log(self) -> None:
        """What was acknowledged is there, nothing twice, nothing else."""
        ours = {device.device_id for device in self.devices}
        events = [event for event in logged_events(self.world) if event.origin in ours]
        logged = Counter(event.data for event in events)
        acknowledged = {data for d in self.devices for data in d.settled(Outcome.ACKNOWLEDGED)}
        assert len(acknowledged) > DEVICES * TROUBLE_S / EVENT_INTERVAL_S / 2
        assert sorted(acknowledged - logged.keys()) == []
        assert [data for data, times in logged.items() if times > 1] == []
        assert logged.keys() <= {data for device in self.devices for data in device.sent}
        assert all((event.data or b"").startswith(event.origin.encode()) for event in events)

    def _check_what_listeners_got(self) -> None:
        """Nothing that is not in the log, and nothing twice. (With its connection a device forgets
        what it has taken.)"""
        logged = {event.data for event in logged_events(self.world)}
        for device in self.devices[: self.listeners]:
            assert device.received
            assert set(device.received) <= logged
            assert device.ends or len(device.received) == len(set(device.received))
        assert not any(device.received for device in self.devices[self.listeners :])

    async def _check_that_everyone_is_there(self) -> None:
        for device in self.devices:
            assert device.is_online
            assert self.world.links.state(device.device_id) is not None
            told = described(self.world.db, device.device_id)
            assert told is not None
            assert told.functions == (FUNCTION,)
            assert told.variables.keys() == set(VARIABLES)
        again = Calls(self.world, self.random)
        for device in self.devices:
            again.start(device)
        await again.finish()
        assert again.endings == {Ending.RIGHT: DEVICES}


def logged_events(world: World) -> list[Event]:
    """All events of applications in the log, oldest first."""
    events: list[Event] = []
    position = 0
    while batch := world.log.read(position, PAGE):
        position = batch[-1][0]
        events += (event for _, event in batch if event.name == EVENT)
    return events


def at_most(chance: float, times: int) -> float:
    """As often as this happens by chance alone, and three standard deviations more."""
    expected = chance * times
    return expected + 3 * math.sqrt(expected)


@pytest.mark.parametrize("fleets", [10, pytest.param(40, marks=pytest.mark.soak)])
@pytest.mark.parametrize("faults", [Faults(loss=0.2), ALL], ids=["loss", "all"])
async def test_with_a_fifth_lost_both_ways_calls_succeed_and_sessions_end_by_chance_alone(
    world: World, lines: list[EventDict], faults: Faults, fleets: int
) -> None:
    endings: Counter[Ending] = Counter()
    lost = messages = 0
    for seed in range(fleets):
        fleet = await Fleet.connected(world, seed, listeners=0)
        await fleet.live(faults)
        await fleet.check()
        endings += fleet.calls.endings
        ends = fleet.ends()
        fleet.leave()
        assert ends.keys() <= {EndReason.MESSAGE_TIMEOUT, EndReason.HANDSHAKE_FAILED}
        lost += ends[EndReason.MESSAGE_TIMEOUT]
        messages += fleet.messages
    assert endings[Ending.RIGHT] >= SUCCESS * endings.total()
    assert 0 < lost <= at_most(NEVER_ARRIVES, messages)


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
