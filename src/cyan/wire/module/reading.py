"""Reading a module: prefix, suffix and checksums (device-protocol.md sections 7.1, 7.2).

The end of the file: [extensions] [product id u16, product version u16] reserved u16, SHA-256, size
of the suffix u16 (all little endian), CRC-32 (big endian). The CRC covers everything before it, the
SHA-256 everything before itself.
"""

import struct
import zlib
from hashlib import sha256

from cyan.wire.errors import MalformedError
from cyan.wire.module.extensions import END, Extension, take_extensions
from cyan.wire.module.prefix import Prefix, read_prefix
from cyan.wire.module.values import (
    BASE_SUFFIX_BYTES,
    CRC_BYTES,
    HASHED_TAIL_BYTES,
    MAX_MODULE_BYTES,
    NO_PRODUCT,
    NO_SUFFIX,
    PREFIX_BYTES,
    PREFIX_EXTENSIONS,
    PRODUCT_SUFFIX_BYTES,
    Module,
)


def parse_module(data: bytes | memoryview) -> Module:
    """Reads a file that holds one module, with a right CRC. `data` is kept, not copied.

    Raises MalformedError, whose text begins with the check that failed and tells what was read and
    what was expected.
    """
    view = memoryview(data)
    if len(view) > MAX_MODULE_BYTES:
        raise MalformedError(
            f"module size: {len(view)} bytes, and at most {MAX_MODULE_BYTES} are taken"
        )
    prefix = read_prefix(view)
    if prefix.module_bytes != len(view):
        raise MalformedError(
            f"module size: {len(view)} bytes, and the first module of this combined file ends at"
            f" {prefix.module_bytes}"
        )
    return read_rest(view, prefix)


def read_rest(view: memoryview, prefix: Prefix) -> Module:
    """The module of this prefix, which is all of `view`. Raises MalformedError."""
    stored = int.from_bytes(view[-CRC_BYTES:], "big")
    actual = zlib.crc32(view[:-CRC_BYTES])
    if stored != actual:
        raise MalformedError(
            f"CRC-32: {stored:08x} is stored, and the bytes give {actual:08x}; the file is damaged"
            " or cut short"
        )
    body_offset = prefix.offset + PREFIX_BYTES
    prefix_extensions: tuple[Extension, ...] = ()
    if prefix.flags & PREFIX_EXTENSIONS:
        prefix_extensions, size = take_extensions(
            view[body_offset : len(view) - CRC_BYTES - BASE_SUFFIX_BYTES], "module prefix"
        )
        if not prefix_extensions or prefix_extensions[-1].type != END:
            raise MalformedError("module prefix: its extensions do not end with END")
        body_offset += size
    suffix_bytes = _suffix_bytes(view, body_offset)
    suffix_extensions: tuple[Extension, ...] = ()
    if suffix_bytes > PRODUCT_SUFFIX_BYTES:
        start = len(view) - CRC_BYTES - suffix_bytes
        suffix_extensions, _ = take_extensions(
            view[start : len(view) - CRC_BYTES - BASE_SUFFIX_BYTES], "module suffix"
        )
    product_id = product_version = NO_PRODUCT
    if suffix_bytes >= PRODUCT_SUFFIX_BYTES:
        product_id, product_version = struct.unpack_from(
            "<HH", view, len(view) - CRC_BYTES - PRODUCT_SUFFIX_BYTES
        )
    more = (each.as_dependency() for each in prefix_extensions + suffix_extensions)
    digest = bytes(view[-HASHED_TAIL_BYTES : -HASHED_TAIL_BYTES + 32])
    return Module(
        data=view,
        prefix_offset=prefix.offset,
        start_address=prefix.start_address,
        end_address=prefix.end_address,
        mcu=prefix.mcu,
        flags=prefix.flags,
        version=prefix.version,
        platform_id=prefix.platform_id,
        function=prefix.function,
        index=prefix.index,
        dependencies=prefix.dependencies + tuple(each for each in more if each is not None),
        product_id=None if product_id == NO_PRODUCT else product_id,
        product_version=None if product_version == NO_PRODUCT else product_version,
        prefix_extensions=prefix_extensions,
        suffix_extensions=suffix_extensions,
        body_offset=body_offset,
        suffix_bytes=suffix_bytes,
        sha256=digest,
        crc32=stored,
        has_right_sha256=sha256(view[:-HASHED_TAIL_BYTES]).digest() == digest,
    )


def _suffix_bytes(view: memoryview, body_offset: int) -> int:
    (size,) = struct.unpack_from("<H", view, len(view) - CRC_BYTES - 2)
    if size == NO_SUFFIX:
        return 0
    room = len(view) - CRC_BYTES - body_offset
    if not BASE_SUFFIX_BYTES <= size <= room:
        raise MalformedError(
            f"module suffix: its size is {size}, and {BASE_SUFFIX_BYTES} to {room} are possible"
        )
    return int(size)
