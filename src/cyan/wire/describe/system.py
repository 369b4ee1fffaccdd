"""The system describe: which modules a device runs (device-protocol.md section 3.3.3).

Firmware from 5.5 on sends it as protobuf (`system_protobuf`), older as JSON (`system_json`).
"""

from typing import Final

import msgspec

NO_FUNCTION: Final = 0
RESOURCE: Final = 1
BOOTLOADER: Final = 2
MONOLITHIC: Final = 3
SYSTEM_PART: Final = 4
USER_PART: Final = 5
SETTINGS: Final = 6
NCP_FIRMWARE: Final = 7
RADIO_STACK: Final = 8
ASSET: Final = 9
"""Module functions (section 7.1)."""

MAIN: Final = 0
FACTORY: Final = 1
BACKUP: Final = 2
SCRATCHPAD: Final = 3
"""Where a module is stored."""

FUNCTION_LETTERS: Final = "nrbmsu_ca_"
"""By module function. Settings and assets are both `_` (section 7.1)."""

STORE_LETTERS: Final = "mfbt"
"""By store: main, factory, backup, scratchpad."""

OTHER_LETTER: Final = "_"

INTEGRITY: Final = 0x02
DEPENDENCIES: Final = 0x04
RANGE: Final = 0x08
PLATFORM: Final = 0x10
"""Validity checks, as bits of `checked` and `passed`."""

MAX_MODULES: Final = 32
MAX_DEPENDENCIES: Final = 16
"""A module's suffix has two; extensions may add more (section 7.2)."""
MAX_ASSETS: Final = 1024
"""The largest asset store has 512 blocks (section 5.5)."""
MAX_HASH: Final = 32
MAX_TEXT: Final = 128
"""Bytes of an IMEI, ICCID, modem version or asset name."""

HASH_BYTES: Final = 32


class ModuleDependency(msgspec.Struct, frozen=True):
    """A module of this function and index has to be there in at least this version."""

    function: int
    index: int = 0
    version: int = 0


class Asset(msgspec.Struct, frozen=True):
    """A stored or wanted asset: SHA-256 of the raw data, name, sizes in bytes (0 is not told)."""

    hash: bytes
    name: str
    size: int = 0
    storage_size: int = 0


class ModuleSecurity(msgspec.Struct, frozen=True):
    """Mode 0 none, 1 protected; the certificate's fingerprint."""

    mode: int = 0
    certificate_fingerprint: bytes = b""


class Module(msgspec.Struct, frozen=True):
    """One module. `hash` (SHA-256) is there for the user part only; sizes are in bytes."""

    function: int
    index: int = 0
    version: int = 0
    store: int = MAIN
    max_size: int = 0
    checked: int = 0
    passed: int = 0
    hash: bytes | None = None
    dependencies: tuple[ModuleDependency, ...] = ()
    asset_dependencies: tuple[Asset, ...] = ()
    size: int = 0
    security: ModuleSecurity | None = None

    @property
    def is_valid(self) -> bool:
        """Whether all checks that were made passed. A host build says so even in safe mode."""
        return self.checked == self.passed


class SystemDescribe(msgspec.Struct, frozen=True):
    """What a device is made of. `platform_id` is in the JSON form only; take it from Hello."""

    modules: tuple[Module, ...] = ()
    platform_id: int | None = None
    imei: str | None = None
    iccid: str | None = None
    modem_firmware_version: str | None = None
    assets: tuple[Asset, ...] = ()
    protected: bool = False
    env_vars_hash: bytes | None = None

    @property
    def app_hash(self) -> str | None:
        """SHA-256 of the user part as 64 hex digits, None when there is none."""
        for module in self.modules:
            if module.function == USER_PART and module.store == MAIN and module.hash is not None:
                return module.hash.hex()
        return None

    @property
    def system_version(self) -> int | None:
        """The version of the system part or, where all is one module, of that."""
        for module in self.modules:
            if module.function in (SYSTEM_PART, MONOLITHIC) and module.store == MAIN:
                return module.version
        return None

    def to_json(self, platform_id: int | None = None) -> dict[str, object]:
        """The JSON form (`p`, `m`, …) as REST clients and `spark/status/safe-mode` read it;
        `platform_id` stands in where the describe has none."""
        platform = self.platform_id if self.platform_id is not None else platform_id
        optional = {
            "p": platform,
            "imei": self.imei,
            "iccid": self.iccid,
            "cellfw": self.modem_firmware_version,
        }
        told: dict[str, object] = {
            key: value for key, value in optional.items() if value is not None
        }
        return told | {"m": [_module_json(module) for module in self.modules]}


def _module_json(module: Module) -> dict[str, object]:
    user_hash: dict[str, object] = {} if module.hash is None else {"u": module.hash.hex()}
    dependencies = [_identity_json(dependency) for dependency in module.dependencies]
    return {
        "s": module.max_size,
        "l": _letter(STORE_LETTERS, module.store),
        "vc": module.checked,
        "vv": module.passed,
        **user_hash,
        **_identity_json(module),
        "d": dependencies,
    }


def _identity_json(value: Module | ModuleDependency) -> dict[str, object]:
    return {
        "f": _letter(FUNCTION_LETTERS, value.function),
        "n": str(value.index),
        "v": value.version,
    }


def _letter(letters: str, value: int) -> str:
    return letters[value] if value < len(letters) else OTHER_LETTER
