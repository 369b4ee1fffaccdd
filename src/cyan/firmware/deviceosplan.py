"""What of Device OS a device in safe mode needs, and in which order: the lowest level first, one
module for each transfer (device-protocol.md section 5.8, platform-semantics.md section 9.8).

A device takes a module only when all that it needs itself is installed. Modules of real releases
need each other: the radio stack of 4.0.2 needs a system part of 1.3.1 or later, and the system part
of 4.0.2 that radio stack. A device with less gets a release between first, if one is here.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from cyan.devices.safemode import missing_modules
from cyan.firmware.deviceosmodel import SystemModule
from cyan.wire.describe import ModuleDependency, SystemDescribe
from cyan.wire.describe.system import (
    BOOTLOADER,
    MAIN,
    NCP_FIRMWARE,
    NO_FUNCTION,
    RADIO_STACK,
    SYSTEM_PART,
)

Candidates = Callable[[ModuleDependency], Sequence[SystemModule]]
"""The modules here that meet a dependency, the oldest first."""

_Place = tuple[int, int]
"""Function and index: a device has one module of each."""

_Installed = dict[_Place, int]

_LEVELS: Final = {BOOTLOADER: 0, RADIO_STACK: 1, NCP_FIRMWARE: 1}
_HIGHEST_LEVEL: Final = 2

_MAX_LOOKS: Final = 300
"""For modules, in one plan; ours. Real chains take a dozen; a device may say anything of itself."""


class Plan(msgspec.Struct, frozen=True):
    """`steps` in the order of sending. For what is `unavailable` there is no module here, or none
    that the device would take: the operator has to import another release."""

    steps: tuple[SystemModule, ...]
    unavailable: tuple[ModuleDependency, ...]


def plan_repair(describe: SystemDescribe, candidates: Candidates) -> Plan:
    """What is missing, from what is here."""
    installed = {
        (module.function, module.index): module.version
        for module in describe.modules
        if module.store == MAIN
    }
    steps: list[SystemModule] = []
    unavailable: dict[ModuleDependency, None] = {}
    reached: list[ModuleDependency] = []
    search = _Search(candidates)
    for needed in sorted(missing_modules(describe), key=_level):
        search.dead_ends.clear()
        found = search.reach(needed, _with(installed, steps), frozenset())
        if found is None:
            unavailable |= search.dead_ends or {needed: None}
        else:
            steps += found
            reached.append(needed)
    return Plan(tuple(_without_needless(steps, installed, reached)), tuple(unavailable))


class _Search:
    """The first way, with the oldest modules, that a device can go."""

    def __init__(self, candidates: Candidates) -> None:
        self._candidates = candidates
        self._looks = 0
        self.dead_ends: dict[ModuleDependency, None] = {}
        """What no module meets, or only one that is to follow itself."""

    def reach(
        self,
        needed: ModuleDependency,
        installed: _Installed,
        path: frozenset[tuple[_Place, int]],
    ) -> list[SystemModule] | None:
        """The modules after which a dependency is met; None when there is no way.

        On the `path` are those that are to follow, and so cannot go before.
        """
        if _is_met(needed, installed):
            return []
        if self._looks == _MAX_LOOKS:
            return None
        self._looks += 1
        place = (needed.function, needed.index)
        before_it = [
            module for module in self._candidates(needed) if (place, module.version) not in path
        ]
        for module in before_it:
            steps = self._before(module, installed, path | {(place, module.version)})
            if steps is not None:
                is_met = _is_met(needed, _with(installed, steps))
                return steps if is_met else [*steps, module]
        if not before_it:
            self.dead_ends[needed] = None
        return None

    def _before(
        self,
        module: SystemModule,
        installed: _Installed,
        path: frozenset[tuple[_Place, int]],
    ) -> list[SystemModule] | None:
        """What has to go before a module, lowest level first."""
        steps: list[SystemModule] = []
        for needed in sorted(module.dependencies, key=_level):
            found = self.reach(needed, _with(installed, steps), path)
            if found is None:
                return None
            steps += found
        return steps


def _without_needless(
    steps: list[SystemModule], installed: _Installed, reached: Sequence[ModuleDependency]
) -> list[SystemModule]:
    """Without those that the others go without: a later one of the same place may do for both."""
    for step in tuple(steps):
        fewer = [each for each in steps if each is not step]
        if _is_way(fewer, installed, reached):
            steps = fewer
    return steps


def _is_way(
    steps: Sequence[SystemModule], installed: _Installed, reached: Sequence[ModuleDependency]
) -> bool:
    """Whether a device takes each of them, and has then what was to be reached."""
    for number, step in enumerate(steps):
        there = _with(installed, steps[:number])
        if not all(_is_met(needed, there) for needed in step.dependencies):
            return False
    return all(_is_met(needed, _with(installed, steps)) for needed in reached)


def _is_met(needed: ModuleDependency, installed: _Installed) -> bool:
    """As missing_modules decides: not every describe lists boot loaders, radio stacks and network
    processors, so that one that is not listed counts as good."""
    if needed.function == NO_FUNCTION:
        return True
    version = installed.get((needed.function, needed.index))
    return needed.function != SYSTEM_PART if version is None else version >= needed.version


def _with(installed: _Installed, steps: Sequence[SystemModule]) -> _Installed:
    return installed | {(each.function, each.index): each.version for each in steps}


def _level(needed: ModuleDependency) -> tuple[int, int]:
    return _LEVELS.get(needed.function, _HIGHEST_LEVEL), needed.index
