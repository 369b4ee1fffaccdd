"""Time (device-protocol.md §3.9)."""

from collections.abc import Sequence

from cyan.gateway.effects import Effect, Reply
from cyan.wire import coap
from cyan.wire.messages import encode_time_answer


def on_time_request(message: coap.Message, unix_s: int) -> Sequence[Effect]:
    """The seconds since 1970, inside the acknowledgement: the device takes no other form."""
    return (Reply(encode_time_answer(message.message_id, message.token, unix_s)),)
