"""CoAP messages (RFC 7252 section 3) as bytes and values.

    0                   1                   2                   3
    |Ver| T |  TKL  |      Code     |          Message ID           |
    |   Token (0 to 8 bytes) ...    |   Options ...   | 0xff Payload |

One datagram, record or frame is one message (device-protocol.md section 2.1).
"""

from typing import Final

import msgspec

from cyan.wire.errors import MalformedError, MisuseError

CON: Final = 0
NON: Final = 1
ACK: Final = 2
RST: Final = 3

EMPTY: Final = 0x00
GET: Final = 0x01
POST: Final = 0x02
PUT: Final = 0x03
DELETE: Final = 0x04

CREATED: Final = 0x41
CHANGED: Final = 0x44
CONTENT: Final = 0x45
CONTINUE: Final = 0x5F
BAD_REQUEST: Final = 0x80
UNAUTHORIZED: Final = 0x81
BAD_OPTION: Final = 0x82
FORBIDDEN: Final = 0x83
NOT_FOUND: Final = 0x84
METHOD_NOT_ALLOWED: Final = 0x85
REQUEST_ENTITY_INCOMPLETE: Final = 0x88
REQUEST_ENTITY_TOO_LARGE: Final = 0x8D
UNSUPPORTED_CONTENT_FORMAT: Final = 0x8F
INTERNAL: Final = 0xA0
NOT_IMPLEMENTED: Final = 0xA1
SERVICE_UNAVAILABLE: Final = 0xA3
GATEWAY_TIMEOUT: Final = 0xA4

# Option numbers: RFC 7252 section 5.10, RFC 7959, RFC 7967, RFC 9175; from 2049 on Particle's own
# (device-protocol.md section 2.4).
ETAG: Final = 4
URI_PATH: Final = 11
CONTENT_FORMAT: Final = 12
MAX_AGE: Final = 14
URI_QUERY: Final = 15
BLOCK2: Final = 23
BLOCK1: Final = 27
NO_RESPONSE: Final = 258
REQUEST_TAG: Final = 292
CHUNK_INDEX: Final = 2049
WINDOW_SIZE: Final = 2053
FILE_SIZE: Final = 2057
FILE_SHA256: Final = 2061
CHUNK_SIZE: Final = 2065
DISCARD_DATA: Final = 2069
CANCEL_UPDATE: Final = 2073
MODULE_FUNCTION: Final = 2077

# Content formats (device-protocol.md section 2.4).
TEXT: Final = 0
LINK_FORMAT: Final = 40
XML: Final = 41
OCTET_STREAM: Final = 42
JSON: Final = 50
CBOR: Final = 60
STRUCTURED: Final = 65001
"""application/vnd.particle.json+cbor: event data is CBOR, people see it as JSON."""

MAX_MESSAGE: Final = 2048
"""Bytes of one message. Firmware's largest is 1152 (device-protocol.md section 1.4.4)."""

MAX_OPTIONS: Final = 40
"""A name of 64 bytes has at most 32 path segments; the rest is for the path's head and others."""

MAX_TOKEN: Final = 8
"""RFC 7252 section 3: token lengths 9 to 15 are reserved."""

MAX_OPTION_NUMBER: Final = 0xFFFF
MAX_UINT_OPTION: Final = 4
"""Bytes of an unsigned option value (device-protocol.md section 2.4)."""

_PAYLOAD_MARKER: Final = 0xFF
_VERSION_BITS: Final = 0x40
# Option deltas and lengths (RFC 7252 section 3.1): 13 and 14 say that one or two bytes follow,
# which count from 13 and from 269.
_ONE_BYTE: Final = 13
_TWO_BYTES: Final = 14
_ONE_BYTE_BASE: Final = 13
_TWO_BYTES_BASE: Final = 269


class Message(msgspec.Struct, frozen=True, gc=False):
    """One CoAP message. `options` are (number, value) in ascending order of number."""

    type: int
    code: int
    message_id: int
    token: bytes = b""
    options: tuple[tuple[int, bytes], ...] = ()
    payload: bytes = b""


def code_text(code: int) -> str:
    """The usual spelling of a code: 0x45 is `2.05`."""
    return f"{code >> 5}.{code & 0x1F:02d}"


def decode(data: bytes) -> Message:
    """Reads one whole message.

    Strict where RFC 7252 section 3 speaks of a format error, but for one: a payload marker without
    a payload is no payload. Device OS before 3.0 sends one with an event whose data is an empty
    text, and 0.x with an empty text variable (their messages.cpp); unanswered, the event would
    cost the session. Codes of reserved classes are left to the caller. What is accepted encodes
    again to the same bytes, without such a marker.

    Raises:
        MalformedError: `data` is not exactly one message within our bounds.
    """
    size = len(data)
    if size < 4 or size > MAX_MESSAGE:
        raise MalformedError(f"CoAP message of {size} bytes")
    first = data[0]
    code = data[1]
    if first & 0xC0 != _VERSION_BITS:
        raise MalformedError(f"CoAP version {first >> 6}")
    message_id = data[2] << 8 | data[3]
    if code == EMPTY:
        if size != 4 or first & 0x0F:
            raise MalformedError("CoAP empty message with content")
        return Message(first >> 4 & 3, EMPTY, message_id)

    token_length = first & 0x0F
    position = 4 + token_length
    if token_length > MAX_TOKEN or position > size:
        raise MalformedError(f"CoAP token length {token_length}")
    token = data[4:position]

    number = 0
    options = []
    while position < size:
        head = data[position]
        position += 1
        if head == _PAYLOAD_MARKER:
            payload = data[position:]
            break
        delta = head >> 4
        length = head & 0x0F
        if delta >= _ONE_BYTE:
            delta, position = _decode_extended(data, position, delta)
        if length >= _ONE_BYTE:
            length, position = _decode_extended(data, position, length)
        number += delta
        end = position + length
        options.append((number, data[position:end]))
        position = end
    else:
        payload = b""
        # The last option ends where the message ends; a slice beyond it would only be shorter.
        if position != size:
            raise MalformedError("CoAP option longer than the message")
    if number > MAX_OPTION_NUMBER:
        raise MalformedError(f"CoAP option number {number}")
    if len(options) > MAX_OPTIONS:
        raise MalformedError(f"CoAP message with {len(options)} options")
    return Message(first >> 4 & 3, code, message_id, token, tuple(options), payload)


def encode(message: Message) -> bytes:
    """Writes one message; its options must be in ascending order.

    Raises:
        MisuseError: A field has a value that the wire cannot express or that `decode` would refuse.
    """
    token = message.token
    if not (
        0 <= message.type <= 3 and 0 <= message.code <= 0xFF and 0 <= message.message_id <= 0xFFFF
    ):
        raise MisuseError("CoAP type, code or message id out of range")
    if len(token) > MAX_TOKEN:
        raise MisuseError(f"CoAP token of {len(token)} bytes")
    if len(message.options) > MAX_OPTIONS:
        raise MisuseError(f"CoAP message with {len(message.options)} options")
    if message.code == EMPTY and (token or message.options or message.payload):
        raise MisuseError("CoAP empty message with content")
    out = bytearray(_header(message.type, message.code, message.message_id, token))
    previous = 0
    for number, value in message.options:
        if number < previous or number > MAX_OPTION_NUMBER:
            raise MisuseError(f"CoAP option {number} after option {previous}")
        _append_option(out, number - previous, value)
        previous = number
    if message.payload:
        out.append(_PAYLOAD_MARKER)
        out += message.payload
    if len(out) > MAX_MESSAGE:
        raise MisuseError(f"CoAP message of {len(out)} bytes")
    return bytes(out)


def encode_empty_ack(message_id: int) -> bytes:
    """The acknowledgement without an answer."""
    return b"\x60\x00" + message_id.to_bytes(2, "big")


def encode_reset(message_id: int) -> bytes:
    """The rejection of a message. A device that gets one drops its session."""
    return b"\x70\x00" + message_id.to_bytes(2, "big")


def encode_ping(message_id: int) -> bytes:
    """An empty confirmable message, which the other side acknowledges."""
    return b"\x40\x00" + message_id.to_bytes(2, "big")


def encode_ack(message_id: int, code: int, token: bytes = b"", payload: bytes = b"") -> bytes:
    """An answer inside the acknowledgement, without options."""
    if len(token) > MAX_TOKEN:
        raise MisuseError(f"CoAP token of {len(token)} bytes")
    head = _header(ACK, code, message_id, token)
    return head + b"\xff" + payload if payload else head


def decode_uint(value: bytes) -> int:
    """An unsigned option value (RFC 7252 section 3.2): big endian, 0 to 4 bytes."""
    if len(value) > MAX_UINT_OPTION:
        raise MalformedError(f"CoAP number of {len(value)} bytes")
    return int.from_bytes(value, "big")


def encode_uint(value: int) -> bytes:
    """The shortest of 0, 1, 2 and 4 bytes; firmware never sends 3 (device-protocol.md 2.4)."""
    if value < 0 or value > 0xFFFFFFFF:
        raise MisuseError(f"CoAP number {value}")
    if value == 0:
        return b""
    if value <= 0xFF:
        return value.to_bytes(1, "big")
    return value.to_bytes(2 if value <= 0xFFFF else 4, "big")


def find_option(message: Message, number: int) -> bytes | None:
    """The first value of option `number`, None when it is absent."""
    for found, value in message.options:
        if found == number:
            return value
    return None


def _decode_extended(data: bytes, position: int, nibble: int) -> tuple[int, int]:
    """The delta or length that `nibble` announces, and the position after it."""
    if nibble == _ONE_BYTE and position < len(data):
        return data[position] + _ONE_BYTE_BASE, position + 1
    if nibble == _TWO_BYTES and position + 2 <= len(data):
        value = data[position] << 8 | data[position + 1]
        return value + _TWO_BYTES_BASE, position + 2
    raise MalformedError("CoAP option header that is reserved or cut short")


def _header(type_: int, code: int, message_id: int, token: bytes) -> bytes:
    first = _VERSION_BITS | type_ << 4 | len(token)
    return bytes((first, code, message_id >> 8, message_id & 0xFF)) + token


def _append_option(out: bytearray, delta: int, value: bytes) -> None:
    length = len(value)
    if delta < _ONE_BYTE and length < _ONE_BYTE:
        out.append(delta << 4 | length)
    else:
        delta_nibble, delta_bytes = _encode_extended(delta)
        length_nibble, length_bytes = _encode_extended(length)
        out.append(delta_nibble << 4 | length_nibble)
        out += delta_bytes
        out += length_bytes
    out += value


def _encode_extended(value: int) -> tuple[int, bytes]:
    """The nibble and the bytes that follow it, for a delta or a length of at most 65804."""
    if value < _ONE_BYTE_BASE:
        return value, b""
    if value < _TWO_BYTES_BASE:
        return _ONE_BYTE, bytes((value - _ONE_BYTE_BASE,))
    if value - _TWO_BYTES_BASE > 0xFFFF:
        raise MisuseError(f"CoAP option of {value} bytes")
    return _TWO_BYTES, (value - _TWO_BYTES_BASE).to_bytes(2, "big")
