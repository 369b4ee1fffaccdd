"""What a person uploaded for a device: modules, a bundle, or sources; and whether the device can
take it. Everything that can be known before the first byte is sent is refused here."""

from collections.abc import Sequence
from typing import Final

import msgspec

from cyan.core.ports import UpdateLimits
from cyan.devices.model import Device
from cyan.devices.releases import release_of
from cyan.firmware.model import MAX_FILE_NAME_CHARACTERS, Cause, ModuleGoal, NotFlashableError
from cyan.wire.bundle import is_bundle, read_bundle
from cyan.wire.describe.system import (
    ASSET,
    BOOTLOADER,
    NCP_FIRMWARE,
    RADIO_STACK,
    SYSTEM_PART,
    USER_PART,
)
from cyan.wire.errors import MalformedError
from cyan.wire.module import Module, decompress_module, encode_asset, platform_name, split_modules
from cyan.wire.simulated import is_image, is_simulated_device

MAX_BINARIES: Final = 8
"""Files of one request: the parts of a Device OS and an application; ours."""

FIRST_WITH_ASSETS: Final = 5500
"""Number of the system of Device OS 5.5.0 (device-protocol.md §5.5)."""

_BINARY_ENDINGS: Final = (".bin", ".zip")

_LEVELS: Final = {BOOTLOADER: 0, RADIO_STACK: 1, NCP_FIRMWARE: 1, SYSTEM_PART: 2}
_HIGHEST_LEVEL: Final = 3


class File(msgspec.Struct, frozen=True):
    """One file as it came; the name is whatever a client called it."""

    name: str
    data: bytes


class Payload(msgspec.Struct, frozen=True):
    """One transfer: a module, or several in one file; or an asset."""

    name: str
    data: bytes
    modules: tuple[Module, ...]
    cause: Cause
    goal: ModuleGoal


def are_binaries(files: Sequence[File], *, forced: bool = False) -> bool:
    """Whether these are modules or a bundle, rather than sources; `forced` when a client says so.

    Raises NotFlashableError for a mixture.
    """
    binaries = [_is_binary(file) for file in files]
    if forced or all(binaries):
        return True
    if any(binaries):
        raise NotFlashableError(
            "Binaries and sources cannot be flashed together; send .bin files, one .zip or sources."
        )
    return False


def read_binaries(files: Sequence[File], *, compress: bool) -> list[Payload]:
    """What is to be sent, in the order of sending: the lowest level first, assets last; assets
    compressed if the device takes that.

    Raises NotFlashableError, which names the file and the check that failed.
    """
    if len(files) > MAX_BINARIES:
        raise NotFlashableError(f"At most {MAX_BINARIES} binaries are sent at once.")
    found = [payload for file in files for payload in _read(file, compress)]
    found.sort(key=lambda payload: _level(payload.modules[0]))
    return found


def check(payloads: Sequence[Payload], device: Device, limits: UpdateLimits) -> None:
    """Whether the device can take these. Raises NotFlashableError."""
    for payload in payloads:
        _check_platform(payload, device)
        _check_simulated(payload, device)
        if any(module.is_compressed for module in payload.modules) and not limits.takes_compressed:
            raise NotFlashableError(f"{payload.name} is compressed, which the device cannot read.")
        if payload.cause is Cause.ASSET and not _takes_assets(device, limits):
            raise NotFlashableError(
                "The device takes no assets: they need Device OS 5.5.0 or newer"
                f"{_and_has(device)}. Send the application alone."
            )


def check_size(payload_name: str, size_bytes: int, limits: UpdateLimits) -> None:
    """Whether a file fits into the device. Raises NotFlashableError."""
    most = limits.max_image_bytes
    if most is not None and most and size_bytes > most:
        raise NotFlashableError(
            f"{payload_name} has {size_bytes} bytes, and the device takes at most {most}."
        )


def clean_name(name: str) -> str:
    """The last segment of a file's name: clients send paths of their own machine."""
    last = name.replace("\\", "/").rpartition("/")[2]
    printable = "".join(each for each in last if each.isprintable()).strip()
    return printable[:MAX_FILE_NAME_CHARACTERS] or "firmware.bin"


def _is_binary(file: File) -> bool:
    if is_bundle(file.data) or file.name.lower().endswith(_BINARY_ENDINGS):
        return True
    try:
        split_modules(file.data)
    except MalformedError:
        return False
    return True


def _read(file: File, compress: bool) -> list[Payload]:
    name = clean_name(file.name)
    try:
        if not is_bundle(file.data):
            modules = split_modules(file.data)
            return [Payload(name, file.data, modules, Cause.FLASH, _goal(modules[-1]))]
        bundle = read_bundle(file.data)
        application = bundle.application
        payloads = [
            Payload(name, bytes(application.data), (application,), Cause.FLASH, _goal(application))
        ]
        hashes = {asset.name: asset.hash.hex() for asset in application.assets}
        for asset in bundle.assets:
            data = encode_asset(asset.name, asset.data, compress=compress)
            goal = ModuleGoal(ASSET, hash=hashes[asset.name], name=asset.name)
            payloads.append(
                Payload(clean_name(asset.name), data, split_modules(data), Cause.ASSET, goal)
            )
    except MalformedError as error:
        raise NotFlashableError(f"{name} cannot be flashed: {error}.") from error
    return payloads


def _goal(module: Module) -> ModuleGoal:
    return ModuleGoal(
        function=module.function,
        index=module.index,
        version=module.version,
        hash=module.sha256.hex() if module.function == USER_PART else "",
        product_version=module.product_version,
    )


def _level(module: Module) -> tuple[int, int]:
    if module.function == ASSET:
        return _HIGHEST_LEVEL + 1, 0
    return _LEVELS.get(module.function, _HIGHEST_LEVEL), module.index


def _check_platform(payload: Payload, device: Device) -> None:
    if payload.cause is Cause.ASSET:
        return
    for module in payload.modules:
        if device.platform_id is not None and module.platform_id != device.platform_id:
            raise NotFlashableError(
                f"{payload.name} is made for {_platform(module.platform_id)}, and the device is"
                f" {_platform(device.platform_id)}."
            )


def _check_simulated(payload: Payload, device: Device) -> None:
    if is_simulated_device(device.id):
        return
    for module in payload.modules:
        plain = module
        if module.is_compressed:
            try:
                plain = split_modules(decompress_module(module.data))[0]
            except MalformedError as error:
                raise NotFlashableError(f"{payload.name} cannot be flashed: {error}.") from error
        if is_image(plain.body):
            raise NotFlashableError(
                f"{payload.name} is an application for simulated devices, which a board cannot run."
                " Compile it for the board."
            )


def _takes_assets(device: Device, limits: UpdateLimits) -> bool:
    version = device.system_version
    return limits.is_current and (version is None or version >= FIRST_WITH_ASSETS)


def _and_has(device: Device) -> str:
    if device.system_version is None:
        return ""
    return f", and it runs {release_of(device.system_version)}"


def _platform(platform_id: int) -> str:
    return f"platform {platform_id} ({platform_name(platform_id)})"
