"""A firmware module as a value, and the numbers of its format (device-protocol.md section 7)."""

import zlib
from hashlib import sha256
from typing import Final

import msgspec

from cyan.wire.describe.system import (
    ASSET,
    BOOTLOADER,
    MONOLITHIC,
    NCP_FIRMWARE,
    RADIO_STACK,
    RESOURCE,
    SETTINGS,
    SYSTEM_PART,
    USER_PART,
    Asset,
    ModuleDependency,
)
from cyan.wire.module.extensions import Extension

DROP_MODULE_INFO: Final = 0x01
"""Prefix and suffix are for the transfer only: what is stored is the body."""
COMPRESSED: Final = 0x02
COMBINED: Final = 0x04
"""Another module follows in the same file."""
ENCRYPTED: Final = 0x08
PREFIX_EXTENSIONS: Final = 0x10

NO_PRODUCT: Final = 0xFFFF
"""As product id or version: none was declared."""

MAX_MODULE_BYTES: Final = 10 * 1024 * 1024
"""Of a file. The host build takes that much, and every board takes less (section 8.3)."""

PREFIX_BYTES: Final = 24
BASE_SUFFIX_BYTES: Final = 36
"""Reserved u16, SHA-256, size of the suffix."""
PRODUCT_SUFFIX_BYTES: Final = 40
"""Product id and version in front of it."""
CRC_BYTES: Final = 4
HASHED_TAIL_BYTES: Final = 38
"""From the SHA-256 to the end of the file: what it does not cover."""
NO_SUFFIX: Final = 0xFFFF
"""As its size, where the suffix was never filled: padding of old boot loaders."""

FUNCTION_NAMES: Final = {
    RESOURCE: "resource",
    BOOTLOADER: "bootloader",
    MONOLITHIC: "monolithic",
    SYSTEM_PART: "system part",
    USER_PART: "user part",
    SETTINGS: "settings",
    NCP_FIRMWARE: "NCP firmware",
    RADIO_STACK: "radio stack",
    ASSET: "asset",
}
"""What a module is for, for people (section 7.1)."""


class Module(msgspec.Struct, frozen=True):
    """One module. `data` is the whole of it, `body` what lies between prefix and suffix.

    The file: [vector table] prefix (24 bytes, at `prefix_offset`) [prefix extensions] body
    [suffix extensions] [product id, version] suffix CRC-32. Its length is `end_address` -
    `start_address` + 4. `crc32` was found right. `has_right_sha256` says so of `sha256`, which some
    tools leave as it was when they change a byte; devices do not check it, but report it as the
    hash of the module.
    """

    data: memoryview
    prefix_offset: int
    start_address: int
    end_address: int
    mcu: int
    flags: int
    version: int
    platform_id: int
    function: int
    index: int
    dependencies: tuple[ModuleDependency, ...]
    """Those of the prefix and of the extensions; empty places are left out."""
    product_id: int | None
    product_version: int | None
    prefix_extensions: tuple[Extension, ...]
    suffix_extensions: tuple[Extension, ...]
    body_offset: int
    suffix_bytes: int
    """Its size with extensions; 0 where it was never filled."""
    sha256: bytes
    crc32: int
    has_right_sha256: bool

    @property
    def body(self) -> memoryview:
        return self.data[self.body_offset : len(self.data) - CRC_BYTES - self.suffix_bytes]

    @property
    def is_compressed(self) -> bool:
        return bool(self.flags & COMPRESSED)

    @property
    def is_combined(self) -> bool:
        """Another module follows it."""
        return bool(self.flags & COMBINED)

    @property
    def assets(self) -> tuple[Asset, ...]:
        """The assets that the application needs: names and SHA-256 of the raw data."""
        found = (each.as_asset() for each in self.prefix_extensions + self.suffix_extensions)
        return tuple(each for each in found if each is not None)

    @property
    def name(self) -> str:
        """For people, as `system part 1`."""
        told = FUNCTION_NAMES.get(self.function, f"function {self.function}")
        return f"{told} {self.index}" if self.index else told


def seal(data: bytearray) -> bytes:
    """Write SHA-256 and CRC-32 of a module whose other bytes are in place."""
    data[-HASHED_TAIL_BYTES : -HASHED_TAIL_BYTES + 32] = sha256(
        memoryview(data)[:-HASHED_TAIL_BYTES]
    ).digest()
    data[-CRC_BYTES:] = zlib.crc32(memoryview(data)[:-CRC_BYTES]).to_bytes(CRC_BYTES, "big")
    return bytes(data)
