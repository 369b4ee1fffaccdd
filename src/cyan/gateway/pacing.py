"""What all updates together may send, dealt out in turn."""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

KEPT_S: Final = 0.2
"""How much of a quiet time may be made up for: two turns of the timing wheel."""


class Pacer(Generic[T]):
    """A bucket of bytes, and those who wait for it to fill.

    Who finds it empty waits; each turn deals chunk by chunk to those who wait, so that all get the
    same whatever they could take.
    """

    def __init__(self, bytes_per_s: int, now_s: float) -> None:
        """0 bytes a second: no limit."""
        self._per_s = bytes_per_s
        self._left = 0.0
        self._filled_s = now_s
        self._waiting: dict[T, None] = {}

    @property
    def has_limit(self) -> bool:
        return self._per_s > 0

    def wait(self, one: T) -> None:
        """`one` has something to send; it is dealt with in turn."""
        self._waiting.setdefault(one)

    def leave(self, one: T) -> None:
        """`one` has nothing to send any more."""
        self._waiting.pop(one, None)

    def deal(self, now_s: float, send: Callable[[T], int]) -> None:
        """Call send(one), which sends a chunk and returns its bytes, 0 when it has none, for each
        in turn, while there is something left."""
        per_s = self._per_s
        self._left = min(self._left + (now_s - self._filled_s) * per_s, per_s * KEPT_S)
        self._filled_s = now_s
        waiting = self._waiting
        while waiting and self._left > 0:
            one = next(iter(waiting))
            del waiting[one]
            sent = send(one)
            if sent:
                self._left -= sent
                waiting[one] = None
