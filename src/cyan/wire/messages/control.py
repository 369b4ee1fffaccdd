"""Time, ping, signal and key change (device-protocol.md section 3.9)."""

from typing import Final

import msgspec

from cyan.wire import coap
from cyan.wire.errors import MalformedError, MisuseError
from cyan.wire.messages.answer import one_byte_token

_FORCE_HANDSHAKE: Final = b"\x01"
_MAX_UNIX_S: Final = 0xFFFFFFFF


class TimeRequest(msgspec.Struct, frozen=True):
    """What time is it?"""


class Ping(msgspec.Struct, frozen=True):
    """An empty confirmable message: are you there?"""


class Signal(msgspec.Struct, frozen=True):
    """Show yourself to a person (the rainbow), or stop it."""

    on: bool


class KeyChange(msgspec.Struct, frozen=True):
    """`value` 1: discard the session and come back with a full handshake."""

    value: int


def encode_time_request(message_id: int, token: bytes) -> bytes:
    """Writes `GET t`."""
    path = ((coap.URI_PATH, b"t"),)
    return coap.encode(coap.Message(coap.CON, coap.GET, message_id, token, path))


def encode_time_answer(message_id: int, token: bytes, unix_s: int) -> bytes:
    """Writes the 2.05 inside the acknowledgement; the device takes it in no other form."""
    if not 0 <= unix_s <= _MAX_UNIX_S:
        raise MisuseError(f"time {unix_s}")
    return coap.encode_ack(message_id, coap.CONTENT, token, unix_s.to_bytes(4, "big"))


def decode_time_answer(payload: bytes) -> int:
    """Seconds since 1970, from the payload of a 2.05."""
    if len(payload) != 4:
        raise MalformedError(f"time of {len(payload)} bytes")
    return int.from_bytes(payload, "big")


def encode_signal(message_id: int, token: bytes, *, on: bool) -> bytes:
    """Writes `PUT s ?1` or `?0`, the digit as a raw byte."""
    options = ((coap.URI_PATH, b"s"), (coap.URI_QUERY, b"\x01" if on else b"\x00"))
    return coap.encode(coap.Message(coap.CON, coap.PUT, message_id, one_byte_token(token), options))


def decode_signal(message: coap.Message) -> Signal:
    """Reads `PUT s`, for the device's side."""
    query = coap.find_option(message, coap.URI_QUERY)
    if not query:
        raise MalformedError("signal without a value")
    return Signal(query[0] != 0)


def encode_key_change(message_id: int) -> bytes:
    """Writes `PUT k ?1`: the device discards its session and makes a full handshake."""
    options = ((coap.URI_PATH, b"k"), (coap.URI_QUERY, _FORCE_HANDSHAKE))
    return coap.encode(coap.Message(coap.CON, coap.PUT, message_id, b"", options))


def decode_key_change(message: coap.Message) -> KeyChange:
    """Reads `PUT k`, for the device's side."""
    query = coap.find_option(message, coap.URI_QUERY)
    if not query:
        raise MalformedError("key change without a value")
    return KeyChange(query[0])
