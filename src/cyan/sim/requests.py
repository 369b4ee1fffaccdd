"""What a device does with the requests of the server, odd rules of firmware included.

Section numbers are those of device-protocol.md.
"""

from typing import Final

from cyan.sim.conversation import BLOCK_BYTES, UPDATES_FORCED, Conversation
from cyan.sim.facts import Answered, EndReason, EventReceived
from cyan.sim.reliability import Purpose
from cyan.sim.session import checksum
from cyan.wire import coap
from cyan.wire.blockwise import SZX_1024, Block, split
from cyan.wire.errors import MalformedError
from cyan.wire.messages import (
    APPLICATION,
    METRICS,
    SYSTEM,
    DescribeRequest,
    EventDown,
    FunctionCall,
    KeyChange,
    Ping,
    ServerRequest,
    Signal,
    Unknown,
    VariableRequest,
    decode_server_request,
    encode_answer,
    encode_describe_answer,
    encode_function_result,
    encode_variable_value_answer,
)

RESET_EVENT: Final = "spark/device/reset"
"""`reboot`, `safe mode`, `dfu` or `network` (§3.11): all mean that the connection starts anew."""

CLAIMED_PREFIX: Final = "spark/device/claim/"
"""Any event that begins so makes the device forget its claim code (§3.11)."""

_FORCE_HANDSHAKE: Final = 1


class Requests:
    """Answers the server's requests in one conversation."""

    def __init__(self, conversation: Conversation, started_at: float) -> None:
        self._conversation = conversation
        self._link = conversation.link
        self._started_at = started_at
        self._served: tuple[int, list[tuple[Block, bytes]]] | None = None

    def on_request(self, message: coap.Message, now: float) -> None:
        """Takes a confirmable or non-confirmable message that is no answer to anything."""
        received = self._conversation.received
        if message.type == coap.CON:
            received.forget(now)
            if message.message_id in received:
                self._repeat(message.message_id)
                return
        try:
            request = decode_server_request(message)
        except MalformedError:
            request = Unknown(message.code, "")
        self._dispatch(request, message, now)

    def _dispatch(self, request: ServerRequest, message: coap.Message, now: float) -> None:
        match request:
            case EventDown():
                self._acknowledge(message, now)
                self._on_event(request, now)
            case FunctionCall() | VariableRequest():
                if len(message.token) != 1:
                    # MISSING_REQUEST_TOKEN (§2.1).
                    self._link.end(EndReason.PROTOCOL_ERROR, now)
                    return
                self._acknowledge(message, now)
                if isinstance(request, FunctionCall):
                    self._on_call(request, message.token, now)
                else:
                    self._on_read(request, message.token, now)
            case DescribeRequest():
                self._on_describe(request, message, now)
            case Signal():
                self._acknowledge(message, now, coap.CHANGED)
                self._link.on_fact(Answered("signal"))
            case KeyChange():
                self._on_key_change(request, message, now)
            case Ping():
                self._acknowledge(message, now)
            case Unknown(path="h"):
                self._acknowledge(message, now)
            case Unknown() if message.type == coap.CON:
                # Never acknowledged; 45 s later that ends the session (§2.1).
                self._conversation.received.add(message.message_id, None, now)
            case _:
                pass

    def _acknowledge(self, message: coap.Message, now: float, code: int = coap.EMPTY) -> None:
        if message.type != coap.CON:
            return
        token = b"" if code == coap.EMPTY else message.token
        acknowledgement = coap.encode_ack(message.message_id, code, token)
        self._conversation.received.add(message.message_id, acknowledgement, now)
        self._link.transmit(acknowledgement)

    def _repeat(self, message_id: int) -> None:
        acknowledgement = self._conversation.received.acknowledgement(message_id)
        if acknowledgement is not None:
            self._link.transmit(acknowledgement)

    def _on_call(self, call: FunctionCall, token: bytes, now: float) -> None:
        result = self._conversation.application.call(call.name, call.argument)
        if result is None:
            # Acknowledged, and then nothing comes (§3.4).
            return
        self._conversation.say(
            Purpose.ANSWER, lambda id_: encode_function_result(id_, token, result), now
        )
        self._link.on_fact(Answered("function", call.name))

    def _on_read(self, request: VariableRequest, token: bytes, now: float) -> None:
        value = self._conversation.application.read(request.name, now)

        def encode(message_id: int) -> bytes:
            if value is None:
                return encode_answer(message_id, token, coap.NOT_FOUND)
            return encode_variable_value_answer(message_id, token, value)

        self._conversation.say(Purpose.ANSWER, encode, now)
        self._link.on_fact(Answered("variable", request.name))

    def _on_event(self, event: EventDown, now: float) -> None:
        data = event.data or b""
        if event.name == UPDATES_FORCED:
            self._conversation.say_system_event(UPDATES_FORCED, data, now)
        elif event.name.startswith(CLAIMED_PREFIX):
            self._link.claim_code = None
        elif event.name == RESET_EVENT:
            self._link.end(EndReason.RESTART, now)
        elif self._conversation.application.receive(event):
            self._link.on_fact(EventReceived(event.name, data))

    def _on_key_change(self, request: KeyChange, message: coap.Message, now: float) -> None:
        # The acknowledgement carries a new id instead of the request's (§3.9), so the request
        # counts as unacknowledged where the session goes on.
        self._link.transmit(coap.encode_empty_ack(self._conversation.next_message_id()))
        self._conversation.received.add(message.message_id, None, now)
        if request.value == _FORCE_HANDSHAKE:
            self._link.end(EndReason.KEY_CHANGE, now)

    def _on_describe(self, request: DescribeRequest, message: coap.Message, now: float) -> None:
        if message.type != coap.CON:
            refusal = coap.Message(
                coap.NON, coap.BAD_REQUEST, self._conversation.next_message_id(), message.token
            )
            self._link.transmit(coap.encode(refusal))
            return
        if request.flags is None or len(message.token) != 1:
            self._acknowledge(message, now, coap.BAD_REQUEST)
            return
        payload = self._describe(request.flags, now)
        if payload is None:
            # More or less than one flag: acknowledged, then an internal error (§3.3.1).
            self._acknowledge(message, now)
            self._link.end(EndReason.PROTOCOL_ERROR, now)
            return
        if len(payload) <= BLOCK_BYTES:
            self._acknowledge(message, now)
            self._answer_describe(request.flags, message.token, payload, None, b"", now)
            return
        self._on_describe_block(request.flags, payload, request.block, message, now)

    def _on_describe_block(
        self, flags: int, payload: bytes, block: Block | None, message: coap.Message, now: float
    ) -> None:
        number = 0 if block is None else block.number
        if number == 0:
            self._served = (flags, split(payload, SZX_1024))
        if block is not None and number and block.szx != SZX_1024:
            self._acknowledge(message, now, coap.BAD_OPTION)
            return
        if self._served is None or self._served[0] != flags or not self._has_next(number):
            self._acknowledge(message, now, coap.NOT_FOUND)
            return
        self._acknowledge(message, now)
        part, content = self._served[1].pop(0)
        etag = bytes((checksum(payload) & 0xFF,))
        self._answer_describe(flags, message.token, content, part, etag, now)

    def _has_next(self, number: int) -> bool:
        """Blocks are served in order, and none twice (§2.5)."""
        return (
            self._served is not None
            and bool(self._served[1])
            and (self._served[1][0][0].number == number)
        )

    def _answer_describe(
        self, flags: int, token: bytes, payload: bytes, block: Block | None, etag: bytes, now: float
    ) -> None:
        content_format = coap.OCTET_STREAM if flags == SYSTEM else coap.TEXT
        self._conversation.say(
            Purpose.ANSWER,
            lambda id_: encode_describe_answer(
                id_, token, payload, content_format=content_format, block=block, etag=etag
            ),
            now,
        )
        self._link.on_fact(Answered("describe"))

    def _describe(self, flags: int, now: float) -> bytes | None:
        application = self._conversation.application
        if flags == SYSTEM:
            return application.system_describe
        if flags == APPLICATION:
            return application.application_describe
        if flags == METRICS:
            retransmissions = self._conversation.outstanding.retransmissions
            return application.metrics(now - self._started_at, retransmissions)
        return None
