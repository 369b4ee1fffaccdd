"""The network between a device and its server when it is bad: bytes and time in, bytes out.

The n-th datagram of a direction always has the same fate under the same seed, whatever is in it.
"""

import heapq
import math
from collections import deque
from typing import Final, Protocol

from cyan.sim.chance import Chance
from cyan.sim.faults import PERFECT, Quality
from cyan.sim.reliability import NEVER

MAX_UNDER_WAY: Final = 1024
"""Datagrams of one direction; the queue of a radio is far shorter. More of them are lost."""

RETRANSMISSION_S: Final = 1.0
"""From what TCP has lost to sending it again; each time it waits twice as long (RFC 6298 §2.4,
§5.5)."""
MAX_RETRANSMISSIONS: Final = 6
"""About two minutes of them: the device has given up long before."""

_DRAWS: Final = 6


class Way(Protocol):
    """One direction. `put` what is sent, `take` what has arrived by `deadline`."""

    lost: int
    doubled: int
    held_back: int
    """What happened to how many datagrams or pieces of a stream."""
    is_perfect: bool
    """Everything arrives at once, so that there is no need to ask."""

    def put(self, data: bytes, now: float) -> None:
        """Sends a datagram or a piece of a stream on its way."""

    def deadline(self) -> float:
        """When the next one arrives."""

    def take(self, now: float) -> bytes | None:
        """The next one that has arrived by now."""

    def clear(self) -> None:
        """What is under way gets lost: nobody is there any more."""


class DatagramWay:
    """Loses, doubles and holds back datagrams."""

    __slots__ = (
        "_chance",
        "_count",
        "_quality",
        "_under_way",
        "doubled",
        "held_back",
        "is_perfect",
        "lost",
    )

    def __init__(self, quality: Quality, chance: Chance) -> None:
        self._quality = quality
        self._chance = chance
        self._under_way: list[tuple[float, int, bytes]] = []
        self._count = 0
        self.lost = 0
        self.doubled = 0
        self.held_back = 0
        self.is_perfect = quality == PERFECT

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
        if not self._under_way or self.deadline() > now:
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


class StreamWay:
    """Carries a stream over such a network: in order, and every piece once.

    TCP sends again what is lost, so that it comes late, and all behind it too. Where everything is
    lost nothing comes.
    """

    __slots__ = ("_chance", "_quality", "_under_way", "doubled", "held_back", "is_perfect", "lost")

    def __init__(self, quality: Quality, chance: Chance) -> None:
        self._quality = quality
        self._chance = chance
        self._under_way: deque[tuple[float, bytes]] = deque()
        self.lost = 0
        self.doubled = 0
        self.held_back = 0
        self.is_perfect = quality.loss == 0.0 and quality.delay_s == PERFECT.delay_s

    def put(self, data: bytes, now: float) -> None:
        """Sends a piece on its way."""
        lost, delay = self._chance.draws(2)
        loss = self._quality.loss
        if loss == 1.0 or len(self._under_way) == MAX_UNDER_WAY:
            self.lost += 1
            return
        times = int(math.log(1.0 - lost) / math.log(loss)) if loss else 0
        times = min(times, MAX_RETRANSMISSIONS)
        self.lost += times
        arrives_at = now + _within(self._quality.delay_s, delay)
        arrives_at += RETRANSMISSION_S * ((1 << times) - 1)
        if self._under_way:
            arrives_at = max(arrives_at, self._under_way[-1][0])
        self._under_way.append((arrives_at, data))

    def deadline(self) -> float:
        """When the next piece arrives."""
        return self._under_way[0][0] if self._under_way else NEVER

    def take(self, now: float) -> bytes | None:
        """The next piece that has arrived by now."""
        if not self._under_way or self.deadline() > now:
            return None
        return self._under_way.popleft()[1]

    def clear(self) -> None:
        """What is under way gets lost: the connection is over."""
        self.lost += len(self._under_way)
        self._under_way.clear()


def _within(range_: tuple[float, float], draw: float) -> float:
    low, high = range_
    return low + (high - low) * draw
