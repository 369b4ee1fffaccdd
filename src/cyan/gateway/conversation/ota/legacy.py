"""The legacy protocol (device-protocol.md §5.1): UpdateBegin, chunks, UpdateDone.

In the fast mode a device says nothing until UpdateDone, and then which chunks it lacks. Over UDP
chunks go out at a rate that halves with each round of many losses; over TCP as fast as the
connection takes them. In the slow mode each chunk is a question of its own.
"""

from collections import deque
from collections.abc import Sequence
from enum import Enum, auto
from typing import Final

from cyan.core.ports import UpdateStage
from cyan.gateway.conversation.ota.steps import (
    ANSWER_WITHIN_S,
    CHECKED_WITHIN_S,
    FINISHED,
    INVALID_STATE,
    PROGRESS_WITHIN_S,
    Ask,
    Failed,
    Step,
    Why,
    longest_s,
    refusal,
)
from cyan.wire import coap
from cyan.wire.errors import MalformedError
from cyan.wire.messages import (
    ChunkMissed,
    UpdateAck,
    UpdateBegin,
    decode_update_ready,
    decode_update_result,
    encode_chunk,
    encode_update_begin,
    encode_update_done,
)

CHUNKS_PER_S: Final = 256.0
"""At first, over UDP: 128 kB/s in chunks of 512, which Wi-Fi carries with ease."""

LEAST_CHUNKS_PER_S: Final = 8.0
"""4 kB/s, the worst that 2G carries."""

BURST: Final = 32
"""Chunks that may leave together after a pause."""

MANY_MISSED: Final = 20
"""A device names no more in one message (§5.1); with so many missing it went too fast."""

MISSED_WITHIN_S: Final = 12.0
"""From the 4.00 to the list of missed chunks: its first two repetitions come 4 to 6 and 12 to 18 s
after it. UpdateDone once more has it sent anew."""

SAME_ROUNDS: Final = 12
"""In which the same chunks are missing, or one chunk is damaged, until it is given up: at 30 %
loss that happens to one transfer in a million."""


class _Asked(Enum):
    BEGIN = auto()
    CHUNK = auto()
    DONE = auto()
    NOTHING = auto()


class LegacyTransfer:
    """Sends one file, always from its beginning."""

    def __init__(
        self, data: memoryview, chunk_bytes: int, *, is_stream: bool, pads: bool = False
    ) -> None:
        """`pads`: the Core wants its last chunk filled up with zeros."""
        self.stage = UpdateStage.ASKING
        self.resent = 0
        self._data = data
        self._size = len(data)
        self._chunk_bytes = chunk_bytes
        self._count = -(-self._size // chunk_bytes)
        self._pads = pads
        self._per_s = None if is_stream else CHUNKS_PER_S
        self._allowed = 0.0
        self._allowed_s = 0.0
        self._asked = _Asked.NOTHING
        self._is_fast = False
        self._next = 0
        self._again: deque[int] = deque()
        self._same = 0
        self._last_missed: tuple[int, ...] = ()
        self._missed: tuple[int, ...] = ()
        self._lacks = False
        self._refusal: Failed | None = None
        self._goes_on = False
        self.is_of_another = False
        """The device is in the middle of an update with another, larger file. Each question makes
        it wait 300 s more; it gives that one up with its connection (§5.1)."""
        self._stage_until_s = 0.0
        self._until_s = 0.0

    @property
    def confirmed_bytes(self) -> int:
        return min(self._size, self._next * self._chunk_bytes)

    def start(self, now_s: float) -> Step:
        self._stage_until_s = now_s + ANSWER_WITHIN_S
        self._until_s = now_s + longest_s(self._size)
        self._asked = _Asked.BEGIN
        begin = UpdateBegin(True, self._chunk_bytes, self._size)
        return Ask(lambda message_id, token: encode_update_begin(message_id, token, begin))

    # -- what the device says ------------------------------------------------------------------

    def on_answer(self, message: coap.Message, now_s: float) -> Step:
        asked, self._asked = self._asked, _Asked.NOTHING
        if asked is _Asked.BEGIN:
            return self._on_ready(message, now_s)
        if asked is _Asked.CHUNK:
            return self._on_chunk_answered(message, now_s)
        if asked is _Asked.DONE:
            if self._refusal is not None:
                return self._on_earlier_done(message, self._refusal, now_s)
            return self._on_done(message, now_s)
        return None

    def _on_ready(self, message: coap.Message, now_s: float) -> Step:
        if message.code == coap.SERVICE_UNAVAILABLE:
            # It may be in the middle of an update that a server began which is no more: then it
            # takes no other for 300 s. The end of that one shows whether it is.
            self._refusal = refusal(message, "asked")
            self._asked = _Asked.DONE
            self._stage_until_s = now_s + ANSWER_WITHIN_S
            return Ask(encode_update_done)
        if message.code >= coap.BAD_REQUEST:
            return refusal(message, "asked")
        try:
            if message.code != coap.CHANGED:
                raise MalformedError(f"{coap.code_text(message.code)} to UpdateBegin")
            self._is_fast = decode_update_ready(message.payload)
        except MalformedError as error:
            return Failed(Why.REFUSED, f"The device's answer cannot be understood: {error}.")
        return self._begin(now_s)

    def _begin(self, now_s: float) -> Step:
        self.stage = UpdateStage.SENDING
        self._stage_until_s = now_s + PROGRESS_WITHIN_S
        self._allowed_s = now_s
        return None if self._is_fast else self._ask_chunk()

    def _on_earlier_done(self, message: coap.Message, refused: Failed, now_s: float) -> Step:
        """What the device says of an update that it may be in the middle of."""
        self._refusal = None
        if message.code == coap.BAD_REQUEST:
            # It lacks chunks of it. Those that it has it ignores; another file's would not pass
            # its check of the whole.
            self._is_fast = self._goes_on = True
            return self._begin(now_s)
        if message.code != coap.CHANGED:
            return refused
        try:
            result = decode_update_result(message.payload)
        except MalformedError:
            return refused
        if not result:
            return FINISHED
        if result == INVALID_STATE:
            return refused
        return Failed(Why.INTERRUPTED, f"The device gave up an earlier update: error {result}.")

    def _on_chunk_answered(self, message: coap.Message, now_s: float) -> Step:
        if message.code == coap.CHANGED:
            self._next += 1
            self._same = 0
            self._stage_until_s = now_s + PROGRESS_WITHIN_S
            return self._ask_chunk() if self._next < self._count else self._ask_done(now_s)
        if message.code == coap.BAD_REQUEST:
            self._same += 1
            self.resent += 1
            if self._same > SAME_ROUNDS:
                return Failed(Why.INTERRUPTED, "A chunk arrives damaged each time.")
            return self._ask_chunk()
        return refusal(message, "sent a chunk")

    def _on_done(self, message: coap.Message, now_s: float) -> Step:
        if message.code == coap.BAD_REQUEST:
            self._lacks = True
            self._stage_until_s = now_s + MISSED_WITHIN_S
            return self._repair(now_s)
        if message.code != coap.CHANGED:
            return refusal(message, "finished")
        try:
            result = decode_update_result(message.payload)
        except MalformedError as error:
            return Failed(Why.REFUSED, f"The device's answer cannot be understood: {error}.")
        if not result:
            return FINISHED
        if result == INVALID_STATE:
            return Failed(Why.INTERRUPTED, "The device has lost the update.", result)
        return Failed(Why.REFUSED, f"The device refused the file: error {result}.", result)

    def on_unanswered(self, how: str, now_s: float) -> Step:
        if self._refusal is not None:
            return Failed(Why.INTERRUPTED, "The device does not say whether an update runs there.")
        if self._asked is _Asked.BEGIN:
            if how == "reset":
                return Failed(Why.REFUSED, "The device rejected the message.")
            return Failed(Why.TIMEOUT, "The device did not answer.")
        return Failed(Why.INTERRUPTED, "The device did not answer during the update.")

    def on_ack(self, ack: UpdateAck, now_s: float) -> Step:
        return None  # of the other protocol

    def on_missed(self, missed: ChunkMissed, now_s: float) -> Step:
        """The list can overtake the 4.00 that comes before it."""
        if self.stage is not UpdateStage.CHECKING:
            return None
        self._missed = tuple(index for index in missed.indices if index < self._count)
        if self._goes_on and len(self._missed) < len(missed.indices):
            self.is_of_another = True
            return Failed(Why.INTERRUPTED, "The device was in the middle of another update.")
        return self._repair(now_s)

    def _repair(self, now_s: float) -> Step:
        if not self._missed or not self._lacks:
            return None
        missed, self._missed, self._lacks = self._missed, (), False
        self._same = self._same + 1 if missed == self._last_missed else 0
        if self._same > SAME_ROUNDS:
            return Failed(Why.INTERRUPTED, "The same chunks do not arrive each time.")
        self._last_missed = missed
        if self._per_s is not None and len(missed) >= MANY_MISSED:
            self._per_s = max(self._per_s / 2, LEAST_CHUNKS_PER_S)
        self._again.extend(missed)
        self.stage = UpdateStage.SENDING
        self._stage_until_s = now_s + PROGRESS_WITHIN_S
        return None

    def on_time(self, now_s: float) -> Step:
        if now_s >= self._until_s:
            return Failed(Why.INTERRUPTED, "The update takes too long.")
        if now_s < self._stage_until_s:
            return None
        if self._lacks:
            # The list was lost, or what came was none.
            self._lacks = False
            self._same += 1
            if self._same > SAME_ROUNDS:
                return Failed(Why.INTERRUPTED, "The device does not say which chunks it lacks.")
            return self._ask_done(now_s)
        if self._asked is _Asked.NOTHING:
            return Failed(Why.INTERRUPTED, "The device takes no chunks any more.")
        return self.on_unanswered("timeout", now_s)

    # -- what is sent --------------------------------------------------------------------------

    def take(self, room: int, now_s: float) -> Sequence[int]:
        if self.stage is not UpdateStage.SENDING or not self._is_fast:
            return ()
        room = min(room, len(self._again) + self._count - self._next)
        if self._per_s is not None:
            self._allowed = min(
                self._allowed + (now_s - self._allowed_s) * self._per_s, float(BURST)
            )
            self._allowed_s = now_s
            room = min(room, int(self._allowed))
            self._allowed -= room
        if room <= 0:
            return ()
        self._stage_until_s = now_s + PROGRESS_WITHIN_S
        taken = [self._again.popleft() for _ in range(min(room, len(self._again)))]
        self.resent += len(taken)
        first, self._next = self._next, self._next + room - len(taken)
        taken.extend(range(first, self._next))
        return taken

    def encode(self, chunks: Sequence[int], message_id: int) -> list[bytes]:
        # The token is never answered in the fast mode; a device only expects that there is one.
        return [
            encode_chunk(
                message_id + number & 0xFFFF,
                bytes((chunk & 0xFF,)),
                self._slice(chunk),
                index=chunk,
            )
            for number, chunk in enumerate(chunks)
        ]

    def on_taken(self, now_s: float) -> Step:
        if (
            self.stage is UpdateStage.SENDING
            and self._is_fast
            and not self._again
            and self._next >= self._count
        ):
            return self._ask_done(now_s)
        return None

    def _slice(self, chunk: int) -> bytes | memoryview:
        start = chunk * self._chunk_bytes
        data = self._data[start : start + self._chunk_bytes]
        if self._pads and len(data) < self._chunk_bytes:
            return bytes(data).ljust(self._chunk_bytes, b"\0")
        return data

    def _ask_chunk(self) -> Step:
        self._asked = _Asked.CHUNK
        data = self._slice(self._next)
        return Ask(lambda message_id, token: encode_chunk(message_id, token, data))

    def _ask_done(self, now_s: float) -> Step:
        self.stage = UpdateStage.CHECKING
        self._asked = _Asked.DONE
        self._stage_until_s = now_s + CHECKED_WITHIN_S
        return Ask(encode_update_done)
