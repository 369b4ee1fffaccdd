"""The device's side of the legacy protocol of updates (device-protocol.md §5.1).

Where the text leaves a choice it is as in Device OS 6.2.0 (`chunked_transfer.cpp` in
`communication/src`).
"""

from collections.abc import Callable
from typing import Final

from cyan.sim import oserrors
from cyan.sim.conversation import Conversation
from cyan.sim.facts import UpdateBegan, UpdateEnded
from cyan.sim.nonsense import TO_FINISH, TO_LEGACY_CHUNKS, TO_START, Nonsense
from cyan.sim.oserrors import DeviceOsError
from cyan.sim.platforms import OTA_CHUNK_BYTES
from cyan.sim.reliability import NEVER, Purpose
from cyan.sim.updatefaults import Phase, Trouble, UpdateFault
from cyan.sim.updater import Updater
from cyan.wire import coap
from cyan.wire.errors import MalformedError
from cyan.wire.messages.answer import encode_answer
from cyan.wire.messages.updates_legacy import (
    MAX_CHUNKS,
    STORE_FIRMWARE,
    ChunkMissed,
    UpdateBegin,
    decode_chunk,
    decode_update_begin,
    encode_chunk_missed,
    encode_update_ready,
    encode_update_result,
)

TIMEOUT_S: Final = 300.0
"""Without a chunk; then the device resets."""

MAX_MISSED: Final = 40
FEWEST_MORE: Final = 2
GROWTH: Final = 0.2
"""Missing chunks in one request: at most this, and at most so many, or so much, more than came
since the one before."""

UPDATE: Final = b"u"
CHUNK: Final = b"c"
PATHS: Final = (UPDATE, CHUNK)

_MISSING: Final = 0
_PRESENT: Final = 1


class _Transfer:
    """A file on its way. `has` says of each chunk whether it is there; `came` counts those since
    the last request for missing ones."""

    __slots__ = ("came", "chunk_size", "has", "heard_at", "is_fast", "next", "present", "size")

    def __init__(self, begin: UpdateBegin, now: float) -> None:
        self.size = begin.file_size
        self.chunk_size = begin.chunk_size
        self.is_fast = begin.fast
        self.has = bytearray(-(-begin.file_size // begin.chunk_size))
        self.came = self.next = self.present = 0
        self.heard_at = now

    @property
    def done(self) -> float:
        return self.present / len(self.has)

    def wants(self, index: int) -> bool:
        return index < len(self.has) and self.has[index] == _MISSING

    def note(self, index: int) -> None:
        self.has[index] = _PRESENT
        self.present += 1

    def missing(self, most: int) -> tuple[int, ...]:
        """The first chunks that are not there. One by one there never is any."""
        found: list[int] = []
        at = self.has.find(_MISSING) if self.is_fast else -1
        while at >= 0 and len(found) < most:
            found.append(at)
            at = self.has.find(_MISSING, at + 1)
        return tuple(found)


class LegacyUpdates:
    """Takes updates in one conversation, one at a time."""

    def __init__(self, conversation: Conversation, updater: Updater) -> None:
        self._conversation = conversation
        self._updater = updater
        self._transfer: _Transfer | None = None
        self._is_stuck = False
        self._is_babbling = False
        self._babbled = 0
        self._failure = 0

    def on_request(self, message: coap.Message, now: float) -> None:
        """Takes a request whose path is one of `PATHS`."""
        if self._is_stuck:
            self._conversation.acknowledge(message, now)
        elif message.options[0][1] == CHUNK:
            self._on_chunk(message, now)
        elif message.code == coap.PUT:
            self._on_done(message, now)
        else:
            self._on_begin(message, now)

    # What the conversation asks.

    def deadline(self) -> float:
        """When `on_deadline` has to be called."""
        return NEVER if self._transfer is None else self._transfer.heard_at + TIMEOUT_S

    def on_deadline(self, now: float) -> None:
        """Gives up."""
        if self.deadline() <= now:
            self._updater.storage.clear()
            self._end_transfer()
            self._conversation.link.restart_timed_out(now)

    def abandon(self, now: float, *, is_sudden: bool) -> None:
        """The connection is over; such a transfer begins anew."""
        self._transfer = None

    # Requests.

    def _on_begin(self, message: coap.Message, now: float) -> None:
        try:
            begin = decode_update_begin(message)
        except MalformedError:
            # Firmware takes its defaults for what it cannot read.
            largest = self._conversation.board.platform.max_binary_bytes
            begin = UpdateBegin(False, OTA_CHUNK_BYTES, largest)
        try:
            fault = self._updater.meet(Phase.START)
            if fault is not None and self._suffers(fault, message, now):
                return
            self._check(begin)
            self._updater.start(begin.file_size, now)
        except DeviceOsError as error:
            refusal = coap.encode_ack(message.message_id, coap.SERVICE_UNAVAILABLE, message.token)
            self._conversation.acknowledge_with(refusal, message, now)
            self._conversation.link.on_fact(UpdateEnded(error.code))
            return
        self._conversation.acknowledge(message, now)
        if fault is not None:
            self._babble(TO_START, message.token, now)
            return
        self._transfer = _Transfer(begin, now)
        self._conversation.transfer = self
        self._is_babbling = False
        self._failure = 0
        confirmable = not self._conversation.is_stream
        self._say(
            lambda id_: encode_update_ready(
                id_, message.token, fast=begin.fast, confirmable=confirmable
            ),
            now,
        )
        self._conversation.link.on_fact(UpdateBegan(begin.file_size, 0))

    def _check(self, begin: UpdateBegin) -> None:
        if self._transfer is not None:
            raise DeviceOsError(oserrors.INVALID_STATE)
        if begin.store != STORE_FIRMWARE:
            raise DeviceOsError(oserrors.UNSUPPORTED_MODULE)
        if -(-begin.file_size // begin.chunk_size) > MAX_CHUNKS:
            raise DeviceOsError(oserrors.INVALID_SIZE)

    def _on_chunk(self, message: coap.Message, now: float) -> None:
        transfer = self._transfer
        if transfer is None:
            self._conversation.leave_unacknowledged(message, now)
            return
        transfer.heard_at = now
        transfer.came += 1
        try:
            chunk = decode_chunk(message)
        except MalformedError:
            self._conversation.leave_unacknowledged(message, now)
            return
        is_fast = chunk.index is not None
        if is_fast:
            # There is no answer at all, so that a confirmable one costs the session (§5.1).
            self._conversation.leave_unacknowledged(message, now)
        else:
            self._conversation.acknowledge(message, now)
        index = transfer.next if chunk.index is None else chunk.index
        if chunk.is_intact and not self._keep(index, chunk.data, now):
            return
        if is_fast:
            return
        if self._is_babbling:
            self._babble(TO_LEGACY_CHUNKS, message.token, now)
            return
        code = coap.CHANGED if chunk.is_intact else coap.BAD_REQUEST
        confirmable = not self._conversation.is_stream
        self._say(lambda id_: encode_answer(id_, message.token, code, confirmable=confirmable), now)

    def _keep(self, index: int, data: bytes, now: float) -> bool:
        """Keeps a chunk; tells whether the update goes on. Firmware looks at an error only when all
        chunks have come."""
        transfer = self._transfer
        assert transfer is not None
        if transfer.wants(index):
            try:
                self._updater.save(index * transfer.chunk_size, data, 0, now)
            except DeviceOsError:
                self._failure = oserrors.INVALID_STATE
            transfer.note(index)
        transfer.next = index + 1
        fault = self._updater.meet(Phase.CHUNKS, transfer.done)
        if fault is None:
            return True
        try:
            self._is_babbling = fault.trouble is Trouble.NONSENSE
            return not self._suffers(fault)
        except DeviceOsError as error:
            self._failure = error.code
            return True

    def _on_done(self, message: coap.Message, now: float) -> None:
        transfer = self._transfer
        if transfer is None:
            self._acknowledge_done(message, oserrors.INVALID_STATE, now)
            return
        growth = max(int(transfer.came * GROWTH), FEWEST_MORE)
        missing = transfer.missing(min(transfer.came + growth, MAX_MISSED))
        if missing:
            transfer.came = 0
            transfer.heard_at = now
            self._conversation.acknowledge(message, now, coap.BAD_REQUEST)
            confirmable = not self._conversation.is_stream
            missed = ChunkMissed(missing)
            self._say(lambda id_: encode_chunk_missed(id_, missed, confirmable=confirmable), now)
            return
        code = self._failure
        try:
            fault = self._updater.meet(Phase.FINISH)
            if fault is not None and self._suffers(fault, message, now):
                return
            if fault is not None:
                nonsense = self._next(TO_FINISH)
                answer = nonsense.encode(coap.ACK, message.message_id, message.token)
                self._conversation.acknowledge_with(answer, message, now)
                return
            if not code:
                self._updater.validate()
        except DeviceOsError as error:
            code = error.code
        self._acknowledge_done(message, code, now)
        self._apply(code, now)

    def _apply(self, code: int, now: float) -> None:
        """The device restarts, whether the file is of use or not (§5.1)."""
        sha256 = b""
        try:
            fault = None if code else self._updater.meet(Phase.RESTART)
            if fault is not None and self._suffers(fault):
                self._end_transfer()
                return
            if not code:
                sha256 = self._updater.install(now, in_vain=fault is not None)
        except DeviceOsError as error:
            code = error.code
        self._updater.storage.clear()
        self._end_transfer()
        self._conversation.link.on_fact(UpdateEnded(code, sha256))
        self._conversation.link.restart_updated(now)

    # Answers.

    def _acknowledge_done(self, message: coap.Message, result: int, now: float) -> None:
        answer = coap.encode_ack(
            message.message_id, coap.CHANGED, message.token, encode_update_result(result)
        )
        self._conversation.acknowledge_with(answer, message, now)

    def _say(self, encode: Callable[[int], bytes], now: float) -> None:
        """A separate response: confirmable on UDP, not on TCP (§2.3)."""
        if self._conversation.is_stream:
            self._conversation.tell(encode)
        else:
            self._conversation.say(Purpose.UPDATE, encode, now)

    def _babble(self, answers: tuple[Nonsense, ...], token: bytes, now: float) -> None:
        nonsense = self._next(answers)
        type_ = coap.NON if self._conversation.is_stream else coap.CON
        self._say(lambda id_: nonsense.encode(type_, id_, token), now)

    def _next(self, answers: tuple[Nonsense, ...]) -> Nonsense:
        self._babbled += 1
        return answers[(self._babbled - 1) % len(answers)]

    # Ends.

    def _suffers(
        self, fault: UpdateFault, message: coap.Message | None = None, now: float = 0.0
    ) -> bool:
        """Whether a fault leaves nothing more to do. Raises DeviceOsError for an error of it."""
        if fault.trouble is Trouble.REFUSED:
            raise DeviceOsError(fault.code)
        if fault.trouble is Trouble.STUCK:
            self._is_stuck = True
            if message is not None:
                self._conversation.acknowledge(message, now)
        return fault.trouble is not Trouble.NONSENSE

    def _end_transfer(self) -> None:
        self._transfer = None
        self._conversation.transfer = None
