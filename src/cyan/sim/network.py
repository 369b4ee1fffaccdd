"""The network between a device and its server when it is bad: datagrams and time in, datagrams out.

The n-th datagram of a direction always has the same fate under the same seed, whatever is in it.
"""

import heapq
from typing import Final

from cyan.sim.chance import Chance
from cyan.sim.faults import PERFECT, Quality
from cyan.sim.reliability import NEVER

MAX_UNDER_WAY: Final = 1024
"""Datagrams of one direction; the queue of a radio is far shorter. More of them are lost."""

_DRAWS: Final = 6


class Way:
    """One direction. `put` what is sent, `take` what has arrived by `deadline`.

    `lost`, `doubled` and `held_back` count datagrams.
    """

    __slots__ = ("_chance", "_count", "_quality", "_under_way", "doubled", "held_back", "lost")

    def __init__(self, quality: Quality, chance: Chance) -> None:
        self._quality = quality
        self._chance = chance
        self._under_way: list[tuple[float, int, bytes]] = []
        self._count = 0
        self.lost = 0
        self.doubled = 0
        self.held_back = 0

    @property
    def is_perfect(self) -> bool:
        """Whether everything arrives at once, so that there is no need to ask."""
        return self._quality is PERFECT

    def put(self, datagram: bytes, now: float) -> None:
        """Sends a datagram on its way."""
        quality = self._quality
        # All are drawn for every datagram, so that its fate depends on nothing but its number.
        lost, doubled, held_back, hold, delay, second_delay = self._chance.draws(_DRAWS)
        if lost < quality.loss:
            self.lost += 1
            return
        arrives_at = now + _within(quality.delay_s, delay)
        if held_back < quality.reorder:
            self.held_back += 1
            arrives_at += hold * quality.reorder_s
        self._add(datagram, arrives_at)
        if doubled < quality.duplicate:
            self.doubled += 1
            self._add(datagram, now + _within(quality.delay_s, second_delay))

    def deadline(self) -> float:
        """When the next datagram arrives."""
        return self._under_way[0][0] if self._under_way else NEVER

    def take(self, now: float) -> bytes | None:
        """The next datagram that has arrived by now."""
        if self.deadline() > now:
            return None
        return heapq.heappop(self._under_way)[2]

    def clear(self) -> None:
        """What is under way gets lost: nobody is there any more."""
        self.lost += len(self._under_way)
        self._under_way.clear()

    def _add(self, datagram: bytes, arrives_at: float) -> None:
        if len(self._under_way) == MAX_UNDER_WAY:
            self.lost += 1
            return
        self._count += 1
        heapq.heappush(self._under_way, (arrives_at, self._count, datagram))


def _within(range_: tuple[float, float], draw: float) -> float:
    low, high = range_
    return low + (high - low) * draw
