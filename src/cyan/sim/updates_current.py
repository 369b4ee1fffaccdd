"""The device's side of the current protocol of updates (device-protocol.md §5.2).

Where the text leaves a choice it is as in Device OS 6.2.0 (`firmware_update.cpp` in
`communication/src`).
"""

from enum import Enum
from typing import Final

import msgspec

from cyan.sim import oserrors
from cyan.sim.conversation import Conversation
from cyan.sim.facts import EndReason, UpdateBegan, UpdateEnded
from cyan.sim.nonsense import TO_CHUNKS, TO_FINISH, TO_START, Nonsense
from cyan.sim.oserrors import DeviceOsError
from cyan.sim.receiving import ACK_DELAY_S, Receiving
from cyan.sim.reliability import NEVER, Purpose, Reaction
from cyan.sim.updatefaults import Phase, Trouble, UpdateFault
from cyan.sim.updater import Updater
from cyan.wire import coap
from cyan.wire.errors import MalformedError
from cyan.wire.messages.updates import (
    UpdateAck,
    UpdateChunk,
    UpdateStarted,
    decode_update_chunk,
    decode_update_finish,
    decode_update_start,
    encode_update_ack,
    encode_update_finished,
    encode_update_started,
    is_chunk_size,
)

TIMEOUT_S: Final = 300.0

START: Final = b"S"
CHUNK: Final = b"C"
FINISH: Final = b"F"
PATHS: Final = (START, CHUNK, FINISH)


class _Failure(Enum):
    """What becomes of a transfer that cannot go on."""

    RESUMABLE = "its data are kept"
    DISCARDED = "its data are forgotten"


class CurrentUpdates:
    """Takes updates in one conversation, one at a time."""

    def __init__(self, conversation: Conversation, updater: Updater) -> None:
        self._conversation = conversation
        self._updater = updater
        self._transfer: Receiving | None = None
        self._is_stuck = False
        self._babbled = 0

    def on_request(self, message: coap.Message, now: float) -> None:
        """Takes a request whose path is one of `PATHS`."""
        if message.type != coap.CON:
            self._on_unconfirmable(message, now)
            return
        path = message.options[0][1]
        if not message.token or path == CHUNK or not _is_valid(message):
            # No request without a token, no chunk with one; neither ends an update.
            payload = oserrors.diagnostic(oserrors.PROTOCOL)
            code = oserrors.coap_code(oserrors.PROTOCOL)
            refusal = coap.encode_ack(message.message_id, code, message.token, payload)
            self._conversation.acknowledge_with(refusal, message, now)
            return
        self._conversation.acknowledge(message, now)
        if self._is_stuck:
            return
        try:
            if path == START:
                self._on_start(message, now)
            else:
                self._on_finish(message, now)
        except DeviceOsError as error:
            self._refuse(error.code, message.token, now)

    # What the conversation asks.

    def deadline(self) -> float:
        """When `on_deadline` has to be called."""
        transfer = self._transfer
        if transfer is None:
            return NEVER
        delay_s = ACK_DELAY_S if transfer.unacknowledged and not self._is_stuck else TIMEOUT_S
        return transfer.heard_at + delay_s

    def on_deadline(self, now: float) -> None:
        """Acknowledges what was not yet, or gives up."""
        transfer = self._transfer
        if transfer is None:
            return
        if now >= transfer.heard_at + TIMEOUT_S:
            self._fail(EndReason.UPDATE_TIMEOUT, now)
        elif transfer.unacknowledged and not self._is_stuck:
            self._acknowledge(transfer)

    def abandon(self, now: float, *, is_sudden: bool) -> None:
        """The connection is over; what has arrived is kept, after a sudden end what was written
        down of it."""
        if self._transfer is not None:
            self._transfer = None
            if not is_sudden:
                self._updater.storage.sync(now)

    # Requests.

    def _on_unconfirmable(self, message: coap.Message, now: float) -> None:
        if self._is_stuck:
            return
        try:
            if message.options[0][1] == CHUNK and not message.token:
                self._on_chunk(decode_update_chunk(message), message, now)
                return
        except MalformedError:
            pass
        self._reject(message, oserrors.PROTOCOL, now)

    def _on_start(self, message: coap.Message, now: float) -> None:
        start = decode_update_start(message)
        if self._transfer is not None:
            self._stop(now)
        fault = self._updater.meet(Phase.START)
        if fault is not None and self._suffers(fault):
            return
        if fault is not None and fault.trouble is Trouble.NONSENSE:
            self._babble(TO_START, message.token, now)
            return
        offset = self._updater.start(
            start.file_size,
            now,
            sha256=start.sha256,
            discards=start.discard_data,
            module_function=start.module_function,
        )
        transfer = self._transfer = Receiving(start, offset, now)
        self._conversation.transfer = self
        started = UpdateStarted(transfer.window, offset)
        self._conversation.say(
            Purpose.UPDATE, lambda id_: encode_update_started(id_, message.token, started), now
        )
        self._conversation.link.on_fact(UpdateBegan(start.file_size, offset))

    def _on_chunk(self, chunk: UpdateChunk, message: coap.Message, now: float) -> None:
        transfer = self._transfer
        if transfer is None:
            self._conversation.link.transmit(coap.encode_reset(message.message_id))
            return
        transfer.received += 1
        if len(chunk.data) != transfer.expected_size(chunk.index):
            self._reject(message, oserrors.PROTOCOL, now)
            return
        duplicates = transfer.duplicates
        position = transfer.take(chunk.index)
        if position is not None:
            try:
                self._updater.save(position, chunk.data, transfer.offset, now)
                fault = self._updater.meet(Phase.CHUNKS, transfer.done)
                if fault is not None and self._suffers(fault):
                    return
            except DeviceOsError as error:
                self._reject(message, error.code, now)
                return
            transfer.is_babbling = transfer.is_babbling or fault is not None
        is_unwanted = transfer.duplicates > duplicates
        if transfer.wants_ack(is_unwanted=is_unwanted, now=now):
            self._acknowledge(transfer)

    def _on_finish(self, message: coap.Message, now: float) -> None:
        finish, transfer = decode_update_finish(message), self._transfer
        conversation, token = self._conversation, message.token
        if transfer is None:
            raise DeviceOsError(oserrors.INVALID_STATE)
        if finish.cancel:
            if finish.discard_data:
                self._updater.storage.clear()
            self._stop(now)
            conversation.say(
                Purpose.UPDATE, lambda id_: encode_update_finished(id_, token, None), now
            )
            return
        if transfer.offset != transfer.file_size:
            raise DeviceOsError(oserrors.PROTOCOL)
        try:
            fault = self._updater.meet(Phase.FINISH)
            if fault is not None and self._suffers(fault):
                return
            if fault is not None:
                self._babble(TO_FINISH, token, now)
                return
            self._updater.validate()
        except DeviceOsError as error:
            self._refuse(error.code, token, now, _Failure.DISCARDED)
            return
        statistics = transfer.statistics()
        conversation.say(
            Purpose.UPDATE,
            lambda id_: encode_update_finished(id_, token, statistics),
            now,
            Reaction(lambda then: self._apply(transfer, then)),
        )

    def _apply(self, transfer: Receiving, now: float) -> None:
        """The server has acknowledged that all is well, of this transfer."""
        if self._transfer is not transfer:
            return
        try:
            fault = self._updater.meet(Phase.RESTART)
            if fault is not None and self._suffers(fault):
                return
            sha256 = self._updater.install(now, in_vain=fault is not None)
        except DeviceOsError as error:
            self._updater.storage.clear()
            self._conversation.link.on_fact(UpdateEnded(error.code))
            self._fail(EndReason.UPDATE_ERROR, now)
            return
        self._transfer = None
        self._conversation.link.on_fact(UpdateEnded(0, sha256))
        self._conversation.link.restart_updated(now)

    # Answers.

    def _acknowledge(self, transfer: Receiving) -> None:
        transfer.unacknowledged = 0
        transfer.sent_acks += 1
        if transfer.is_babbling:
            nonsense = self._next(TO_CHUNKS)
            self._conversation.tell(lambda id_: nonsense.encode(coap.NON, id_))
            return
        ack = UpdateAck(transfer.cumulative, transfer.beyond)
        self._conversation.tell(lambda id_: encode_update_ack(id_, ack))

    def _refuse(
        self, code: int, token: bytes, now: float, failure: _Failure = _Failure.RESUMABLE
    ) -> None:
        """Answers with an error. The server's acknowledgement of it ends an update that runs."""
        self._conversation.link.on_fact(UpdateEnded(code))
        transfer = self._transfer
        answer = coap.Message(
            coap.CON, oserrors.coap_code(code), 0, token, (), oserrors.diagnostic(code)
        )
        self._conversation.say(
            Purpose.UPDATE,
            lambda id_: coap.encode(msgspec.structs.replace(answer, message_id=id_)),
            now,
            Reaction(lambda then: self._on_refusal_known(transfer, failure, then)),
        )

    def _on_refusal_known(self, transfer: Receiving | None, failure: _Failure, now: float) -> None:
        if transfer is None or self._transfer is not transfer:
            return
        if failure is _Failure.DISCARDED:
            self._updater.storage.clear()
        self._fail(EndReason.UPDATE_ERROR, now)

    def _reject(self, message: coap.Message, code: int, now: float) -> None:
        """What is wrong and cannot be answered ends the connection."""
        link = self._conversation.link
        if message.token:
            payload = oserrors.diagnostic(code)
            message_id = self._conversation.next_message_id()
            answer = coap.Message(
                coap.NON, oserrors.coap_code(code), message_id, message.token, (), payload
            )
            link.transmit(coap.encode(answer))
        else:
            link.transmit(coap.encode_reset(message.message_id))
        if self._transfer is not None:
            link.on_fact(UpdateEnded(code))
        self._fail(EndReason.UPDATE_ERROR, now)

    def _babble(self, answers: tuple[Nonsense, ...], token: bytes, now: float) -> None:
        nonsense = self._next(answers)
        self._conversation.say(
            Purpose.UPDATE, lambda id_: nonsense.encode(coap.CON, id_, token), now
        )

    def _next(self, answers: tuple[Nonsense, ...]) -> Nonsense:
        self._babbled += 1
        return answers[(self._babbled - 1) % len(answers)]

    # Ends.

    def _suffers(self, fault: UpdateFault) -> bool:
        """Whether a fault leaves nothing more to do. Raises DeviceOsError for an error of it."""
        if fault.trouble is Trouble.REFUSED:
            raise DeviceOsError(fault.code)
        if fault.trouble is Trouble.STUCK:
            self._is_stuck = True
        return fault.trouble is not Trouble.NONSENSE

    def _stop(self, now: float) -> None:
        self.abandon(now, is_sudden=False)
        self._conversation.transfer = None

    def _fail(self, reason: EndReason, now: float) -> None:
        self._stop(now)
        self._conversation.link.end(reason, now)


def _is_valid(message: coap.Message) -> bool:
    """Whether a start or a finish is one by its options; its sense is looked at later."""
    flags = [coap.DISCARD_DATA]
    if message.options[0][1] == FINISH:
        flags.append(coap.CANCEL_UPDATE)
    else:
        try:
            start = decode_update_start(message)
        except MalformedError:
            return False
        if not start.file_size or not is_chunk_size(start.chunk_size):
            return False
    return not any(value for number, value in message.options if number in flags)
