"""A clock that runs fast or slow."""

from typing import Final

SECOND: Final = 1.0


class SkewedClock:
    """The clock of a device that was right at the time `right_at`; it is `fast` seconds ahead a
    second later (0.01: 1 % fast, negative: slow, above -1)."""

    __slots__ = ("_rate", "_right_at")

    def __init__(self, fast: float, right_at: float) -> None:
        self._rate = SECOND + fast
        self._right_at = right_at

    def inside(self, now: float) -> float:
        """What the device's clock shows at a time of the world."""
        if self._rate == SECOND:
            return now
        return self._right_at + (now - self._right_at) * self._rate

    def outside(self, shown: float) -> float:
        """At which time of the world the device's clock shows this."""
        if self._rate == SECOND:
            return shown
        return self._right_at + (shown - self._right_at) / self._rate
