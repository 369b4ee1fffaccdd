"""Writes the fields of one protobuf message; the caller puts them in order of their numbers."""

from cyan.wire.errors import MisuseError
from cyan.wire.protobuf.reader import BYTES, FIXED32, FIXED64, MAX_FIELD_NUMBER, VARINT
from cyan.wire.protobuf.varint import encode_varint


def uint_field(number: int, value: int) -> bytes:
    """An unsigned integer, enum or bool; empty at the default 0, as firmware does it."""
    return _tag(number, VARINT) + encode_varint(value) if value else b""


def fixed32_field(number: int, value: int) -> bytes:
    """A 32-bit integer in four bytes, little endian; empty at the default 0."""
    if not 0 <= value <= 0xFFFFFFFF:
        raise MisuseError(f"fixed32 {value}")
    return _tag(number, FIXED32) + value.to_bytes(4, "little") if value else b""


def fixed64_field(number: int, value: int) -> bytes:
    """A 64-bit integer in eight bytes, little endian; written even at 0, for it may be optional."""
    if not 0 <= value <= 0xFFFFFFFFFFFFFFFF:
        raise MisuseError(f"fixed64 {value}")
    return _tag(number, FIXED64) + value.to_bytes(8, "little")


def bytes_field(number: int, value: bytes) -> bytes:
    """Bytes, text or a nested message; written even when empty, for it may be a repeated one."""
    return _tag(number, BYTES) + encode_varint(len(value)) + value


def optional_bytes_field(number: int, value: bytes | None) -> bytes:
    """`bytes_field`, or nothing when there is no value."""
    return b"" if value is None else bytes_field(number, value)


def _tag(number: int, wire_type: int) -> bytes:
    if not 1 <= number <= MAX_FIELD_NUMBER:
        raise MisuseError(f"protobuf field number {number}")
    return encode_varint(number << 3 | wire_type)
