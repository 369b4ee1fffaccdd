"""What of Device OS a device in safe mode needs, and in which order: the lowest level first, one
module for each transfer (device-protocol.md section 5.8, platform-semantics.md section 9.8)."""

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from cyan.devices.safemode import missing_modules
from cyan.firmware.deviceosmodel import SystemModule
from cyan.wire.describe import ModuleDependency, SystemDescribe
from cyan.wire.describe.system import (
    BOOTLOADER,
    MAIN,
    MAX_MODULES,
    NCP_FIRMWARE,
    NO_FUNCTION,
    RADIO_STACK,
    SYSTEM_PART,
)

Find = Callable[[ModuleDependency], SystemModule | None]
_Place = tuple[int, int]
"""Function and index: what a device has one module of."""

_LEVELS: Final = {BOOTLOADER: 0, RADIO_STACK: 1, NCP_FIRMWARE: 1}
_HIGHEST_LEVEL: Final = 2

_MAX_ROUNDS: Final = 4 * MAX_MODULES
"""Modules that are chosen, each anew when another one needs a later version of it."""


class Plan(msgspec.Struct, frozen=True):
    """`steps` in the order of sending; what is `unavailable` here, the operator has to import.

    A step that cannot be accepted, because it needs something unavailable, is left out.
    """

    steps: tuple[SystemModule, ...]
    unavailable: tuple[ModuleDependency, ...]


def plan_repair(describe: SystemDescribe, find: Find) -> Plan:
    """`find` gives the module that meets a dependency, or None."""
    installed = {
        (module.function, module.index): module.version
        for module in describe.modules
        if module.store == MAIN
    }
    wanted = list(missing_modules(describe))
    chosen: dict[_Place, SystemModule] = {}
    unavailable: dict[ModuleDependency, None] = {}
    for _ in range(_MAX_ROUNDS):
        if not wanted:
            break
        needed = wanted.pop()
        place = (needed.function, needed.index)
        if place in chosen and chosen[place].version >= needed.version:
            continue
        found = find(needed)
        if found is None:
            unavailable[needed] = None
            continue
        chosen[place] = found
        wanted += [each for each in found.dependencies if not _is_met(each, installed)]
    return Plan(_in_order(_acceptable(chosen, installed), installed), tuple(unavailable))


def _is_met(needed: ModuleDependency, installed: dict[_Place, int]) -> bool:
    """As missing_modules decides: not every describe lists boot loaders, radio stacks and network
    processors, so that one that is not listed counts as good."""
    if needed.function == NO_FUNCTION:
        return True
    version = installed.get((needed.function, needed.index))
    return needed.function != SYSTEM_PART if version is None else version >= needed.version


def _acceptable(
    chosen: dict[_Place, SystemModule], installed: dict[_Place, int]
) -> list[SystemModule]:
    """Those whose dependencies are there when all others of them are."""
    left = dict(chosen)
    while True:
        there = installed | {place: module.version for place, module in left.items()}
        refused = [place for place, module in left.items() if not _all_met(module, there)]
        if not refused:
            return list(left.values())
        for place in refused:
            del left[place]


def _in_order(
    modules: Iterable[SystemModule], installed: dict[_Place, int]
) -> tuple[SystemModule, ...]:
    """By level, but none before what it needs itself."""
    left = sorted(
        modules,
        key=lambda module: (_LEVELS.get(module.function, _HIGHEST_LEVEL), module.index),
    )
    there = dict(installed)
    ordered: list[SystemModule] = []
    while left:
        step = next((module for module in left if _all_met(module, there)), left[0])
        left.remove(step)
        ordered.append(step)
        there[(step.function, step.index)] = step.version
    return tuple(ordered)


def _all_met(module: SystemModule, installed: dict[_Place, int]) -> bool:
    return all(_is_met(each, installed) for each in module.dependencies)
