"""The system describe as protobuf `particle.cloud.SystemDescribe` (device-protocol.md 3.3.3)."""

from collections.abc import Sized

from cyan.wire.describe.system import (
    MAX_ASSETS,
    MAX_DEPENDENCIES,
    MAX_HASH,
    MAX_MODULES,
    MAX_TEXT,
    Asset,
    Module,
    ModuleDependency,
    ModuleSecurity,
    SystemDescribe,
)
from cyan.wire.errors import MalformedError
from cyan.wire.protobuf.reader import Field, read_fields
from cyan.wire.protobuf.writer import (
    bytes_field,
    fixed32_field,
    optional_bytes_field,
    uint_field,
)


def decode_system_protobuf(data: bytes) -> SystemDescribe:
    """Reads the message; fields that we do not know are skipped."""
    modules: list[Module] = []
    assets: list[Asset] = []
    texts: dict[int, str] = {}
    protected = False
    env_vars_hash = None
    for field in read_fields(data):
        match field.number:
            case 1:
                modules.append(_decode_module(field.raw()))
            case 2 | 3 | 4:
                texts[field.number] = _text(field)
            case 5:
                assets.append(_decode_asset(field.raw()))
            case 6:
                protected = field.uint() != 0
            case 7:
                env_vars_hash = _hash(field)
    _check_count(modules, MAX_MODULES, "modules")
    _check_count(assets, MAX_ASSETS, "assets")
    return SystemDescribe(
        modules=tuple(modules),
        imei=texts.get(2),
        iccid=texts.get(3),
        modem_firmware_version=texts.get(4),
        assets=tuple(assets),
        protected=protected,
        env_vars_hash=env_vars_hash,
    )


def encode_system_protobuf(describe: SystemDescribe) -> bytes:
    """Writes the message as firmware does: in order of field numbers, defaults left out."""
    parts = [bytes_field(1, _encode_module(module)) for module in describe.modules]
    texts = (describe.imei, describe.iccid, describe.modem_firmware_version)
    for number, text in enumerate(texts, 2):
        parts.append(optional_bytes_field(number, None if text is None else text.encode()))
    parts += [bytes_field(5, _encode_asset(asset)) for asset in describe.assets]
    parts.append(uint_field(6, describe.protected))
    parts.append(optional_bytes_field(7, describe.env_vars_hash))
    return b"".join(parts)


def _decode_module(data: bytes) -> Module:
    numbers: dict[int, int] = {}
    hash_ = None
    dependencies: list[ModuleDependency] = []
    asset_dependencies: list[Asset] = []
    security = None
    for field in read_fields(data):
        match field.number:
            case 1 | 2 | 3 | 4 | 5 | 6 | 7 | 11:
                numbers[field.number] = field.uint()
            case 8:
                hash_ = _hash(field)
            case 9:
                dependencies.append(_decode_dependency(field.raw()))
            case 10:
                asset_dependencies.append(_decode_asset(field.raw()))
            case 12:
                security = _decode_security(field.raw())
    _check_count(dependencies, MAX_DEPENDENCIES, "dependencies")
    _check_count(asset_dependencies, MAX_ASSETS, "asset dependencies")
    return Module(
        function=numbers.get(1, 0),
        index=numbers.get(2, 0),
        version=numbers.get(3, 0),
        store=numbers.get(4, 0),
        max_size=numbers.get(5, 0),
        checked=numbers.get(6, 0),
        passed=numbers.get(7, 0),
        hash=hash_,
        dependencies=tuple(dependencies),
        asset_dependencies=tuple(asset_dependencies),
        size=numbers.get(11, 0),
        security=security,
    )


def _encode_module(module: Module) -> bytes:
    security = None if module.security is None else _encode_security(module.security)
    return b"".join(
        (
            uint_field(1, module.function),
            uint_field(2, module.index),
            uint_field(3, module.version),
            uint_field(4, module.store),
            uint_field(5, module.max_size),
            fixed32_field(6, module.checked),
            fixed32_field(7, module.passed),
            optional_bytes_field(8, module.hash),
            *(bytes_field(9, _encode_dependency(value)) for value in module.dependencies),
            *(bytes_field(10, _encode_asset(value)) for value in module.asset_dependencies),
            uint_field(11, module.size),
            optional_bytes_field(12, security),
        )
    )


def _decode_dependency(data: bytes) -> ModuleDependency:
    numbers = {field.number: field.uint() for field in read_fields(data) if field.number <= 3}
    return ModuleDependency(numbers.get(1, 0), numbers.get(2, 0), numbers.get(3, 0))


def _encode_dependency(value: ModuleDependency) -> bytes:
    return uint_field(1, value.function) + uint_field(2, value.index) + uint_field(3, value.version)


def _decode_asset(data: bytes) -> Asset:
    hash_, name, numbers = b"", "", {3: 0, 4: 0}
    for field in read_fields(data):
        match field.number:
            case 1:
                hash_ = _hash(field)
            case 2:
                name = _text(field)
            case 3 | 4:
                numbers[field.number] = field.uint()
    return Asset(hash_, name, numbers[3], numbers[4])


def _encode_asset(asset: Asset) -> bytes:
    return b"".join(
        (
            bytes_field(1, asset.hash),
            bytes_field(2, asset.name.encode()),
            uint_field(3, asset.size),
            uint_field(4, asset.storage_size),
        )
    )


def _decode_security(data: bytes) -> ModuleSecurity:
    mode, fingerprint = 0, b""
    for field in read_fields(data):
        match field.number:
            case 1:
                mode = field.uint()
            case 2:
                fingerprint = _hash(field)
    return ModuleSecurity(mode, fingerprint)


def _encode_security(security: ModuleSecurity) -> bytes:
    fingerprint = security.certificate_fingerprint
    return uint_field(1, security.mode) + optional_bytes_field(2, fingerprint or None)


def _hash(field: Field) -> bytes:
    value = field.raw()
    if len(value) > MAX_HASH:
        raise MalformedError(f"hash of {len(value)} bytes")
    return value


def _text(field: Field) -> str:
    if len(field.raw()) > MAX_TEXT:
        raise MalformedError(f"describe text of {len(field.raw())} bytes")
    return field.text()


def _check_count(values: Sized, bound: int, what: str) -> None:
    if len(values) > bound:
        raise MalformedError(f"describe with {len(values)} {what}")
