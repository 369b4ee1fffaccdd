"""Asking a device to describe itself (device-protocol.md §3.3.1): one flag at a time, block after
block where the answer has several."""

from typing import TYPE_CHECKING, Final

import structlog

from cyan.core.ids import DeviceId
from cyan.gateway import metrics
from cyan.gateway.conversation import describe
from cyan.wire import coap
from cyan.wire.blockwise import Reassembly, find_block
from cyan.wire.errors import MalformedError, MisuseError
from cyan.wire.messages import encode_describe_request

if TYPE_CHECKING:
    from cyan.gateway.link import Link

_log = structlog.get_logger(__name__)


ANSWER_WITHIN_S: Final = 120.0
"""Longer than the last of four sends (60 to 90 s) and the way of an answer to it; a device that has
not answered by then has lost the question, which would be kept as long as the session."""


class DescribeQuestion:
    """One describe that is asked for. What comes of it goes to the conversation."""

    __slots__ = ("_asked_s", "_blocks", "_device_id", "_flags", "_link")

    def __init__(self, link: "Link", device_id: DeviceId, flags: int) -> None:
        self._link = link
        self._device_id = device_id
        self._flags = flags
        self._blocks = Reassembly()
        self._asked_s = 0.0

    def on_time(self, _now_s: float) -> None:
        """Ask now, if the device is still there."""
        if self._link.is_online and self._link.ended is None:
            self.ask()

    def ask(self, block_number: int = 0, szx: int = 0) -> None:
        """Send the request."""
        self._asked_s = self._link.host.now_s()
        try:
            cancel = self._link.request(
                lambda message_id, token: encode_describe_request(
                    message_id, token, self._flags, block_number=block_number, szx=szx
                ),
                self._on_end,
                self._on_response,
            )
        except MisuseError as error:
            _log.warning("describe.not_asked", device_id=self._device_id, error=str(error))
        else:
            # Without effect once it is answered.
            self._link.after(ANSWER_WITHIN_S, lambda _now_s: cancel())

    def _on_end(self, how: str) -> None:
        if how in ("timeout", "reset"):
            _log.info("describe.unanswered", device_id=self._device_id, flags=self._flags, how=how)

    def _on_response(self, message: coap.Message) -> None:
        if message.code != coap.CONTENT:
            code = coap.code_text(message.code)
            _log.info("describe.refused", device_id=self._device_id, flags=self._flags, code=code)
            return
        try:
            payload: bytes | None = message.payload
            block = find_block(message, coap.BLOCK2)
            if block is not None and (block.number or block.more):
                payload = self._blocks.feed(self._flags, block, message.payload)
                if payload is None:
                    self.ask(block.number + 1, block.szx)
                    return
            content_format = coap.decode_uint(coap.find_option(message, coap.CONTENT_FORMAT) or b"")
            assert payload is not None
            link = self._link
            found = describe.on_described(
                link.session,
                self._device_id,
                self._flags,
                content_format,
                payload,
                link.about(),
                round_trip_ms=round((link.host.now_s() - self._asked_s) * 1000),
            )
            link.perform(found)
        except MalformedError as error:
            metrics.dropped_malformed.inc()
            _log.warning("device.describe_unreadable", device_id=self._device_id, error=str(error))
