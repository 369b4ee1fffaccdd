"""How a device makes its confirmable messages arrive, and recognises repeated ones.

Numbers as in Device OS (device-protocol.md §2.2).
"""

from collections.abc import Callable
from enum import Enum
from random import Random
from typing import Final, TypeAlias

import msgspec

from cyan.sim.posting import Part
from cyan.wire.messages import Publish

ACK_TIMEOUT_S: Final = 4.0
MAX_TRANSMISSIONS: Final = 4
"""The first and three more; each wait is twice the one before."""
MAX_STRETCH: Final = 0.5
"""Each wait is made longer by a random part of itself, at most this."""

REMEMBER_S: Final = 45.0
"""For so long ids of the server's confirmable messages are known; one that was not acknowledged by
then ends the session."""

NEVER: Final = float("inf")


class Purpose(Enum):
    """What a confirmable message of the device was for."""

    HELLO = "hello"
    PING = "ping"
    DESCRIBE = "describe"
    DESCRIBE_ANSWER = "describe that the server asked for"
    TIME = "time"
    SUBSCRIPTION = "subscription"
    SYSTEM_EVENT = "system event"
    EVENT = "event"
    ANSWER = "answer"
    GOODBYE = "goodbye"
    UPDATE = "update"


class Reaction(msgspec.Struct, frozen=True):
    """What to do, and at what time, once a message is acknowledged; it may end the connection."""

    run: Callable[[float], None]


Detail: TypeAlias = Publish | Part | Reaction | int | None
"""What an acknowledgement is about beside the purpose: the application's event, the message of a
describe, what follows, the flags of a describe that was asked for and is complete."""


class Pending:
    """A message that waits for its acknowledgement."""

    __slots__ = ("deadline", "detail", "message", "purpose", "transmissions")

    def __init__(self, message: bytes, purpose: Purpose, detail: Detail, deadline: float) -> None:
        self.message = message
        self.purpose = purpose
        self.detail = detail
        self.deadline = deadline
        self.transmissions = 1


class Outstanding:
    """The device's own unacknowledged messages, by id."""

    __slots__ = ("_pending", "_random", "retransmissions")

    def __init__(self, random: Random) -> None:
        self._pending: dict[int, Pending] = {}
        self._random = random
        self.retransmissions = 0

    def __len__(self) -> int:
        return len(self._pending)

    def add(
        self, message_id: int, message: bytes, purpose: Purpose, detail: Detail, now: float
    ) -> None:
        """Notes a message that is sent now for the first time."""
        deadline = now + self._wait_s(1)
        self._pending[message_id] = Pending(message, purpose, detail, deadline)

    def add_once(
        self, message_id: int, message: bytes, purpose: Purpose, detail: Detail, give_up_at: float
    ) -> None:
        """Notes a message that is not sent again: a stream loses nothing."""
        self._pending[message_id] = Pending(message, purpose, detail, give_up_at)

    def expire(self, now: float) -> list[Pending]:
        """Takes out those whose time has passed, which were all noted by `add_once`."""
        expired = [id_ for id_, pending in self._pending.items() if pending.deadline <= now]
        return [self._pending.pop(id_) for id_ in expired]

    def settle(self, message_id: int) -> Pending | None:
        """Takes out what was acknowledged or refused; None when nothing waits under this id."""
        return self._pending.pop(message_id, None)

    def clear(self) -> list[Pending]:
        """Gives up all of them, oldest first."""
        pending = list(self._pending.values())
        self._pending.clear()
        return pending

    def count(self, purpose: Purpose) -> int:
        """How many wait for this purpose."""
        return sum(pending.purpose is purpose for pending in self._pending.values())

    def deadline(self) -> float:
        """When `due` has to be called."""
        return min((pending.deadline for pending in self._pending.values()), default=NEVER)

    def due(self, now: float) -> list[bytes] | None:
        """The messages to send again now; None when one was sent in vain for the last time."""
        again = []
        for pending in self._pending.values():
            if pending.deadline > now:
                continue
            if pending.transmissions == MAX_TRANSMISSIONS:
                return None
            pending.transmissions += 1
            pending.deadline = now + self._wait_s(pending.transmissions)
            again.append(pending.message)
        self.retransmissions += len(again)
        return again

    def _wait_s(self, transmission: int) -> float:
        stretch = 1 + self._random.random() * MAX_STRETCH
        return ACK_TIMEOUT_S * stretch * float(1 << (transmission - 1))


class Received:
    """The server's confirmable messages of the last 45 s and how each was acknowledged."""

    __slots__ = ("_seen", "deadline")

    def __init__(self) -> None:
        self._seen: dict[int, tuple[float, bytes | None]] = {}
        self.deadline = NEVER
        """When the first unacknowledged message ends the session."""

    def __contains__(self, message_id: int) -> bool:
        return message_id in self._seen

    def acknowledgement(self, message_id: int) -> bytes | None:
        """How a known message was acknowledged; None when firmware leaves it unacknowledged."""
        return self._seen[message_id][1]

    def add(self, message_id: int, acknowledgement: bytes | None, now: float) -> None:
        """Notes a message and forgets those that are too old."""
        forget_at = now + REMEMBER_S
        self._seen[message_id] = (forget_at, acknowledgement)
        if acknowledgement is None:
            self.deadline = min(self.deadline, forget_at)

    def forget(self, now: float) -> None:
        """Drops what is too old."""
        while self._seen:
            oldest = next(iter(self._seen))
            if self._seen[oldest][0] > now:
                return
            del self._seen[oldest]
