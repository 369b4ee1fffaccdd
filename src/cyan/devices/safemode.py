"""Safe mode: a device runs its system but not its application, because something is missing that
the application needs (platform-semantics.md §9.8, device-protocol.md §5.8).

Firmware marks a module whose dependencies are not met, but not always: the host build calls all of
them valid even then. So the dependencies are compared with what is installed here too.
"""

from typing import Final

from cyan.wire.describe import Asset, Module, ModuleDependency, SystemDescribe
from cyan.wire.describe.system import (
    DEPENDENCIES,
    MAIN,
    MONOLITHIC,
    NO_FUNCTION,
    SYSTEM_PART,
    USER_PART,
)

_BOOTED: Final = (SYSTEM_PART, USER_PART, MONOLITHIC)
"""What has to be complete for the application to run. An old image in another slot has not."""


def is_safe_mode(describe: SystemDescribe) -> bool:
    """Whether a device that describes itself like this cannot run its application."""
    return (
        any(_is_marked(module) for module in _booted(describe))
        or bool(missing_modules(describe))
        or bool(missing_assets(describe))
    )


def missing_modules(describe: SystemDescribe) -> tuple[ModuleDependency, ...]:
    """The modules that are not installed in the version that another one needs, each once."""
    installed = {
        (module.function, module.index): module.version
        for module in describe.modules
        if module.store == MAIN
    }
    has_parts = any(function == SYSTEM_PART for function, _ in installed)
    found: dict[ModuleDependency, None] = {}
    for module in _booted(describe):
        for needed in module.dependencies:
            version = installed.get((needed.function, needed.index))
            if needed.function == NO_FUNCTION:
                continue  # the empty place in a suffix with room for two
            if version is None:
                # Not every describe lists bootloaders, radio stacks and network processors; all
                # list the parts of the system, so that one that is not there is missing.
                is_missing = needed.function == SYSTEM_PART and has_parts
            else:
                is_missing = version < needed.version
            if is_missing:
                found[needed] = None
    return tuple(found)


def missing_assets(describe: SystemDescribe) -> tuple[Asset, ...]:
    """The assets of the application that the device has not stored yet."""
    stored = {asset.hash for asset in describe.assets}
    return tuple(
        asset
        for module in _booted(describe)
        for asset in module.asset_dependencies
        if asset.hash not in stored
    )


def _booted(describe: SystemDescribe) -> list[Module]:
    return [
        module for module in describe.modules if module.store == MAIN and module.function in _BOOTED
    ]


def _is_marked(module: Module) -> bool:
    """The device itself says that the module's dependencies are not met."""
    return bool(module.checked & ~module.passed & DEPENDENCIES)
