"""Reads the fields of one protobuf message."""

from collections.abc import Iterator
from typing import Final

import msgspec

from cyan.wire.errors import MalformedError
from cyan.wire.protobuf.varint import decode_varint

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
FIXED32: Final = 5

MAX_FIELDS: Final = 4096
"""Fields of one message: far more than the largest describe of device-protocol.md 3.3.3 has."""

MAX_FIELD_NUMBER: Final = (1 << 29) - 1

_FIXED_SIZES: Final = {FIXED64: 8, FIXED32: 4}


class Field(msgspec.Struct, frozen=True, gc=False):
    """One field as it stands: its number and its integer or its bytes (never both)."""

    number: int
    integer: int | None = None
    data: bytes | None = None

    def uint(self) -> int:
        """The value of an unsigned integer, enum or bool field of at most 32 bits."""
        if self.integer is None or self.integer > 0xFFFFFFFF:
            raise MalformedError(f"protobuf field {self.number} is not a 32-bit integer")
        return self.integer

    def raw(self) -> bytes:
        """The value of a bytes or message field."""
        if self.data is None:
            raise MalformedError(f"protobuf field {self.number} has no length")
        return self.data

    def text(self) -> str:
        """The value of a string field; it has to be UTF-8."""
        try:
            return self.raw().decode()
        except UnicodeDecodeError:
            raise MalformedError(f"protobuf field {self.number} is not UTF-8") from None


def read_fields(data: bytes) -> Iterator[Field]:
    """The fields of a message in their order; the caller skips numbers that it does not know.

    Raises:
        MalformedError: While iterating, at the first byte that is not allowed (groups included).
    """
    position = 0
    for _ in range(MAX_FIELDS):
        if position == len(data):
            return
        tag, position = decode_varint(data, position)
        number, wire_type = tag >> 3, tag & 7
        if not 1 <= number <= MAX_FIELD_NUMBER:
            raise MalformedError(f"protobuf field number {number}")
        if wire_type == VARINT:
            integer, position = decode_varint(data, position)
            yield Field(number, integer)
            continue
        if wire_type == BYTES:
            size, position = decode_varint(data, position)
        elif wire_type in _FIXED_SIZES:
            size = _FIXED_SIZES[wire_type]
        else:
            raise MalformedError(f"protobuf wire type {wire_type}")
        end = position + size
        if end > len(data):
            raise MalformedError(f"protobuf field {number} longer than its message")
        value = data[position:end]
        position = end
        if wire_type == BYTES:
            yield Field(number, data=value)
        else:
            yield Field(number, int.from_bytes(value, "little"))
    if position != len(data):
        raise MalformedError(f"protobuf message with over {MAX_FIELDS} fields")
