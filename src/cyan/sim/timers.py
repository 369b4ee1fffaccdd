"""All deadlines of a fleet in one heap, so that a device costs no timer of its own."""

import heapq

from cyan.sim.reliability import NEVER


class Deadlines:
    """For each of `count` members the next deadline. A later one than before costs nothing until
    the earlier has passed: then the member is asked again."""

    __slots__ = ("_heap", "_planned")

    def __init__(self, count: int) -> None:
        self._heap: list[tuple[float, int]] = []
        self._planned = [NEVER] * count

    def plan(self, member: int, deadline: float) -> None:
        """Makes sure that the member comes up at its deadline, or earlier."""
        if deadline < self._planned[member]:
            self._planned[member] = deadline
            heapq.heappush(self._heap, (deadline, member))

    def next(self) -> float:
        """The earliest deadline."""
        return self._heap[0][0] if self._heap else NEVER

    def pop(self, now: float) -> int | None:
        """A member whose deadline has come, None when there is none; plan it anew."""
        while self._heap and self._heap[0][0] <= now:
            deadline, member = heapq.heappop(self._heap)
            if self._planned[member] == deadline:
                self._planned[member] = NEVER
                return member
        return None
