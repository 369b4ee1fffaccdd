"""What a simulated board says of its modules.

The modules are those that a board of its kind has (device-protocol.md §3.3.3, §7); what is in them,
their sizes and the versions of bootloader and application are made up.
"""

import hashlib
from typing import Final

import msgspec

from cyan.sim.boards import Board
from cyan.sim.firmware import Firmware
from cyan.sim.generations import Describing
from cyan.wire.describe import (
    Module,
    ModuleDependency,
    SystemDescribe,
    encode_system_json,
    encode_system_protobuf,
)

_BOOTLOADER, _MONOLITHIC, _SYSTEM_PART, _USER_PART = 2, 3, 4, 5
_BOOTLOADER_VERSION: Final = 3001
_USER_VERSION: Final = 6
_ALL_CHECKS: Final = 0x1E
_KIB: Final = 1024
_MODEM_VERSION: Final = "L0.0.00.00.05.06"

_MAX_HEADER_BYTES: Final = 9
"""Of a describe in one message: header, path, flags, payload marker (§3.3.1)."""

_HOST, _GEN_1, _GEN_2 = 0, 1, 2


class TooLongError(ValueError):
    """The application is too large for its firmware; the text says how much."""


def factory_modules(device_id: str, board: Board) -> tuple[Module, ...]:
    """The modules that a board comes with, all in order; the application's hash is the device's
    own, over all its boots."""
    return _modules(board, _digest(device_id))


def system_describe(
    device_id: str, board: Board, firmware: Firmware | None = None
) -> SystemDescribe:
    """The modules of a board that runs `firmware`, or what it came with; the numbers of a modem are
    the device's own."""
    if firmware is None:
        describe = SystemDescribe(factory_modules(device_id, board))
    else:
        told = firmware if board.platform.gen == _HOST else firmware.judged()
        describe = SystemDescribe(told.modules, assets=told.assets)
    if not board.platform.is_cellular:
        return describe
    digest = _digest(device_id)
    digits = f"{int.from_bytes(digest, 'big'):020}"
    return msgspec.structs.replace(
        describe,
        imei=f"35{digits[-13:]}",
        iccid=f"89{digits[-17:]}0",
        modem_firmware_version=_MODEM_VERSION,
    )


def encode_system(device_id: str, board: Board, firmware: Firmware | None = None) -> bytes:
    """The system describe in the form of the board's firmware."""
    describe = system_describe(device_id, board, firmware)
    if board.generation.has_protobuf_describe:
        return encode_system_protobuf(describe)
    return encode_system_json(describe, board.platform.id)


def check_room(application: bytes, system: bytes, board: Board) -> None:
    """Both describes together have to fit into one message of firmware without block-wise
    transfer: there a longer one stops the device (Device OS v2.3.1, `SPARK_ASSERT`).

    Raises:
        TooLongError: They do not.
    """
    if board.generation.describing is Describing.IN_BLOCKS:
        return
    room = board.generation.max_message_bytes - _MAX_HEADER_BYTES
    if len(application) + len(system) > room:
        raise TooLongError(
            f"functions and variables are too many for Device OS {board.generation.name}: "
            f"their describe has {len(application)} bytes where {room - len(system)} have room"
        )


def _digest(device_id: str) -> bytes:
    return hashlib.sha256(f"cyan.sim/application/{device_id}".encode()).digest()


def _modules(board: Board, app_hash: bytes) -> tuple[Module, ...]:
    version = board.generation.system_version
    bootloader = _module(_BOOTLOADER, 0, _BOOTLOADER_VERSION, 48)
    if board.platform.gen == _GEN_1:
        # All is one module there.
        return (_module(_MONOLITHIC, 0, version, 108),)
    if board.platform.gen == _HOST:
        # As the host build has it (§8.2).
        return (bootloader, _module(_MONOLITHIC, 0, version, 512, bootloader))
    first = _module(_SYSTEM_PART, 1, version, 256 if board.platform.gen == _GEN_2 else 656)
    if board.platform.gen != _GEN_2:
        first = _depend(first, bootloader)
        return (bootloader, first, _user(256, app_hash, first))
    second = _module(_SYSTEM_PART, 2, version, 256, first)
    return (bootloader, first, second, _user(128, app_hash, second))


def _module(
    function: int, index: int, version: int, size_kib: int, needs: Module | None = None
) -> Module:
    module = Module(
        function=function,
        index=index,
        version=version,
        max_size=size_kib * _KIB,
        checked=_ALL_CHECKS,
        passed=_ALL_CHECKS,
    )
    return module if needs is None else _depend(module, needs)


def _user(size_kib: int, app_hash: bytes, needs: Module) -> Module:
    module = _module(_USER_PART, 1, _USER_VERSION, size_kib, needs)
    return msgspec.structs.replace(module, hash=app_hash)


def _depend(module: Module, needs: Module) -> Module:
    dependency = ModuleDependency(needs.function, needs.index, needs.version)
    return msgspec.structs.replace(module, dependencies=(dependency,))
