"""Goodbye: a device announces that it disconnects (device-protocol.md section 3.9)."""

from typing import Final

import msgspec

from cyan.wire import coap
from cyan.wire.errors import MalformedError
from cyan.wire.protobuf.varint import decode_varint, encode_varint

DISCONNECT_REASONS: Final = {
    1: "error",
    2: "user",
    3: "network_disconnect",
    4: "listening",
    5: "system_reset",
    6: "sleep",
    7: "unknown",
    8: "server_moved",
}

RESET_REASONS: Final = {
    10: "unknown",
    20: "pin_reset",
    30: "power_management",
    40: "power_down",
    50: "power_brownout",
    60: "watchdog",
    70: "update",
    80: "update_error",
    90: "update_timeout",
    100: "factory_reset",
    110: "safe_mode",
    120: "dfu_mode",
    130: "panic",
    140: "user",
    150: "config_update",
}

NETWORK_DISCONNECT_REASONS: Final = {
    1: "error",
    2: "user",
    3: "off",
    4: "listening",
    5: "sleep",
    6: "reset",
    7: "unknown",
}

_FIELD_BITS: Final = (0x01, 0x02, 0x04, 0x08)
_MAX_VALUE: Final = 0xFFFFFFFF


class Goodbye(msgspec.Struct, frozen=True):
    """Why the device goes, and for how long if it sleeps; None where it does not say.

    On the wire: unsigned varints, the flags 1, 2, 4, 8 first, then the present values in the order
    of the fields below.
    """

    disconnect_reason: int | None = None
    reset_reason: int | None = None
    sleep_s: int | None = None
    network_disconnect_reason: int | None = None


def decode_goodbye(message: coap.Message) -> Goodbye:
    """Reads `POST x`. Flags that we do not know, and their values, are ignored."""
    payload = message.payload
    if not payload:
        return Goodbye()
    flags, position = decode_varint(payload, 0)
    values: list[int | None] = []
    for bit in _FIELD_BITS:
        value = None
        if flags & bit:
            value, position = decode_varint(payload, position)
            if value > _MAX_VALUE:
                raise MalformedError("Goodbye value over 32 bits")
        values.append(value)
    return Goodbye(*values)


def encode_goodbye(message_id: int, goodbye: Goodbye, *, confirmable: bool = True) -> bytes:
    """Writes `POST x`: confirmable on UDP; on TCP not, and no response is wanted."""
    values = (
        goodbye.disconnect_reason,
        goodbye.reset_reason,
        goodbye.sleep_s,
        goodbye.network_disconnect_reason,
    )
    given = [(bit, v) for bit, v in zip(_FIELD_BITS, values, strict=True) if v is not None]
    payload = encode_varint(sum(bit for bit, _ in given))
    payload += b"".join(encode_varint(value) for _, value in given)
    path = (coap.URI_PATH, b"x")
    if confirmable:
        message = coap.Message(coap.CON, coap.POST, message_id, b"", (path,), payload)
    else:
        options = (path, (coap.NO_RESPONSE, b""))
        message = coap.Message(coap.NON, coap.POST, message_id, b"", options, payload)
    return coap.encode(message)
