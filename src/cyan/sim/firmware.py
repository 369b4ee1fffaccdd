"""What a device runs: its modules, and what the application says of itself.

A device that was never updated runs what its board came with, and holds no value of this for it.
"""

from typing import Final

import msgspec

from cyan.sim.boards import Board
from cyan.sim.generations import GENERATIONS, Generation
from cyan.sim.platforms import Platform
from cyan.wire.describe import Module, ModuleDependency
from cyan.wire.describe.system import (
    DEPENDENCIES,
    MONOLITHIC,
    SYSTEM_PART,
    USER_PART,
    Asset,
)
from cyan.wire.messages import OTA_APPLIED, Hello

PRODUCT_ID_IS_PLATFORM: Final = 4000
"""From 4.0.0 on no product id is compiled in (device-protocol.md §3.2)."""
SAFE_MODE_TELLS_VERSION: Final = 6200
"""6.2.0 tells the product version of the application in safe mode too (§3.2)."""

_GEN_2: Final = 2


class Firmware(msgspec.Struct, frozen=True):
    """The firmware of a device that was updated.

    `body` is that of the user part where it is an image of the simulated platform: what the
    application does. `is_news` until the server has said Hello after an update, which firmware of
    Gen 1 and 2 tells by the flag 0x01.
    """

    modules: tuple[Module, ...]
    product_id: int | None = None
    product_version: int | None = None
    body: bytes | None = None
    assets: tuple[Asset, ...] = ()
    is_news: bool = False

    @property
    def needed_assets(self) -> tuple[Asset, ...]:
        """What the application needs."""
        return tuple(asset for module in self.modules for asset in module.asset_dependencies)

    @property
    def missing_assets(self) -> tuple[Asset, ...]:
        """What of it is not stored."""
        stored = {asset.hash for asset in self.assets}
        return tuple(asset for asset in self.needed_assets if asset.hash not in stored)

    @property
    def is_complete(self) -> bool:
        """Whether the application can run; else the device starts in safe mode (§5.8)."""
        users = (module for module in self.modules if module.function == USER_PART)
        return all(self.has(module.dependencies) for module in users) and not self.missing_assets

    def has(self, dependencies: tuple[ModuleDependency, ...]) -> bool:
        """Whether modules are there that satisfy all of these."""
        return all(map(self._has, dependencies))

    def _has(self, needed: ModuleDependency) -> bool:
        return any(
            (module.function, module.index) == (needed.function, needed.index)
            and module.version >= needed.version
            for module in self.modules
        )

    def find(self, function: int, index: int) -> Module | None:
        """The module that one of this function and index takes the place of. There is one
        application only, whatever its index (§8.3)."""
        for module in self.modules:
            if module.function == function and (function == USER_PART or module.index == index):
                return module
        return None

    def judged(self) -> "Firmware":
        """The same, the dependency check of the user part as it comes out now. A host build says
        that it passed whatever it finds (§5.8)."""
        return msgspec.structs.replace(self, modules=tuple(map(self._judge, self.modules)))

    def _judge(self, module: Module) -> Module:
        if module.function != USER_PART:
            return module
        passed = module.checked & ~(0 if self.has(module.dependencies) else DEPENDENCIES)
        return msgspec.structs.replace(module, passed=passed)

    @property
    def system_version(self) -> int | None:
        """The lowest version of the system's modules, as Hello tells it (§8.2)."""
        versions = [
            module.version
            for module in self.modules
            if module.function in (SYSTEM_PART, MONOLITHIC)
        ]
        return min(versions, default=None)


def generation_of(platform: Platform, firmware: Firmware, installed: Generation) -> Generation:
    """The generation whose ways firmware has: the newest that is not newer than its system, or the
    one that was `installed` at first where none is so old."""
    version = firmware.system_version
    known = [GENERATIONS[name] for name in platform.generations]
    old_enough = [one for one in known if version is not None and one.system_version <= version]
    return old_enough[-1] if old_enough else installed


def make_hello(
    board: Board, device_id: str, firmware: Firmware | None, *, is_in_safe_mode: bool
) -> Hello:
    """Hello of a board that runs this (§3.2); None is what it came with."""
    hello = board.hello(device_id)
    if firmware is None:
        return hello
    version = firmware.system_version or board.generation.system_version
    if board.generation.hello_tells_sizes:
        hello = msgspec.structs.replace(hello, system_version=version)
    if firmware.is_news and 0 < board.platform.gen <= _GEN_2:
        hello = msgspec.structs.replace(hello, flags=hello.flags | OTA_APPLIED)
    is_silent = is_in_safe_mode and (version < SAFE_MODE_TELLS_VERSION or not board.platform.gen)
    if is_silent or firmware.product_version is None:
        return hello
    product_id = board.platform.id
    tells_product = version < PRODUCT_ID_IS_PLATFORM and not is_in_safe_mode
    if tells_product and firmware.product_id is not None:
        product_id = firmware.product_id
    return msgspec.structs.replace(
        hello, product_id=product_id, product_version=firmware.product_version
    )
