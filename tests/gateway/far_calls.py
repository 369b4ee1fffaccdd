"""Calls to devices at the end of a bad network, and whether each got its own answer."""

import asyncio
from collections import Counter
from enum import Enum
from itertools import count
from random import Random
from typing import Final

from cyan.core.ports import (
    DeviceBusyError,
    DeviceOfflineError,
    DeviceRefusedError,
    DeviceTimeoutError,
)
from cyan.gateway.calls import CALL_TIMEOUT_S
from cyan.sim.behaviour import (
    DEVICE_ID,
    PLACES,
    Behaviour,
    Event,
    Function,
    Subscription,
    Text,
    Variable,
)
from cyan.sim.template import parse_template
from cyan.wire.messages import STRING
from tests.gateway.bad_network import FarDevice
from tests.gateway.world import STEP_S, World

EVENT: Final = "reading"
FUNCTION: Final = "length"
LONGEST_ARGUMENT: Final = 200
"""Bytes. A function gives its argument's length: so many calls differ from each other."""

VARIABLES: Final = ("one", "two", "three")


def telling(event_interval_s: float, *, listens: bool = False) -> Behaviour:
    """An application whose every answer and event tells whose it is: a function that gives its
    argument's length, variables that hold the device's id and their own name. It may listen to the
    events of all."""
    return Behaviour(
        variables=tuple(
            Variable(name, STRING, Text(parse_template(f"{{device_id}}/{name}", (DEVICE_ID,))))
            for name in VARIABLES
        ),
        functions=(Function(FUNCTION, otherwise=None),),
        events=(Event(EVENT, parse_template("{device_id}-{counter}", PLACES), event_interval_s),),
        subscriptions=(Subscription(EVENT),) if listens else (),
    )


class Ending(Enum):
    """How a call ended. `LOST`: with the server's process."""

    RIGHT = "right"
    WRONG = "wrong"
    TIMEOUT = "timeout"
    OFFLINE = "offline"
    REFUSED = "refused"
    LOST = "lost"


class Calls:
    """Function calls and variable reads, made one by one while time passes."""

    def __init__(self, world: World, random: Random) -> None:
        self.endings: Counter[Ending] = Counter()
        self.longest_s = 0.0
        self._world = world
        self._random = random
        self._lengths = count()
        self._waiting: set[asyncio.Task[None]] = set()

    def start(self, device: FarDevice) -> None:
        """One call of either kind."""
        task = asyncio.ensure_future(self._call(device))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def finish(self) -> None:
        """Every call has ended by itself, in time."""
        await self._world.advance(CALL_TIMEOUT_S + 1)
        assert not self._waiting
        assert self.longest_s <= CALL_TIMEOUT_S + STEP_S

    async def lose(self) -> None:
        """The process that made them is no more."""
        waiting = list(self._waiting)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        self.endings[Ending.LOST] += len(waiting)

    @property
    def success(self) -> float:
        """The share of calls that got their answer, of those that did not end with the process."""
        return self.endings[Ending.RIGHT] / (self.endings.total() - self.endings[Ending.LOST])

    async def _call(self, device: FarDevice) -> None:
        began_s = self._world.clock.monotonic()
        try:
            is_right = await (
                self._measure(device) if self._random.random() < 0.5 else self._read(device)
            )
            ending = Ending.RIGHT if is_right else Ending.WRONG
        except DeviceTimeoutError:
            ending = Ending.TIMEOUT
        except DeviceOfflineError:
            ending = Ending.OFFLINE
        except (DeviceRefusedError, DeviceBusyError):
            ending = Ending.REFUSED
        self.endings[ending] += 1
        self.longest_s = max(self.longest_s, self._world.clock.monotonic() - began_s)

    async def _measure(self, device: FarDevice) -> bool:
        length = 1 + next(self._lengths) % LONGEST_ARGUMENT
        argument = "x" * length
        result = await self._world.links.call_function(device.device_id, FUNCTION, argument)
        return result == length

    async def _read(self, device: FarDevice) -> bool:
        name = self._random.choice(VARIABLES)
        value = await self._world.links.read_variable(device.device_id, name)
        return value == f"{device.device_id}/{name}".encode()
