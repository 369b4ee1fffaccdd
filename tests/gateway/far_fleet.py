"""A fleet at the end of a bad network on virtual time, and what holds of it whatever happens."""

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Final

from cyan.devices.description import described
from cyan.events.model import Event
from cyan.sim.facts import EndReason, Outcome
from tests.gateway.bad_network import NEWEST, FarDevice, Faults
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

LAST_S: Final = 3.0
"""Of a server that is about to be killed."""

ROAM_EVERY_S, SLEEP_EVERY_S, RESTART_EVERY_S = 40, 90, 60
LONGEST_SLEEP_S: Final = 40.0
LONGEST_OUTAGE_S: Final = 20.0
"""Under 25 s, so that no session is lost by it (session-behaviour.md)."""

PAGE: Final = 5000
"""Rows of one read of the log."""


GOOD = Faults()


class Fleet:
    """Devices of one owner that are online on a good network, and calls to them."""

    def __init__(self, world: World, seed: int, listeners: int, boards: Sequence[str]) -> None:
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
                board=boards[index % len(boards)],
            )
            for index in range(DEVICES)
        ]
        self.calls = Calls(world, self.random)
        self.messages = 0
        """How many the devices sent while there was trouble, copies not counted."""

    @classmethod
    async def connected(
        cls,
        world: World,
        seed: int,
        listeners: int = LISTENERS,
        boards: Sequence[str] = (NEWEST,),
    ) -> "Fleet":
        fleet = cls(world, seed, listeners, boards)
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
