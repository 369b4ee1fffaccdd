"""What a device does with the requests of the server, odd rules of firmware included.

Section numbers are those of device-protocol.md.
"""

from collections.abc import Callable
from typing import Final

from cyan.sim.conversation import Conversation
from cyan.sim.facts import Answered, EndReason, EventReceived, UpdatesPending
from cyan.sim.reliability import Purpose
from cyan.sim.serving import Serving
from cyan.sim.updates_current import PATHS as CURRENT_PATHS
from cyan.sim.updates_current import CurrentUpdates
from cyan.sim.updates_legacy import PATHS as LEGACY_PATHS
from cyan.sim.updates_legacy import LegacyUpdates
from cyan.wire import coap
from cyan.wire.errors import MalformedError
from cyan.wire.messages import (
    CloudHello,
    DescribeRequest,
    EventDown,
    FunctionCall,
    KeyChange,
    LedgerPost,
    Ping,
    ServerRequest,
    Signal,
    Unknown,
    VariableRequest,
    decode_server_request,
    encode_answer,
    encode_function_result,
    encode_variable_value_answer,
)
from cyan.wire.messages.special import (
    CLAIMED_PREFIX,
    RESET,
    UPDATES_FORCED,
    UPDATES_PENDING,
)

_FORCE_HANDSHAKE: Final = 1
_FLAGS: Final = (b"false", b"true")


class Requests:
    """Answers the server's requests in one conversation."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._generation = conversation.board.generation
        self._link = conversation.link
        self._serving = Serving(conversation)
        self._updates: CurrentUpdates | LegacyUpdates | None = None

    def on_request(self, message: coap.Message, now: float) -> None:
        """Takes a confirmable or non-confirmable message."""
        received = self._conversation.received
        if message.type == coap.CON:
            received.forget(now)
            if message.message_id in received:
                self._repeat(message.message_id)
                return
        if self._is_update(message):
            self._take_update(message, now)
            return
        try:
            request = decode_server_request(message)
        except MalformedError:
            request = Unknown(message.code, "")
        self._dispatch(request, message, now)

    def _dispatch(self, request: ServerRequest, message: coap.Message, now: float) -> None:
        conversation = self._conversation
        match request:
            case EventDown():
                self._on_event(request, message, now)
            case FunctionCall() | VariableRequest() if len(message.token) != 1:
                self._on_missing_token(message, now)
            case FunctionCall():
                self._on_call(request, message, now)
            case VariableRequest():
                self._on_read(request, message, now)
            case DescribeRequest():
                self._serving.on_request(request, message, now)
            case Signal():
                conversation.acknowledge(message, now, coap.CHANGED, fresh_id=True)
                self._link.on_fact(Answered("signal"))
            case KeyChange():
                self._on_key_change(request, message, now)
            case Ping():
                conversation.acknowledge(message, now, fresh_id=True)
            case CloudHello():
                conversation.acknowledge(message, now)
                self._link.updater.told_hello()
                if conversation.waits_for_hello:
                    conversation.on_hello_answered(now)
            case Unknown() | LedgerPost():
                if message.code == coap.CONTENT:
                    conversation.set_clock(message)
                conversation.leave_unacknowledged(message, now)

    def _is_update(self, message: coap.Message) -> bool:
        if not message.options or message.options[0][0] != coap.URI_PATH:
            return False
        if self._conversation.board.has_current_updates:
            return message.code == coap.POST and message.options[0][1] in CURRENT_PATHS
        return message.code in (coap.POST, coap.PUT) and message.options[0][1] in LEGACY_PATHS

    def _take_update(self, message: coap.Message, now: float) -> None:
        if self._updates is None:
            is_current = self._conversation.board.has_current_updates
            updates = CurrentUpdates if is_current else LegacyUpdates
            self._updates = updates(self._conversation, self._link.updater)
        self._updates.on_request(message, now)

    def _repeat(self, message_id: int) -> None:
        acknowledgement = self._conversation.received.acknowledgement(message_id)
        if acknowledgement is not None:
            self._link.transmit(acknowledgement)

    def _on_missing_token(self, message: coap.Message, now: float) -> None:
        if self._generation.needs_token:
            self._link.end(EndReason.PROTOCOL_ERROR, now)
        else:
            # Firmware takes bytes of other fields for token and name, and finds no such name.
            self._conversation.acknowledge(message, now)

    def _on_call(self, call: FunctionCall, message: coap.Message, now: float) -> None:
        argument = call.argument.encode()
        limit = self._generation.max_argument_bytes
        if len(argument) > limit:
            # Refused, and called with what there is room for (§3.4).
            refusal = coap.encode_ack(message.message_id, coap.BAD_REQUEST, b"")
            self._conversation.acknowledge_with(refusal, message, now)
        else:
            self._conversation.acknowledge(message, now)
        text = argument[:limit].decode(errors="ignore")
        result = self._conversation.application.call(call.name, text)
        if result is None:
            # Acknowledged, and then nothing comes (§3.4).
            return
        token, confirmable = message.token, not self._conversation.is_stream
        self._answer(
            lambda id_: encode_function_result(id_, token, result, confirmable=confirmable), now
        )
        self._link.on_fact(Answered("function", call.name))

    def _on_read(self, request: VariableRequest, message: coap.Message, now: float) -> None:
        token, confirmable = message.token, not self._conversation.is_stream
        value = self._conversation.application.read(request.name, now)
        if self._generation.answers_variables_at_once:
            self._read_at_once(request.name, value, message, now)
            return

        def encode(message_id: int) -> bytes:
            if value is None:
                return encode_answer(message_id, token, coap.NOT_FOUND, confirmable=confirmable)
            return encode_variable_value_answer(message_id, token, value, confirmable=confirmable)

        self._conversation.acknowledge(message, now)
        self._answer(encode, now)
        self._link.on_fact(Answered("variable", request.name))

    def _read_at_once(
        self, name: str, value: bytes | None, message: coap.Message, now: float
    ) -> None:
        if value is None:
            # Firmware of that time makes an answer of no length, which is not sent.
            self._conversation.leave_unacknowledged(message, now)
            return
        answer = coap.encode_ack(message.message_id, coap.CONTENT, message.token, value)
        self._conversation.acknowledge_with(answer, message, now)
        self._link.on_fact(Answered("variable", name))

    def _answer(self, encode: Callable[[int], bytes], now: float) -> None:
        """A separate response: confirmable on UDP, not on TCP (§2.3)."""
        if self._conversation.is_stream:
            self._conversation.tell(encode)
        else:
            self._conversation.say(Purpose.ANSWER, encode, now)

    def _on_event(self, event: EventDown, message: coap.Message, now: float) -> None:
        if not self._conversation.is_stream:
            # On TCP no event is acknowledged (§1.3.3).
            self._conversation.acknowledge(message, now)
        data = event.data or b""
        updater = self._link.updater
        if event.name == UPDATES_FORCED:
            if updater.is_forced != _is_true(data):
                updater.is_forced = _is_true(data)
                self._conversation.say_system_event(UPDATES_FORCED, _FLAGS[updater.is_forced], now)
        elif event.name == UPDATES_PENDING:
            updater.pending = _is_true(data)
            self._link.on_fact(UpdatesPending(updater.pending))
        elif event.name.startswith(CLAIMED_PREFIX):
            self._link.claim_code = None
        elif event.name == RESET:
            self._link.reset(data.decode(errors="replace"), now)
        elif self._conversation.application.receive(event):
            self._link.on_fact(EventReceived(event.name, data))

    def _on_key_change(self, request: KeyChange, message: coap.Message, now: float) -> None:
        # The acknowledgement carries a new id instead of the request's (§3.9), so the request
        # counts as unacknowledged where the session goes on.
        if message.type == coap.CON:
            self._link.transmit(coap.encode_empty_ack(self._conversation.next_message_id()))
        self._conversation.leave_unacknowledged(message, now)
        if request.value == _FORCE_HANDSHAKE and not self._conversation.is_stream:
            self._link.end(EndReason.KEY_CHANGE, now)


def _is_true(data: bytes) -> bool:
    """As firmware reads a flag: any beginning of the word will do, and nothing too (§3.11)."""
    return b"true".startswith(data)
