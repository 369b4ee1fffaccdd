"""A queue that serves everybody in turn, so that one who asks for much does not hold up others."""

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Bounded in all, and round-robin over the sources of what waits.

    When it is full, the last item of the source that has most waiting gives way, if that one has
    more than the newcomer's source even then; else the newcomer is lost. So a flood from one source
    displaces nothing of the others, and a flood from many displaces nothing at all.

    Every step takes the same time however many sources there are.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._lanes: dict[bytes, deque[T]] = {}
        self._turn: deque[bytes] = deque()
        # The sources that have so many items waiting, and the most that one has.
        self._by_length: dict[int, dict[bytes, None]] = {}
        self._longest = 0

    def __len__(self) -> int:
        return self._size

    def push(self, source: bytes, item: T) -> T | None:
        """Queue an item; returns the one that had to give way for it, which can be itself."""
        lane = self._lanes.get(source)
        length = 0 if lane is None else len(lane)
        given_way: T | None = None
        if self._size < self._limit:
            self._size += 1
        elif self._longest > length + 1:
            busiest = next(iter(self._by_length[self._longest]))
            given_way = self._lanes[busiest].pop()
            self._count(busiest, self._longest, self._longest - 1)
        else:
            return item
        if lane is None:
            lane = self._lanes[source] = deque()
            self._turn.append(source)
        lane.append(item)
        self._count(source, length, length + 1)
        return given_way

    def pop(self) -> T:
        """The next item in turn. IndexError when nothing waits."""
        source = self._turn.popleft()
        lane = self._lanes[source]
        item = lane.popleft()
        self._size -= 1
        self._count(source, len(lane) + 1, len(lane))
        if lane:
            self._turn.append(source)
        else:
            del self._lanes[source]
        return item

    def _count(self, source: bytes, before: int, after: int) -> None:
        """One item more or less of this source."""
        if before:
            alike = self._by_length[before]
            del alike[source]
            if not alike:
                del self._by_length[before]
        if after:
            self._by_length.setdefault(after, {})[source] = None
        if after > self._longest or (before == self._longest and before not in self._by_length):
            self._longest = after
