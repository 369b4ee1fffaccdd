"""What goes wrong with the updates of a device, and when."""

import math
from collections.abc import Callable
from enum import Enum

import msgspec

from cyan.sim.chance import Chance
from cyan.sim.oserrors import FLASH_IO
from cyan.sim.tables import Range


class Trouble(Enum):
    """What a device does in the middle of an update.

    - `SLOW`: it erases or reads its memory for a time, and does nothing else meanwhile;
    - `SILENT`: it says nothing at all for a time, then goes on with its session;
    - `STUCK`: it takes no notice of the update any more, but of everything else;
    - `NONSENSE`: it answers what makes no sense; after its restart it runs what it ran before;
    - `POWER_CUT`: it starts anew, with what it has written down until then;
    - `REFUSED`: it tells the error `code`, as it would have found it by itself.
    """

    SLOW = "update-slow"
    SILENT = "update-silent"
    STUCK = "update-stuck"
    NONSENSE = "update-nonsense"
    POWER_CUT = "update-power-cut"
    REFUSED = "update-refused"


class Phase(Enum):
    """Where an update stands: the server asks for it, sends it, has sent it; the device, which has
    found it right, is about to put it to use."""

    START = "start"
    CHUNKS = "chunks"
    FINISH = "finish"
    RESTART = "restart"


class UpdateFault(msgspec.Struct, frozen=True):
    """Befalls a share of the devices in this phase of their first `times` updates (None: of all),
    among the chunks when a share of the file within `done` has arrived; for a time within `for_s`.
    """

    trouble: Trouble
    phase: Phase
    times: int | None = 1
    share: float = 1.0
    done: Range = (0.0, 1.0)
    for_s: Range = (0.0, 0.0)
    keeps_session: bool = True
    code: int = FLASH_IO


class Struck(msgspec.Struct, frozen=True):
    """A fault befalls the device now, for so many seconds."""

    fault: UpdateFault
    for_s: float


class Troubles:
    """The faults of one device's updates over all its boots. `on_struck` is told of each."""

    __slots__ = ("_calendars", "_on_struck")

    def __init__(
        self,
        faults: tuple[UpdateFault, ...],
        on_struck: Callable[[Struck], None],
        *purpose: str,
    ) -> None:
        self._on_struck = on_struck
        self._calendars = [
            _Calendar(fault, Chance(*purpose, "update", str(number)))
            for number, fault in enumerate(faults)
        ]

    def meet(self, phase: Phase, done: float = 0.0) -> UpdateFault | None:
        """What befalls an update in this phase, with this share of the file on the device."""
        for calendar in self._calendars:
            if calendar.is_due(phase, done):
                struck = calendar.take()
                self._on_struck(struck)
                return struck.fault
        return None


class _Calendar:
    """The next update that a fault befalls, and where in it."""

    __slots__ = ("_at_share", "_chance", "_fault", "_left")

    def __init__(self, fault: UpdateFault, chance: Chance) -> None:
        self._fault = fault
        self._chance = chance
        times = math.inf if fault.times is None else fault.times
        self._left = times if chance.draw() < fault.share else 0.0
        self._at_share = 0.0
        self._draw()

    def is_due(self, phase: Phase, done: float) -> bool:
        return self._left > 0 and self._fault.phase is phase and done >= self._at_share

    def take(self) -> Struck:
        struck = Struck(self._fault, self._chance.between(*self._fault.for_s))
        self._left -= 1
        self._draw()
        return struck

    def _draw(self) -> None:
        if self._fault.phase is Phase.CHUNKS:
            self._at_share = self._chance.between(*self._fault.done)
