"""Modules of Device OS for tests, made as real ones are laid out."""

from collections.abc import Sequence

from cyan.wire.describe import ModuleDependency
from cyan.wire.describe.system import BOOTLOADER, NCP_FIRMWARE, RADIO_STACK, SYSTEM_PART
from cyan.wire.module import encode_module

BORON, ARGON, ELECTRON = 13, 12, 10


def make_system(
    version: int,
    *needed: ModuleDependency,
    platform_id: int = BORON,
    index: int = 1,
) -> bytes:
    """A system part, with a vector table before its prefix as nRF52840 boards have it."""
    return _make(SYSTEM_PART, version, needed, platform_id, index, bytes(0x200))


def make_bootloader(
    version: int, *needed: ModuleDependency, platform_id: int = BORON, index: int = 0
) -> bytes:
    return _make(BOOTLOADER, version, needed, platform_id, index, bytes(0x200))


def make_radio_stack(version: int, *needed: ModuleDependency, platform_id: int = BORON) -> bytes:
    return _make(RADIO_STACK, version, needed, platform_id, 0, b"")


def make_ncp(version: int, *needed: ModuleDependency, platform_id: int = ARGON) -> bytes:
    return _make(NCP_FIRMWARE, version, needed, platform_id, 0, b"")


def bootloader(version: int, index: int = 0) -> ModuleDependency:
    return ModuleDependency(BOOTLOADER, index, version)


def system(version: int, index: int = 1) -> ModuleDependency:
    return ModuleDependency(SYSTEM_PART, index, version)


def radio_stack(version: int) -> ModuleDependency:
    return ModuleDependency(RADIO_STACK, 0, version)


def _make(
    function: int,
    version: int,
    needed: Sequence[ModuleDependency],
    platform_id: int,
    index: int,
    vector_table: bytes,
) -> bytes:
    return encode_module(
        f"{function} {index} {version}".encode() * 40,
        platform_id=platform_id,
        function=function,
        index=index,
        version=version,
        start_address=0x30000,
        dependencies=needed,
        vector_table=vector_table,
    )
