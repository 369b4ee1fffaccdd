"""A queue that serves everybody in turn, so that one who asks for much does not hold up others."""

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Bounded in all, and round-robin over the sources of what waits.

    When it is full, a source that has its share already loses what it adds; one that has less takes
    the place of the last that a busier one has waiting. So a flood from one source displaces
    nothing of the others.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._lanes: dict[bytes, deque[T]] = {}
        self._turn: deque[bytes] = deque()
        self._busiest = b""

    def __len__(self) -> int:
        return self._size

    def push(self, source: bytes, item: T) -> T | None:
        """Queue an item; returns the one that had to give way for it, which can be itself."""
        lane = self._lanes.get(source)
        if lane is None:
            lane = self._lanes[source] = deque()
            self._turn.append(source)
        if self._size < self._limit:
            lane.append(item)
            self._size += 1
            return None
        share = self._limit // len(self._lanes)
        if len(lane) >= max(share, 1):
            return item
        if len(self._lanes.get(self._busiest, ())) <= share:
            self._busiest = max(self._lanes, key=lambda name: len(self._lanes[name]))
        lane.append(item)
        return self._lanes[self._busiest].pop()

    def pop(self) -> T:
        """The next item in turn. IndexError when nothing waits."""
        while True:
            source = self._turn.popleft()
            lane = self._lanes[source]
            if not lane:
                del self._lanes[source]
                continue
            item = lane.popleft()
            self._size -= 1
            self._turn.append(source)
            return item
