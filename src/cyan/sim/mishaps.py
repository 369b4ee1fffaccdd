"""When something happens to a device: as the seed has it, whatever else happens."""

import math

import msgspec

from cyan.sim.chance import Chance
from cyan.sim.faults import Mishap
from cyan.sim.reliability import NEVER


class Occurrence(msgspec.Struct, frozen=True):
    """A mishap happens: `at_s` seconds after the device's start, for `for_s` seconds."""

    mishap: Mishap
    at_s: float
    for_s: float


class Mishaps:
    """What happens to one device, in the order in which it does."""

    __slots__ = ("_calendars",)

    def __init__(self, mishaps: tuple[Mishap, ...], *purpose: str) -> None:
        self._calendars = [
            _Calendar(mishap, Chance(*purpose, "mishap", str(number)))
            for number, mishap in enumerate(mishaps)
        ]

    def deadline_s(self) -> float:
        """When the next one happens, in seconds after the device's start."""
        return min((calendar.at_s for calendar in self._calendars), default=NEVER)

    def take(self) -> Occurrence:
        """The next one; there has to be one."""
        return min(self._calendars, key=_Calendar.when).take()


class _Calendar:
    """The times of one mishap. `at_s` is the next, NEVER after the last."""

    __slots__ = ("_chance", "_fixed", "_mishap", "at_s")

    def __init__(self, mishap: Mishap, chance: Chance) -> None:
        self._mishap = mishap
        self._chance = chance
        self._fixed = iter(mishap.at_s)
        self.at_s = 0.0
        if chance.draw() < mishap.share:
            self._advance()
        else:
            self.at_s = NEVER

    def when(self) -> float:
        return self.at_s

    def take(self) -> Occurrence:
        taken = Occurrence(self._mishap, self.at_s, self._chance.between(*self._mishap.for_s))
        self._advance()
        return taken

    def _advance(self) -> None:
        if self._mishap.every_s is None:
            self.at_s = next(self._fixed, NEVER)
        else:
            # Without memory, as what comes from outside: a Poisson process.
            self.at_s -= self._mishap.every_s * math.log(1.0 - self._chance.draw())
