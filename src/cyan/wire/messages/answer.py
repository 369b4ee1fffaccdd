"""What requests with an answer of their own share: the token and the separate response."""

from cyan.wire import coap
from cyan.wire.errors import MisuseError


def one_byte_token(token: bytes) -> bytes:
    """Lets a token of one byte through: devices know no other in a request, and drop the
    connection for most (device-protocol.md section 2.1)."""
    if len(token) != 1:
        raise MisuseError(f"request token of {len(token)} bytes")
    return token


def encode_answer(
    message_id: int, token: bytes, code: int, payload: bytes = b"", *, confirmable: bool = True
) -> bytes:
    """Writes a device's separate response: confirmable on UDP, not on TCP (section 2.3)."""
    type_ = coap.CON if confirmable else coap.NON
    return coap.encode(coap.Message(type_, code, message_id, token, (), payload))
