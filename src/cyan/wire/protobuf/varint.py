"""Unsigned variable-length integers (LEB128): seven bits a byte, the lowest first."""

from typing import Final

from cyan.wire.errors import MalformedError, MisuseError

MAX_VARINT: Final = (1 << 64) - 1
MAX_VARINT_BYTES: Final = 10


def decode_varint(data: bytes, position: int) -> tuple[int, int]:
    """The integer at `position` and the position after it."""
    value = 0
    for index in range(MAX_VARINT_BYTES):
        if position + index >= len(data):
            raise MalformedError("varint cut short")
        byte = data[position + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if value > MAX_VARINT:
                break
            return value, position + index + 1
    raise MalformedError("varint over 64 bits")


def encode_varint(value: int) -> bytes:
    """The shortest form of an integer of at most 64 bits."""
    if not 0 <= value <= MAX_VARINT:
        raise MisuseError(f"varint {value}")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
