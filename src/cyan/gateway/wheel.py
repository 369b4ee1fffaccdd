"""One timing wheel a process: many coarse timers for one timer of the loop.

0.07 µs to set where the loop's own costs 0.9 (performance-floors.md §2.6). Timers are not
cancelled: what they call looks whether there is still something to do.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

TICK_S = 0.1
"""How late a timer can be. The shortest interval here is a CoAP retransmission, 4 s."""

_log = structlog.get_logger(__name__)


T = TypeVar("T")


class Wheel(Generic[T]):
    """Buckets of items by tick. `turn` is called by the owner, about every TICK_S."""

    def __init__(self, now_s: float, on_due: Callable[[T, float], None]) -> None:
        """on_due(item, now_s) is called with each item whose time has come."""
        self._tick = int(now_s / TICK_S)
        self._on_due = on_due
        self._buckets: defaultdict[int, list[T]] = defaultdict(list)

    def at(self, when_s: float, item: T) -> None:
        """Hand the item out at the first turn after `when_s` (monotonic seconds)."""
        self._buckets[max(int(when_s / TICK_S) + 1, self._tick + 1)].append(item)

    def turn(self, now_s: float) -> None:
        """Hand out what is due. One that fails is logged and hurts no other."""
        tick = int(now_s / TICK_S)
        while self._tick < tick:
            self._tick += 1
            for item in self._buckets.pop(self._tick, ()):
                try:
                    self._on_due(item, now_s)
                except Exception:
                    _log.exception("timer.failed")
