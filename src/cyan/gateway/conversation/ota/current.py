"""The current protocol (device-protocol.md §5.2): UpdateStart, chunks in a window, UpdateFinish."""

from collections.abc import Sequence
from typing import Final

from cyan.core.ports import UpdateStage
from cyan.gateway.conversation.ota.steps import (
    ANSWER_WITHIN_S,
    CHECKED_WITHIN_S,
    FINISHED,
    PROGRESS_WITHIN_S,
    Ask,
    Failed,
    Step,
    Why,
    longest_s,
    refusal,
)
from cyan.gateway.conversation.ota.window import Window
from cyan.wire import coap
from cyan.wire.errors import MalformedError
from cyan.wire.messages import (
    MODULE_FUNCTION_ASSET,
    ChunkMissed,
    UpdateAck,
    UpdateFinish,
    UpdateStart,
    UpdateStarted,
    decode_update_started,
    encode_update_chunks,
    encode_update_finish,
    encode_update_start,
)

_FINISH: Final = UpdateFinish()
_CANCEL: Final = UpdateFinish(cancel=True)


class CurrentTransfer:
    """Sends one file; one that was begun before goes on where it stopped, as the device says."""

    def __init__(
        self, data: memoryview, sha256: bytes, chunk_bytes: int, *, module_function: int = 0
    ) -> None:
        """`data` is read as chunks are sent, and never copied as a whole."""
        self.stage = UpdateStage.ASKING
        self.offset = 0
        """Where in the file the first chunk begins."""
        self._data = data
        self._size = len(data)
        self._sha256 = sha256
        self._chunk_bytes = chunk_bytes
        self._function = module_function if module_function == MODULE_FUNCTION_ASSET else None
        self._window = Window(0, 1, 0.0)
        self._stage_until_s = 0.0
        self._until_s = 0.0

    @property
    def resent(self) -> int:
        return self._window.resent

    @property
    def confirmed_bytes(self) -> int:
        return min(self._size, self.offset + self._window.arrived * self._chunk_bytes)

    def start(self, now_s: float) -> Step:
        self._stage_until_s = now_s + ANSWER_WITHIN_S
        self._until_s = now_s + longest_s(self._size)
        asked = UpdateStart(
            self._size, self._chunk_bytes, self._sha256, module_function=self._function
        )
        return Ask(lambda message_id, token: encode_update_start(message_id, token, asked))

    def on_answer(self, message: coap.Message, now_s: float) -> Step:
        if self.stage is UpdateStage.CHECKING:
            if message.code == coap.CHANGED:
                return FINISHED
            return refusal(message, "finished")
        if message.code >= coap.BAD_REQUEST:
            return refusal(message, "asked")
        try:
            if message.code != coap.CREATED:
                raise MalformedError(f"{coap.code_text(message.code)} to UpdateStart")
            started = decode_update_started(message)
            if started.offset > self._size:
                raise MalformedError(f"offset {started.offset} in a file of {self._size} bytes")
        except MalformedError as error:
            return Failed(Why.REFUSED, f"The device's answer cannot be understood: {error}.")
        return self._begin(started, now_s)

    def _begin(self, started: UpdateStarted, now_s: float) -> Step:
        self.stage = UpdateStage.SENDING
        self.offset = started.offset
        left = self._size - started.offset
        self._window = Window(-(-left // self._chunk_bytes), started.window_size, now_s)
        return self._finish(now_s) if not left else None

    def _finish(self, now_s: float) -> Step:
        self.stage = UpdateStage.CHECKING
        self._stage_until_s = now_s + CHECKED_WITHIN_S
        return Ask(lambda message_id, token: encode_update_finish(message_id, token, _FINISH))

    def on_unanswered(self, how: str, now_s: float) -> Step:
        if how == "reset":
            return Failed(Why.REFUSED, "The device rejected the message.")
        if self.stage is UpdateStage.ASKING:
            return Failed(Why.TIMEOUT, "The device did not answer.")
        return Failed(Why.INTERRUPTED, "The device did not answer at the end of the update.")

    def on_ack(self, ack: UpdateAck, now_s: float) -> Step:
        if self.stage is not UpdateStage.SENDING:
            return None
        self._window.on_ack(ack, now_s)
        return self._finish(now_s) if self._window.is_complete else None

    def on_missed(self, missed: ChunkMissed, now_s: float) -> Step:
        return None  # of the other protocol

    def on_time(self, now_s: float) -> Step:
        if self.stage is not UpdateStage.SENDING:
            if now_s >= self._stage_until_s:
                return self.on_unanswered("timeout", now_s)
            return None
        window = self._window
        if now_s >= window.progress_s + PROGRESS_WITHIN_S:
            return Failed(Why.INTERRUPTED, "The device acknowledges no chunks any more.")
        if now_s >= self._until_s:
            return Failed(Why.INTERRUPTED, "The update takes too long.")
        window.on_time(now_s)
        return None

    def take(self, room: int, now_s: float) -> Sequence[int]:
        if self.stage is not UpdateStage.SENDING:
            return ()
        return self._window.take(room, now_s)

    def encode(self, chunks: Sequence[int], message_id: int) -> list[bytes]:
        return encode_update_chunks(message_id, chunks, self._data, self.offset, self._chunk_bytes)

    def on_taken(self, now_s: float) -> Step:
        return None


def encode_cancel(message_id: int, token: bytes) -> bytes:
    """The request that ends a transfer; the device keeps what it has."""
    return encode_update_finish(message_id, token, _CANCEL)
