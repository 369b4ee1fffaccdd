"""The value of a variable over time, on one device since its last boot."""

import math
from collections.abc import Mapping
from typing import Final

from cyan.sim.behaviour import Constant, Counter, Sine, Text, Variable, Walk
from cyan.sim.chance import Chance
from cyan.wire.messages import BOOL, DOUBLE, INT, STRING

Value = bool | int | float | str

_LOWEST_INT: Final = -(1 << 31)
_HIGHEST_INT: Final = (1 << 31) - 1
_TRUE: Final = frozenset(("true", "on", "yes", "1"))
_FALSE: Final = frozenset(("false", "off", "no", "0"))


class RunningVariable:
    """A variable that began at `started_at`. `device` has what its text names of the device,
    `seed` decides where it walks.

    Times are seconds of the device's clock and do not go back. The value depends on nothing but
    the time and what it was set to, however often it is asked for.
    """

    __slots__ = ("_set", "_started_at", "_variable", "_walker")

    def __init__(
        self, variable: Variable, device: Mapping[str, str], seed: str, started_at: float
    ) -> None:
        self._variable = variable
        self._started_at = started_at
        self._set: Value | None = None
        wave = variable.wave
        self._walker = (
            _Walker(wave, Chance(seed, variable.name)) if isinstance(wave, Walk) else None
        )
        if isinstance(wave, Text):
            self._set = wave.template.render(device.__getitem__)

    @property
    def type(self) -> int:
        """Its type, as the describe numbers it."""
        return self._variable.type

    def at(self, now: float) -> Value:
        """The value at that time, of the type that the variable has."""
        if self._set is not None:
            return self._set
        wave = self._variable.wave
        if isinstance(wave, Constant):
            return self._typed(wave.value)
        return self._typed(self._moving(now))

    def text_at(self, now: float) -> str:
        """The value at that time as a template shows it."""
        value = self.at(now)
        return str(value).lower() if isinstance(value, bool) else str(value)

    def set(self, text: str) -> None:
        """From now on it is this, as long as the text can be read as a value of its type."""
        value = _read(self._variable.type, text)
        if value is not None:
            self._set = value

    def _moving(self, now: float) -> float:
        passed_s = now - self._started_at
        wave = self._variable.wave
        if isinstance(wave, Counter):
            return wave.start + wave.step * (passed_s // wave.every_s)
        if isinstance(wave, Sine):
            return wave.mean + wave.amplitude * math.sin(math.tau * passed_s / wave.period_s)
        assert isinstance(wave, Walk)
        assert self._walker is not None
        return self._walker.after(int(passed_s // wave.every_s))

    def _typed(self, value: bool | int | float) -> Value:
        if self._variable.type == INT:
            return min(max(round(value), _LOWEST_INT), _HIGHEST_INT)
        if self._variable.type == DOUBLE:
            return round(float(value), self._variable.decimals)
        return value


class _Walker:
    """A random walk, as far as it was followed."""

    __slots__ = ("_chance", "_steps", "_value", "_walk")

    def __init__(self, walk: Walk, chance: Chance) -> None:
        self._walk = walk
        self._chance = chance
        self._steps = 0
        self._value = chance.between(walk.low, walk.high)

    def after(self, steps: int) -> float:
        """Where it is after so many steps, not fewer than before."""
        walk = self._walk
        while self._steps < steps:
            self._steps += 1
            stepped = self._value + self._chance.between(-walk.step, walk.step)
            self._value = min(max(stepped, walk.low), walk.high)
        return self._value


def _read(type_: int, text: str) -> Value | None:
    """The text as a value of the type, None when it is none."""
    if type_ == STRING:
        return text
    if type_ == BOOL:
        word = text.strip().lower()
        return True if word in _TRUE else False if word in _FALSE else None
    try:
        number = float(text)
    except ValueError:
        return None
    if type_ == DOUBLE:
        return number if math.isfinite(number) else None
    return int(number) if _LOWEST_INT <= number <= _HIGHEST_INT else None
