"""Book-keeping of a device's message ids, which count up one by one: what has not come (yet)."""

from typing import Final

MAX_MISSED: Final = 64
"""Ids that are taken for missed; a larger step is a new start of the device's counter
(session-behaviour.md, "The cure")."""

MAX_MISSING: Final = 256
"""Ids that are kept as missing; a device that leaves out so many does not count as we think."""

UNKNOWN: Final = -1
"""In place of the last id, before the first message."""


class DeviceIds:
    """`expected` is the next id, None before the first message; `missing` are ids before it.

    `may_have_missed` holds from a restart after a long outage to the first message after it.
    """

    __slots__ = ("expected", "may_have_missed", "missing")

    def __init__(self, last: int = UNKNOWN, *, may_have_missed: bool = False) -> None:
        self.expected = None if last < 0 else last + 1 & 0xFFFF
        self.may_have_missed = may_have_missed
        self.missing: set[int] = set()

    def last(self) -> int:
        """The id before the expected one, UNKNOWN before the first."""
        return UNKNOWN if self.expected is None else self.expected - 1 & 0xFFFF

    def restart(self, message_id: int) -> None:
        """A new session begins with this message."""
        self.expected = message_id + 1 & 0xFFFF
        self.missing.clear()

    def follow(self, message_id: int) -> list[int]:
        """Note that this id came. The first one after a long outage tells the ids it swallowed."""
        if self.expected is None:
            self.expected = message_id + 1 & 0xFFFF
            return []
        ahead = message_id - self.expected & 0xFFFF
        if ahead >= 0x8000:
            self.missing.discard(message_id)
            return []
        left_out = range(ahead) if ahead <= MAX_MISSED else ()
        missed = [self.expected + i & 0xFFFF for i in left_out]
        self.expected = message_id + 1 & 0xFFFF
        if self.may_have_missed:
            self.may_have_missed = False
            return missed
        self.missing.update(missed)
        if len(self.missing) > MAX_MISSING:
            self.missing.clear()
        return []
