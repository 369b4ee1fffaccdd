"""What a device makes of an update that has arrived: checks as firmware makes them, then the new
firmware (device-protocol.md §5.3 to §5.5, §7.3; Device OS 6.2.0, `ota_flash_hal.cpp` of nRF52840).
"""

from typing import Final

import msgspec

from cyan.sim import describing, oserrors
from cyan.sim.boards import Board
from cyan.sim.firmware import Firmware
from cyan.sim.images import same_body
from cyan.sim.oserrors import DeviceOsError
from cyan.wire.describe import Module as Slot
from cyan.wire.describe.system import (
    ASSET,
    BOOTLOADER,
    DEPENDENCIES,
    INTEGRITY,
    MAX_TEXT,
    PLATFORM,
    RADIO_STACK,
    RANGE,
    SYSTEM_PART,
    USER_PART,
    Asset,
    ModuleDependency,
)
from cyan.wire.errors import MalformedError
from cyan.wire.module import DROP_MODULE_INFO, Module, decode_asset, decompress_module, parse_module
from cyan.wire.module.combining import split_modules
from cyan.wire.simulated import is_image

MAX_COMBINED: Final = 2
"""Modules of one file; what follows is ignored (§5.4)."""

ASSET_BLOCK_BYTES: Final = 4096
"""Assets take whole blocks (§5.5)."""

_ALL_CHECKS: Final = INTEGRITY | DEPENDENCIES | RANGE | PLATFORM
_SOFT: Final = (USER_PART, ASSET, SYSTEM_PART)
"""May be compressed (§5.3)."""
_GEN_3: Final = 3


def factory_firmware(device_id: str, board: Board) -> Firmware:
    """What a board comes with."""
    return Firmware(describing.factory_modules(device_id, board))


def install(file: bytes, board: Board, firmware: Firmware) -> Firmware:
    """What the device runs after an update with this file. Raises DeviceOsError."""
    modules = _read(file)
    for module in modules:
        _check(module, board, firmware)
    for module in modules:
        firmware = _apply(module, board, firmware)
    return msgspec.structs.replace(firmware, is_news=True)


def install_unchecked(file: bytes, board: Board, firmware: Firmware) -> Firmware:
    """The same on a host build, which finds no fault: what it cannot use changes nothing (§8.3)."""
    try:
        module = parse_module(file)
    except MalformedError:
        return firmware
    if module.platform_id != board.platform.id:
        return firmware
    if module.function == USER_PART:
        return _install_user_part(module, firmware)
    if firmware.find(module.function, module.index) is None:
        return firmware
    return _replace(firmware, module)


def _read(file: bytes) -> tuple[Module, ...]:
    try:
        return split_modules(file)[:MAX_COMBINED]
    except MalformedError as error:
        is_damaged = str(error).startswith("CRC-32")
        code = oserrors.INTEGRITY_CHECK_FAILED if is_damaged else oserrors.MODULE_NOT_FOUND
        raise DeviceOsError(code) from error


def _check(module: Module, board: Board, firmware: Firmware) -> None:
    if not _has_dependencies(module, firmware):
        raise DeviceOsError(oserrors.DEPENDENCY_CHECK_FAILED)
    if module.function == ASSET:
        if not board.generation.has_protobuf_describe:
            raise DeviceOsError(oserrors.UNSUPPORTED_MODULE)
        return
    if module.platform_id != board.platform.id:
        raise DeviceOsError(oserrors.INVALID_PLATFORM)
    if module.is_compressed and not (board.takes_compressed and module.function in _SOFT):
        raise DeviceOsError(oserrors.UNSUPPORTED_MODULE)
    if module.prefix_offset and (module.is_compressed or module.flags & DROP_MODULE_INFO):
        raise DeviceOsError(oserrors.INVALID_FORMAT)
    slot = firmware.find(module.function, module.index)
    if slot is None:
        if not _has_room_for(module, board):
            raise DeviceOsError(oserrors.UNSUPPORTED_MODULE)
    elif slot.max_size and len(module.data) > slot.max_size:
        raise DeviceOsError(oserrors.INVALID_ADDRESS)


def _has_room_for(module: Module, board: Board) -> bool:
    if module.function == USER_PART:
        # Boards whose firmware is all one module get one for an image of the simulated platform.
        return True
    return module.function == RADIO_STACK and board.platform.gen >= _GEN_3


def _has_dependencies(module: Module, firmware: Firmware) -> bool:
    """The application's own are optional: it waits for them in safe mode."""
    if module.function in (USER_PART, ASSET):
        return True
    first, others = module.dependencies[:1], module.dependencies[1:]
    needed = first + tuple(each for each in others if each.function != BOOTLOADER)
    if not firmware.has(needed):
        return False
    if module.function != SYSTEM_PART:
        return True
    replaced = (module.function, module.index)
    wanted = (
        dependency
        for installed in firmware.modules
        if installed.function == SYSTEM_PART and (installed.function, installed.index) != replaced
        for dependency in installed.dependencies
    )
    return all(_satisfies(module, each) for each in wanted)


def _satisfies(module: Module, wanted: ModuleDependency) -> bool:
    is_it = (wanted.function, wanted.index) == (module.function, module.index)
    return not is_it or module.version >= wanted.version


def _apply(module: Module, board: Board, firmware: Firmware) -> Firmware:
    if module.function == ASSET:
        return _store_asset(module, firmware)
    if module.is_compressed:
        try:
            module = parse_module(decompress_module(module.data))
        except MalformedError as error:
            raise DeviceOsError(oserrors.VALIDATION_FAILED) from error
    if module.function == USER_PART:
        return _install_user_part(module, firmware)
    return _replace(firmware, module)


def _install_user_part(module: Module, firmware: Firmware) -> Firmware:
    """A real application does what the one before it did: it cannot be run here."""
    body = same_body(bytes(module.body)) if is_image(module.body) else firmware.body
    return msgspec.structs.replace(
        _replace(firmware, module),
        product_id=module.product_id,
        product_version=module.product_version,
        body=body,
    )


def _replace(firmware: Firmware, module: Module) -> Firmware:
    slot = firmware.find(module.function, module.index)
    installed = Slot(
        function=module.function,
        index=module.index,
        version=module.version,
        max_size=0 if slot is None else slot.max_size,
        checked=_ALL_CHECKS,
        passed=_ALL_CHECKS,
        hash=module.sha256 if module.function == USER_PART else None,
        dependencies=module.dependencies,
        asset_dependencies=module.assets,
        size=len(module.data),
    )
    if slot is None:
        return msgspec.structs.replace(firmware, modules=(*firmware.modules, installed))
    modules = tuple(installed if each is slot else each for each in firmware.modules)
    return msgspec.structs.replace(firmware, modules=modules)


def _store_asset(module: Module, firmware: Firmware) -> Firmware:
    try:
        name, data = decode_asset(module.data)
    except MalformedError as error:
        raise DeviceOsError(oserrors.VALIDATION_FAILED) from error
    if len(name.encode()) > MAX_TEXT:
        raise DeviceOsError(oserrors.VALIDATION_FAILED)
    needed = {asset.hash for asset in firmware.needed_assets}
    blocks = -(-len(module.data) // ASSET_BLOCK_BYTES)
    stored = Asset(_hash(module), name, len(data), blocks * ASSET_BLOCK_BYTES)
    kept = tuple(
        asset for asset in firmware.assets if asset.hash in needed and asset.hash != stored.hash
    )
    return msgspec.structs.replace(firmware, assets=(*kept, stored))


def _hash(module: Module) -> bytes:
    found = [each.as_hash() for each in module.suffix_extensions]
    return next(digest for digest in found if digest is not None)
