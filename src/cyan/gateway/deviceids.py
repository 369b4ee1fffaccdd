"""Book-keeping of a device's message ids, which count up one by one: what has not come (yet)."""

from collections.abc import Iterable
from typing import Final

MAX_MISSED: Final = 64
"""Ids that are taken for missed; a larger step is a new start of the device's counter
(session-behaviour.md, "The cure")."""

LOOK_BACK: Final = MAX_MISSED // 2
"""What lies before the newest id in the log is mostly in the log as well."""

MAX_MISSING: Final = 256
"""Ids that are kept as missing; a device that leaves out so many does not count as we think."""

LOST_AFTER_S: Final = 45.0
"""From the time when a higher id came. The last copy of a message leaves at most 42 s after the
first (device-protocol.md §2.2), which was before that."""

UNKNOWN: Final = -1
"""In place of the last id, before the first message."""


def last_known(stored: int, logged: Iterable[int]) -> int:
    """The id up to which nothing counts as missed after a restart.

    That is the stored row's, which is a few seconds behind; but at most LOOK_BACK before the newest
    one in the log, so that a device that sends much is not lost sight of.
    """
    if stored < 0:
        return stored
    newest = max(
        ((id_ - stored & 0xFFFF) for id_ in logged if id_ - stored & 0x8000 == 0), default=0
    )
    return stored + max(newest - LOOK_BACK, 0) & 0xFFFF


class DeviceIds:
    """`expected` is the next id, None before the first message.

    `may_have_missed` holds from a restart after a long outage to the first message after it.
    """

    __slots__ = ("_missing", "expected", "may_have_missed")

    def __init__(self, last: int = UNKNOWN, *, may_have_missed: bool = False) -> None:
        self.expected = None if last < 0 else last + 1 & 0xFFFF
        self.may_have_missed = may_have_missed
        # With the time since when each is known to be missing, oldest first.
        self._missing: dict[int, float] | None = None

    @property
    def is_watched(self) -> bool:
        """Whether ids are missing, or were a while ago: somebody calls `take_lost`."""
        return self._missing is not None

    @property
    def is_complete(self) -> bool:
        """Whether every id before the expected one has come."""
        return not self._missing

    def last(self) -> int:
        """The id before the expected one, UNKNOWN before the first."""
        return UNKNOWN if self.expected is None else self.expected - 1 & 0xFFFF

    def restart(self, message_id: int) -> None:
        """A new session begins with this message."""
        self.expected = message_id + 1 & 0xFFFF
        self._clear()

    def follow(self, message_id: int, now_s: float) -> list[int]:
        """Note that this id came. The first one after a long outage tells the ids it swallowed."""
        if self.expected is None:
            self.expected = message_id + 1 & 0xFFFF
            return []
        ahead = message_id - self.expected & 0xFFFF
        if ahead >= 0x8000:
            if self._missing is not None:
                self._missing.pop(message_id, None)
            return []
        left_out = range(ahead) if ahead <= MAX_MISSED else ()
        missed = [self.expected + i & 0xFFFF for i in left_out]
        self.expected = message_id + 1 & 0xFFFF
        if self.may_have_missed:
            self.may_have_missed = False
            return missed
        if missed:
            self._missing = {**(self._missing or {}), **dict.fromkeys(missed, now_s)}
            if len(self._missing) > MAX_MISSING:
                self._clear()
        return []

    def take_lost(self, now_s: float) -> list[int]:
        """The ids that will never come, and are not missing any more from now on."""
        missing = self._missing or {}
        lost = [id_ for id_, since_s in missing.items() if now_s - since_s >= LOST_AFTER_S]
        for id_ in lost:
            del missing[id_]
        return lost

    def watch(self, now_s: float) -> float | None:
        """When to look for lost ids again; None when none is missing."""
        if not self._missing:
            self._missing = None
            return None
        due_s = next(iter(self._missing.values())) + LOST_AFTER_S
        return due_s if due_s > now_s else now_s + LOST_AFTER_S

    def _clear(self) -> None:
        if self._missing is not None:
            self._missing = {}
