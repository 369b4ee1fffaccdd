"""Compressed modules (device-protocol.md sections 5.3, 7.4).

    prefix | u16 header size = 8 | u8 method, 0 raw deflate | u8 window bits, 0 for 15
           | u32 original size | deflate stream | suffix | CRC-32

All little endian. What is compressed is the whole module; where prefix and suffix are for the
transfer only (DROP_MODULE_INFO), just its body.
"""

import struct
import zlib
from typing import Final

from cyan.wire.describe.system import ASSET, SYSTEM_PART, USER_PART
from cyan.wire.errors import MalformedError, MisuseError
from cyan.wire.module.reading import parse_module
from cyan.wire.module.values import (
    COMBINED,
    COMPRESSED,
    CRC_BYTES,
    DROP_MODULE_INFO,
    ENCRYPTED,
    MAX_MODULE_BYTES,
    Module,
    seal,
)

_HEADER: Final = struct.Struct("<HBBI")
_RAW_DEFLATE: Final = 0
_DEFAULT_WINDOW: Final = 0
_WINDOW_BITS: Final = 15
_SMALLEST_WINDOW_BITS: Final = 8
_LEVEL: Final = 9
_END_ADDRESS: Final = 4
_FLAGS: Final = 9
"""Offsets in the prefix."""


def may_be_compressed(module: Module) -> bool:
    """Whether devices take it compressed: user parts, system parts and assets (section 5.3)."""
    return module.function in (USER_PART, SYSTEM_PART, ASSET) and not module.flags & (
        COMPRESSED | COMBINED | ENCRYPTED
    )


def compress_module(data: bytes | memoryview) -> bytes:
    """The compressed form of a module, always the same for the same one; it may be longer.

    Raises MalformedError when it is none, MisuseError when devices do not take it compressed.
    """
    module = parse_module(data)
    if not may_be_compressed(module):
        raise MisuseError(
            "Devices take user parts, system parts and assets compressed, each by itself and once."
        )
    if module.flags & DROP_MODULE_INFO:
        if module.prefix_offset:
            raise MisuseError("A module with a vector table is stored with its prefix.")
        content = module.body
    else:
        content = module.data
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -_WINDOW_BITS, 9)
    packed = packer.compress(content) + packer.flush()
    head = module.data[module.prefix_offset : module.body_offset]
    header = _HEADER.pack(_HEADER.size, _RAW_DEFLATE, _DEFAULT_WINDOW, len(content))
    made = bytearray().join((head, header, packed, _tail(module)))
    _put(made, module.start_address + len(made) - CRC_BYTES, module.flags | COMPRESSED)
    return seal(made)


def decompress_module(data: bytes | memoryview) -> bytes:
    """The module that was compressed, with its own checksums. Raises MalformedError."""
    module = parse_module(data)
    if not module.is_compressed:
        raise MalformedError("compression: the module is not compressed")
    body = module.body
    if len(body) < _HEADER.size:
        raise MalformedError(f"compression: {len(body)} bytes, and its header has {_HEADER.size}")
    header_size, method, window, size = _HEADER.unpack_from(body)
    if not _HEADER.size <= header_size <= len(body):
        raise MalformedError(
            f"compression: a header of {header_size} bytes, and {_HEADER.size} are usual"
        )
    if method != _RAW_DEFLATE:
        raise MalformedError(f"compression: method {method}, and only 0, raw deflate, is known")
    if window and not _SMALLEST_WINDOW_BITS <= window <= _WINDOW_BITS:
        raise MalformedError(f"compression: {window} window bits, and 8 to 15 are possible")
    if size > MAX_MODULE_BYTES:
        raise MalformedError(
            f"compression: {size} bytes when unpacked, and at most {MAX_MODULE_BYTES} are taken"
        )
    content = _inflate(body[header_size:], size)
    if not module.flags & DROP_MODULE_INFO:
        parse_module(content)
        return content
    made = bytearray().join((module.data[: module.body_offset], content, _tail(module)))
    _put(made, module.start_address + len(made) - CRC_BYTES, module.flags & ~COMPRESSED)
    return seal(made)


def _inflate(packed: memoryview, size: int) -> bytes:
    unpacker = zlib.decompressobj(-_WINDOW_BITS)
    try:
        content = unpacker.decompress(packed, size + 1)
    except zlib.error as error:
        raise MalformedError(f"compression: the deflate stream is damaged: {error}") from error
    if len(content) != size or not unpacker.eof or unpacker.unused_data:
        raise MalformedError(
            f"compression: {size} bytes when unpacked, says its header, and the stream has other"
            " than that"
        )
    return content


def _tail(module: Module) -> memoryview:
    """Suffix and CRC."""
    return module.data[len(module.data) - CRC_BYTES - module.suffix_bytes :]


def _put(made: bytearray, end_address: int, flags: int) -> None:
    made[_END_ADDRESS : _END_ADDRESS + 4] = end_address.to_bytes(4, "little")
    made[_FLAGS] = flags
