"""CoAP reliability of one session, the server's side: what was answered, what waits for an answer.

Confirmable messages from the device are recognised when they come again (RFC 7252 §4.5), so that
each has its effect once; our own are sent again until they are acknowledged (RFC 7252 §4.2) and
matched with their responses by token. Times are monotonic seconds, handed in.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Final

from cyan.wire import coap
from cyan.wire.errors import MisuseError

REMEMBER_S: Final = 95.0
"""How long an answer is kept at least. The device's last copy of a message leaves 28 to 42 s after
the first (device-protocol.md §2.2); expiry matters because the 16-bit ids come round again."""

ACK_TIMEOUT_S: Final = 4.0
"""The first retransmission, as the device's own scheme has it (device-protocol.md §2.2)."""

MAX_TRANSMITS: Final = 4
MIN_TIMEOUT_S: Final = ACK_TIMEOUT_S * (2**MAX_TRANSMITS - 1)
"""From the first send to giving up, if no interval is stretched: 60 s."""

MAX_STRETCH: Final = 0.5
"""Each interval is stretched by up to a half, at random (RFC 7252 §4.2, ACK_RANDOM_FACTOR)."""

MAX_OUTSTANDING: Final = 128
"""Of our own confirmable messages."""

TOKENS: Final = 64
"""One-byte tokens that one holder of a session uses: a quarter of all, the next holder the next
quarter, so that an answer to a question of before a restart is not taken for one of after it."""

REST_S: Final = 95.0
"""How long a token rests whose question ended without an answer: the device sends a late one up to
42 s after the first time, which may itself come late (device-protocol.md §2.2)."""

EMPTY_ACK: Final = b""
"""Stands for the empty acknowledgement."""

REORDERED: Final = 64
"""Ids before the first one of a generation that it has room for, as a bit each."""

_FIRSTS: Final = tuple(range(0, 0x10000, REORDERED))
"""Where a generation can begin. A few numbers that all sessions share are near when a message
comes; one of each session's own, in a fleet of 100,000, is not."""

_HALF: Final = 0x8000
_NOTHING: Final[dict[int, bytes | None]] = {}
"""Nothing is ever added to this one, which stands for an empty generation."""

Build = Callable[[int, bytes], bytes]
"""(message id, one-byte token) to the encoded message."""

OnResponse = Callable[[coap.Message], None]


class BusyError(MisuseError):
    """Too many messages, or too many questions, wait for this device already."""


class Request:
    """One confirmable message of ours. `on_end` is called once, with how it ended."""

    __slots__ = (
        "acknowledged", "data", "due_s", "message_id",
        "on_end", "on_response", "token", "transmits",
    )  # fmt: skip

    def __init__(
        self,
        message_id: int,
        token: int,
        data: bytes,
        due_s: float,
        on_end: Callable[[str], None] | None,
        on_response: OnResponse | None,
    ) -> None:
        self.message_id = message_id
        self.token = token
        self.data = data
        self.due_s = due_s
        self.transmits = 1
        self.acknowledged = False
        self.on_end = on_end
        self.on_response = on_response


def _before(message_id: int) -> int:
    """Where a generation begins that has room for at least REORDERED ids before this one."""
    return _FIRSTS[(message_id // REORDERED - 1) % len(_FIRSTS)]


@lru_cache(2)
def _turn_of(generation: int) -> float:
    return (generation + 1) * REMEMBER_S


def _turn_after(now_s: float) -> float:
    """When the present generation is over: the same for all sessions, and one number for all."""
    return _turn_of(int(now_s // REMEMBER_S))


class Exchange:
    """The memory of one session.

    `next_message_id` is ours; `holder` counts who has had the session, for its tokens; `answered`
    are the device's message ids whose effect is known to be kept (from the log, after a restart).
    """

    __slots__ = (
        "_answers", "_bits", "_by_id", "_by_token", "_first", "_first_token", "_next_token",
        "_older", "_older_bits", "_older_first", "_resting", "_turn_s", "next_message_id",
    )  # fmt: skip

    def __init__(
        self, *, next_message_id: int, holder: int = 0, answered: Iterable[int] = ()
    ) -> None:
        self.next_message_id = next_message_id & 0xFFFF
        self._first_token = holder * TOKENS & 0xFF
        self._next_token = 0
        # Two generations: what is older is forgotten at the next turn, REMEMBER_S later. An empty
        # acknowledgement, which nearly all get, is a bit; a message in the making is None.
        self._answers: dict[int, bytes | None] = _NOTHING
        self._older: dict[int, bytes | None] = _NOTHING
        self._bits = self._first = self._older_bits = self._older_first = 0
        self._turn_s = 0.0
        self._by_id: dict[int, Request] | None = None
        self._by_token: dict[int, Request] | None = None
        self._resting: dict[int, float] | None = None
        self._recall(list(answered))

    def _recall(self, answered: list[int]) -> None:
        if answered:
            newest = answered[0]
            back = max(age for id_ in answered if (age := newest - id_ & 0xFFFF) < _HALF)
            self._first = _before(newest - back)
            for message_id in answered:
                self._acknowledge(message_id)

    # -- what the device sends ---------------------------------------------------------------

    def is_new(self, message_id: int, now_s: float) -> bool:
        """Whether this message id is seen for the first time; from now on it is not new."""
        if now_s >= self._turn_s:
            self._turn(now_s, message_id)
        answers = self._answers
        if (
            self._bits >> (message_id - self._first & 0xFFFF) & 1
            or (
                self._older_bits
                and self._older_bits >> (message_id - self._older_first & 0xFFFF) & 1
            )
            or message_id in answers
            or message_id in self._older
        ):
            return False
        if answers is _NOTHING:
            answers = self._answers = {}
        answers[message_id] = None
        return True

    def answer_to(self, message_id: int) -> bytes | None:
        """The answer already given to a message that came again; None while it is in the making."""
        if self._is_acknowledged(message_id):
            return EMPTY_ACK
        if message_id in self._answers:
            return self._answers[message_id]
        return self._older.get(message_id)

    def keep_answer(self, message_id: int, answer: bytes) -> None:
        """Remember what was (or is now) sent; EMPTY_ACK for an empty acknowledgement."""
        if not answer:
            self._acknowledge(message_id)
        elif message_id in self._older and message_id not in self._answers:
            self._older[message_id] = answer
        else:
            self._remember(message_id, answer)

    def acknowledge(self, message_id: int) -> bool:
        """Remember that the empty acknowledgement is sent now; False when there was an answer
        before. `answer_to` and `keep_answer` in one step, for every event."""
        if self._answers.get(message_id) is None and self._older.get(message_id) is None:
            if self._is_acknowledged(message_id):
                return False
            self._acknowledge(message_id)
            return True
        return False

    def forget(self, message_id: int) -> None:
        """The message had no effect after all: it is new when it comes again."""
        self._drop(message_id)
        self._older.pop(message_id, None)

    def tidy(self, now_s: float) -> None:
        """Let go of what is too old, if that is all of it."""
        if self._turn_s and now_s >= self._turn_s + REMEMBER_S:
            self._answers = self._older = _NOTHING
            self._bits = self._older_bits = 0
            self._turn_s = 0.0
        if self._resting and all(due_s <= now_s for due_s in self._resting.values()):
            self._resting = None

    def _is_acknowledged(self, message_id: int) -> bool:
        return bool(
            self._bits >> (message_id - self._first & 0xFFFF) & 1
            or (
                self._older_bits
                and self._older_bits >> (message_id - self._older_first & 0xFFFF) & 1
            )
        )

    def _acknowledge(self, message_id: int) -> None:
        place = message_id - self._first & 0xFFFF
        if place < _HALF:
            self._bits |= 1 << place
            self._drop(message_id)
        else:
            # It comes from before the first one that this generation has room for.
            self._remember(message_id, EMPTY_ACK)

    def _drop(self, message_id: int) -> None:
        # A dictionary of each session's own would be far away when its next message comes; a new
        # one is at hand.
        if self._answers:
            self._answers.pop(message_id, None)
            if not self._answers:
                self._answers = _NOTHING

    def _remember(self, message_id: int, answer: bytes) -> None:
        if self._answers is _NOTHING:
            self._answers = {}
        self._answers[message_id] = answer

    def _turn(self, now_s: float, message_id: int) -> None:
        if self._turn_s:
            # After a long silence both generations are too old.
            is_recent = now_s < self._turn_s + REMEMBER_S
            self._older = self._answers if is_recent else _NOTHING
            self._older_bits, self._older_first = self._bits if is_recent else 0, self._first
            self._answers, self._bits = _NOTHING, 0
        if not self._bits:
            self._first = _before(message_id)
        self._turn_s = _turn_after(now_s)

    # -- what we send ------------------------------------------------------------------------

    @property
    def is_full(self) -> bool:
        """Whether MAX_OUTSTANDING of our messages wait, so that `send` would refuse one more."""
        return len(self._by_id or ()) + len(self._by_token or ()) >= MAX_OUTSTANDING

    @property
    def is_asking(self) -> bool:
        """Whether a question of ours waits for its answer."""
        return self._by_token is not None

    def take_message_id(self) -> int:
        message_id = self.next_message_id
        self.next_message_id = (message_id + 1) & 0xFFFF
        return message_id

    def send(
        self,
        build: Build,
        now_s: float,
        stretch: float,
        on_end: Callable[[str], None] | None = None,
        on_response: OnResponse | None = None,
    ) -> Request:
        """Register a confirmable message; its `data` is to be sent now and at each `due` again.

        on_response(message) is called with the response; without it the acknowledgement is all that
        is awaited. on_end(how) with `acknowledged`, `answered`, `reset` or `timeout`.
        `stretch` is 0 to 1, at random. Raises BusyError when MAX_OUTSTANDING wait already, or no
        token is free.
        """
        if self.is_full:
            raise BusyError("too many confirmable messages wait for this device")
        token = self._take_token(now_s) if on_response is not None else 0
        message_id = self.take_message_id()
        data = build(message_id, bytes((token,)))
        due = now_s + ACK_TIMEOUT_S * (1 + MAX_STRETCH * stretch)
        request = Request(message_id, token, data, due, on_end, on_response)
        if self._by_id is None:
            self._by_id = {}
        self._by_id[message_id] = request
        if on_response is not None:
            if self._by_token is None:
                self._by_token = {}
            self._by_token[token] = request
        return request

    def _take_token(self, now_s: float) -> int:
        resting = self._resting or {}
        for _ in range(TOKENS):
            token = self._first_token + self._next_token
            self._next_token = (self._next_token + 1) % TOKENS
            if token not in (self._by_token or ()) and resting.get(token, 0.0) <= now_s:
                resting.pop(token, None)
                return token
        raise BusyError("too many questions wait for this device")

    def on_ack(self, message: coap.Message) -> None:
        """An acknowledgement came, empty or with the response in it. Unknown ids are ignored."""
        request = self._take(message.message_id)
        if request is None:
            return
        request.acknowledged = True
        if request.on_response is None:
            self._end(request, "acknowledged")
        elif message.code:
            self._respond(request, message)

    def on_response(self, message: coap.Message) -> None:
        """A response of its own came. One that nobody waits for any more is ignored."""
        if len(message.token) != 1 or not self._by_token:
            return
        request = self._by_token.get(message.token[0])
        if request is not None:
            self._take(request.message_id)
            self._respond(request, message)

    def is_waiting_for(self, message_id: int) -> bool:
        """Whether a message of ours with this id is not acknowledged yet."""
        return self._by_id is not None and message_id in self._by_id

    def on_pong(self) -> None:
        """An empty acknowledgement came whose id says nothing: the oldest message that awaits no
        more than that is acknowledged (device-protocol.md §1.3.3)."""
        if not self._by_id:
            return
        for request in self._by_id.values():
            if request.on_response is None:
                self._take(request.message_id)
                self._end(request, "acknowledged")
                return

    def on_reset(self, message_id: int) -> None:
        request = self._take(message_id)
        if request is not None:
            self._forget_token(request)
            self._end(request, "reset")

    def due(self, now_s: float, stretch: float) -> Iterator[bytes]:
        """The messages to send again now. Those sent often enough end with `timeout`."""
        if not self._by_id:
            return
        for request in list(self._by_id.values()):
            if request.due_s > now_s:
                continue
            if request.transmits == MAX_TRANSMITS:
                self._take(request.message_id)
                self._rest_token(request, now_s)
                self._end(request, "timeout")
                continue
            interval = ACK_TIMEOUT_S * 2**request.transmits
            request.transmits += 1
            request.due_s = now_s + interval * (1 + MAX_STRETCH * stretch)
            yield request.data

    def next_due_s(self) -> float | None:
        """When `due` has something to do, None when nothing waits for an acknowledgement."""
        if not self._by_id:
            return None
        return min(request.due_s for request in self._by_id.values())

    def cancel(self, request: Request, now_s: float) -> None:
        """Nobody waits for this one any more: it is neither sent again nor reported."""
        self._take(request.message_id)
        self._rest_token(request, now_s)

    def cancel_all(self, how: str) -> None:
        """End everything that waits, with `how`: the session is over."""
        waiting = {id(r): r for r in (self._by_id or {}).values()}
        waiting.update({id(r): r for r in (self._by_token or {}).values()})
        self._by_id = self._by_token = None
        for request in waiting.values():
            self._end(request, how)

    def _respond(self, request: Request, message: coap.Message) -> None:
        self._forget_token(request)
        if request.on_response is not None:
            request.on_response(message)
        self._end(request, "answered")

    def _take(self, message_id: int) -> Request | None:
        """Out of those that wait for an acknowledgement; most devices have none most of the time,
        and no dictionary for them."""
        if not self._by_id:
            return None
        request = self._by_id.pop(message_id, None)
        if not self._by_id:
            self._by_id = None
        return request

    def _forget_token(self, request: Request) -> bool:
        """Whether it still had its token, which is free now."""
        if not self._by_token or self._by_token.get(request.token) is not request:
            return False
        del self._by_token[request.token]
        if not self._by_token:
            self._by_token = None
        return True

    def _rest_token(self, request: Request, now_s: float) -> None:
        if self._forget_token(request):
            if self._resting is None:
                self._resting = {}
            self._resting[request.token] = now_s + REST_S

    @staticmethod
    def _end(request: Request, how: str) -> None:
        if request.on_end is not None:
            request.on_end(how)
