"""Describes that the server asks for, by the rules of each generation (device-protocol.md §3.3.1).

Section numbers are those of device-protocol.md.
"""

from typing import Final

from cyan.sim.conversation import Conversation
from cyan.sim.facts import Answered, EndReason
from cyan.sim.generations import Describing
from cyan.sim.posting import content_format
from cyan.sim.reliability import Purpose
from cyan.sim.session import checksum
from cyan.sim.vitals import encode_vitals
from cyan.wire import coap
from cyan.wire.blockwise import SZX_1024, Block, split
from cyan.wire.messages import (
    APPLICATION,
    METRICS,
    SYSTEM,
    DescribeRequest,
    encode_describe_answer,
)

BLOCK_BYTES: Final = 1024
"""Of a describe that is longer (§2.5)."""

_BOTH: Final = SYSTEM | APPLICATION
"""What old firmware answers to a request without flags, or with flags that it does not know."""

_NO_TOKEN: Final = b"\0"


class Serving:
    """Answers describe requests in one conversation."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._generation = conversation.board.generation
        self._blocks: tuple[int, list[tuple[Block, bytes]]] | None = None

    def on_request(self, request: DescribeRequest, message: coap.Message, now: float) -> None:
        """Answers, or ends the connection where firmware does."""
        match self._generation.describing:
            case Describing.ON_REQUEST:
                self._answer_at_once(request, message, now)
            case Describing.WHOLE:
                self._conversation.acknowledge(message, now)
                flags = self._old_flags(request)
                # Without a token firmware of that time answers with one of its own making.
                token = message.token[:1] or _NO_TOKEN
                self._answer(flags, token, self._old_payload(flags, now), now)
            case Describing.IN_BLOCKS:
                self._on_strict_request(request, message, now)

    def _answer_at_once(self, request: DescribeRequest, message: coap.Message, now: float) -> None:
        """In the acknowledgement, to a request of any type. The device counts the describe as
        known to the server once it has sent it."""
        flags = self._old_flags(request)
        payload = self._old_payload(flags, now)
        answer = coap.encode_ack(message.message_id, coap.CONTENT, message.token, payload)
        self._conversation.acknowledge_with(answer, message, now)
        self._conversation.on_described(flags)
        self._conversation.link.on_fact(Answered("describe"))

    def _on_strict_request(
        self, request: DescribeRequest, message: coap.Message, now: float
    ) -> None:
        conversation = self._conversation
        if message.type != coap.CON:
            refusal = coap.Message(
                coap.NON, coap.BAD_REQUEST, conversation.next_message_id(), message.token
            )
            conversation.link.transmit(coap.encode(refusal))
            return
        if request.flags is None or len(message.token) != 1:
            conversation.acknowledge(message, now, coap.BAD_REQUEST)
            return
        payload = self._payload(request.flags, now)
        if payload is None:
            # More or less than one flag: acknowledged, then an internal error.
            conversation.acknowledge(message, now)
            conversation.link.end(EndReason.PROTOCOL_ERROR, now)
        elif len(payload) <= BLOCK_BYTES:
            conversation.acknowledge(message, now)
            self._answer(request.flags, message.token, payload, now)
        else:
            self._on_block(request.flags, payload, request.block, message, now)

    def _on_block(
        self, flags: int, payload: bytes, block: Block | None, message: coap.Message, now: float
    ) -> None:
        number = 0 if block is None else block.number
        if number == 0:
            self._blocks = (flags, split(payload, SZX_1024))
        if block is not None and number and block.szx != SZX_1024:
            self._conversation.acknowledge(message, now, coap.BAD_OPTION)
            return
        if self._blocks is None or self._blocks[0] != flags or not self._has_next(number):
            self._conversation.acknowledge(message, now, coap.NOT_FOUND)
            return
        self._conversation.acknowledge(message, now)
        part, content = self._blocks[1].pop(0)
        etag = bytes((checksum(payload) & 0xFF,))
        self._answer(flags, message.token, content, now, part, etag)

    def _has_next(self, number: int) -> bool:
        """Blocks are served in order, and none twice (§2.5)."""
        return (
            self._blocks is not None
            and bool(self._blocks[1])
            and self._blocks[1][0][0].number == number
        )

    def _answer(
        self,
        flags: int,
        token: bytes,
        payload: bytes,
        now: float,
        block: Block | None = None,
        etag: bytes = b"",
    ) -> None:
        """The separate response, confirmable on every transport (§2.3)."""
        form = content_format(flags, self._conversation.application.system_describe)
        is_complete = block is None or not block.more
        self._conversation.say(
            Purpose.DESCRIBE_ANSWER,
            lambda id_: encode_describe_answer(
                id_, token, payload, content_format=form, block=block, etag=etag
            ),
            now,
            flags if is_complete else 0,
        )
        self._conversation.link.on_fact(Answered("describe"))

    def _old_flags(self, request: DescribeRequest) -> int:
        known = _BOTH | METRICS if self._generation.has_metrics else _BOTH
        return request.flags if request.flags is not None and request.flags <= known else _BOTH

    def _old_payload(self, flags: int, now: float) -> bytes:
        """One JSON object with all parts asked for; metrics only alone."""
        if flags == METRICS:
            return self._metrics(now)
        application = self._conversation.application
        parts = [
            describe[1:-1]
            for flag, describe in (
                (APPLICATION, application.application_describe),
                (SYSTEM, application.system_describe),
            )
            if flags & flag
        ]
        return b"{" + b",".join(parts) + b"}"

    def _payload(self, flags: int, now: float) -> bytes | None:
        application = self._conversation.application
        if flags == SYSTEM:
            return application.system_describe
        if flags == APPLICATION:
            return application.application_describe
        return self._metrics(now) if flags == METRICS else None

    def _metrics(self, now: float) -> bytes:
        return encode_vitals(self._conversation.board, self._conversation.link.vitals(now))
