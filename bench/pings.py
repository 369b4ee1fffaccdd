"""Keep-alive pings of many devices, sent again as firmware does until they are answered."""

import heapq
import random
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from cyan.wire import coap

RETRANSMIT_S: Final = (4.0, 12.0, 28.0)
"""After the first send, each up to half as late again (device-protocol.md §2.2)."""


class Pinging(Protocol):
    """A device's side of a session."""

    def next_message_id(self) -> int: ...

    def seal(self, content: bytes) -> bytes: ...


class Pings:
    """Pings of `devices`, by their index; `send(index, datagram)`.

    `sent`, `sent_again` and `answered` count; the times of the first and the last answer are those
    that `on_answer` was given.
    """

    def __init__(self, devices: Sequence[Pinging], send: Callable[[int, bytes], None]) -> None:
        self._devices = devices
        self._send = send
        self._random = random.Random(1)
        self._interval_s = 0.0
        # (when, index, attempt, message id); the id only from the second attempt on.
        self._due: list[tuple[float, int, int, int]] = []
        self._waiting: dict[int, tuple[int, float]] = {}
        self.sent = self.sent_again = self.answered = 0
        self.first_answer_s = self.last_answer_s = 0.0

    def start(self, first_s: float, within_s: float, *, interval_s: float = 0.0) -> None:
        """All devices ping once within so many seconds, in their order; with an interval, again and
        again. What was planned before is forgotten."""
        step = within_s / max(len(self._devices), 1)
        self._due = [(first_s + i * step, i, 0, 0) for i in range(len(self._devices))]
        self._waiting = {}
        self._interval_s = interval_s
        self.sent = self.sent_again = self.answered = 0
        self.first_answer_s = self.last_answer_s = 0.0

    def add(self, index: int, when_s: float) -> None:
        """One more device."""
        heapq.heappush(self._due, (when_s, index, 0, 0))

    @property
    def unanswered(self) -> int:
        """How many that were sent have no answer yet."""
        return len(self._waiting)

    def turn(self, now_s: float) -> None:
        """Send what is due."""
        due = self._due
        while due and due[0][0] <= now_s:
            _, index, attempt, message_id = heapq.heappop(due)
            device = self._devices[index]
            if attempt == 0:
                message_id = device.next_message_id()
                self._waiting[index] = (message_id, now_s)
                self.sent += 1
                if self._interval_s:
                    heapq.heappush(due, (now_s + self._interval_s, index, 0, 0))
            elif self._waiting.get(index, (None,))[0] != message_id:
                continue  # answered, or another one is on its way by now
            else:
                self.sent_again += 1
            if attempt < len(RETRANSMIT_S):
                delay_s = RETRANSMIT_S[attempt] * (1 + self._random.random() / 2)
                again_s = self._waiting[index][1] + delay_s
                heapq.heappush(due, (again_s, index, attempt + 1, message_id))
            self._send(index, device.seal(coap.encode_ping(message_id)))

    def on_answer(self, index: int, message_id: int, now_s: float) -> None:
        """An acknowledgement came; one that fits no ping is ignored."""
        if self._waiting.get(index, (None,))[0] == message_id:
            del self._waiting[index]
            self.answered += 1
            self.last_answer_s = now_s
            self.first_answer_s = self.first_answer_s or now_s
