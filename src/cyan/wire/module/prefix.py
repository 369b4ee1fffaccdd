"""The prefix of a module, and where in the file it is (device-protocol.md section 7.1).

    0  u32  start address           14  u8   function
    4  u32  end address             15  u8   index
    8  u8   MCU (reserved)          16       dependency 1: function u8, index u8, version u16
    9  u8   flags                   20       dependency 2
    10 u16  version                 24
    12 u16  platform id

All little endian. A vector table may be in front of it.
"""

import struct
from itertools import pairwise
from typing import Final

import msgspec

from cyan.wire.describe.system import NO_FUNCTION, ModuleDependency
from cyan.wire.errors import MalformedError
from cyan.wire.module.platforms import PLATFORM_NAMES
from cyan.wire.module.values import (
    BASE_SUFFIX_BYTES,
    COMBINED,
    CRC_BYTES,
    FUNCTION_NAMES,
    PREFIX_BYTES,
)

PREFIX: Final = struct.Struct("<IIBBHHBBBBHBBH")

_USUAL_OFFSETS: Final = (0, 0x200, 0x184, 0xC0, 0x10C)
"""Without a vector table; with that of Gen 3, Gen 2, Bluz, Core."""

_ALL_FLAGS: Final = 0x1F

_SEARCHED_BYTES: Final = 8 * 1024
"""Of the file, for prefixes elsewhere, at multiples of four."""

MIN_MODULE_BYTES: Final = PREFIX_BYTES + BASE_SUFFIX_BYTES + CRC_BYTES


class Prefix(msgspec.Struct, frozen=True):
    """The fields, and where they were found."""

    offset: int
    start_address: int
    end_address: int
    mcu: int
    flags: int
    version: int
    platform_id: int
    function: int
    index: int
    dependencies: tuple[ModuleDependency, ...]

    @property
    def module_bytes(self) -> int:
        """The length of the module that it begins, with vector table and CRC."""
        return self.end_address - self.start_address + CRC_BYTES


def read_prefix(data: memoryview) -> Prefix:
    """Finds and reads it. Of a combined file, that of the first module.

    The size that a prefix tells has to be that of the file, unless its flags say that another
    module follows. Raises MalformedError, which says what was read where one should be.
    """
    if len(data) < MIN_MODULE_BYTES:
        raise MalformedError(
            f"module size: {len(data)} bytes, and a firmware module has {MIN_MODULE_BYTES} or more"
        )
    for offset in _USUAL_OFFSETS:
        found = _read_at(data, offset)
        if found is not None and _fits(found, len(data)):
            return found
    for offset in _offsets_of_size(data):
        found = _read_at(data, offset)
        if found is not None and _fits(found, len(data)):
            return found
    raise MalformedError(_what_is_wrong(data))


def _read_at(data: memoryview, offset: int) -> Prefix | None:
    if offset + MIN_MODULE_BYTES > len(data):
        return None
    start, end, mcu, flags, version, platform, function, index, *needed = PREFIX.unpack_from(
        data, offset
    )
    dependencies = tuple(
        ModuleDependency(*each) for each in (needed[:3], needed[3:]) if each[0] != NO_FUNCTION
    )
    return Prefix(offset, start, end, mcu, flags, version, platform, function, index, dependencies)


def _fits(prefix: Prefix, size: int) -> bool:
    if prefix.function == NO_FUNCTION:
        return False
    if prefix.module_bytes == size:
        return True
    # Of a combined file the size proves nothing, so that all else has to be plausible.
    return (
        bool(prefix.flags & COMBINED)
        and prefix.flags <= _ALL_FLAGS
        and prefix.offset + MIN_MODULE_BYTES <= prefix.module_bytes < size
        and prefix.platform_id in PLATFORM_NAMES
        and prefix.function in FUNCTION_NAMES
        and all(each.function in FUNCTION_NAMES for each in prefix.dependencies)
    )


def _offsets_of_size(data: memoryview) -> list[int]:
    """Where two words lie as far apart as the file is long."""
    words = struct.unpack_from(f"<{min(len(data), _SEARCHED_BYTES) // 4}I", data)
    distance = len(data) - CRC_BYTES
    return [4 * at for at, (start, end) in enumerate(pairwise(words)) if end - start == distance]


def _what_is_wrong(data: memoryview) -> str:
    """The error for the place where most modules have their prefix."""
    read = _read_at(data, 0)
    assert read is not None
    if read.end_address <= read.start_address:
        return (
            "module prefix: none was found at 0 or behind a vector table; the addresses at 0 are"
            f" 0x{read.start_address:x} and 0x{read.end_address:x}"
        )
    if read.function == NO_FUNCTION:
        return "module function: 0, which is no function; 1 to 9 are known"
    return (
        f"module size: the prefix at 0 says {read.module_bytes} bytes, and the file has {len(data)}"
    )
