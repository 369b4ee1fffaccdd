"""One timing wheel a process: many coarse timers for one timer of the loop.

0.07 µs to set where the loop's own costs 0.9 (performance-floors.md §2.6). Timers are not
cancelled: what they call looks whether there is still something to do.
"""

from collections import defaultdict
from collections.abc import Callable

import structlog

TICK_S = 0.1
"""How late a timer can be. The shortest interval here is a CoAP retransmission, 4 s."""

_log = structlog.get_logger(__name__)


class Wheel:
    """Buckets of callbacks by tick. `turn` is called by the owner, about every TICK_S."""

    def __init__(self, now_s: float) -> None:
        self._tick = int(now_s / TICK_S)
        self._buckets: defaultdict[int, list[Callable[[float], None]]] = defaultdict(list)

    def at(self, when_s: float, callback: Callable[[float], None]) -> None:
        """Call `callback(now_s)` at the first turn after `when_s` (monotonic seconds)."""
        self._buckets[max(int(when_s / TICK_S) + 1, self._tick + 1)].append(callback)

    def turn(self, now_s: float) -> None:
        """Call what is due. One that fails is logged and hurts no other."""
        tick = int(now_s / TICK_S)
        while self._tick < tick:
            self._tick += 1
            for callback in self._buckets.pop(self._tick, ()):
                try:
                    callback(now_s)
                except Exception:
                    _log.exception("timer.failed")
