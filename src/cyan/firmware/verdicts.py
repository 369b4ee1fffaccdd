"""What a device's words mean for an update: its error numbers, and the modules that it reports."""

from typing import Final

from cyan.firmware.model import ModuleGoal
from cyan.wire.describe import Module, SystemDescribe
from cyan.wire.describe.system import ASSET, MAIN, USER_PART
from cyan.wire.module import FUNCTION_NAMES

UPDATES_DISABLED: Final = -1380
"""The application does not take updates now (device-protocol.md §5.6)."""

DAMAGED: Final = frozenset({-1330, -1331})
"""What arrived is not what was sent."""

_SENTENCES: Final = {
    -190: "The file is too large for the device.",
    -210: "The device was not in a state to take the update; another one may have been running.",
    -219: "The device could not write its flash memory.",
    -240: "The device did not understand a message of the update.",
    -260: "The device had not enough memory for the update.",
    -1300: "The device found no firmware module in the file.",
    -1310: "The device does not take modules of this kind.",
    -1320: "The device found the module invalid.",
    -1330: "The module arrived damaged: its checksum is wrong.",
    -1331: "The pieces of a resumed update do not fit together; start it again.",
    -1340: "The module needs another version of Device OS or of the boot loader.",
    -1350: "The module is made for another place in the device's memory, or too large for its own.",
    -1351: "The module has the wrong size for the device.",
    -1360: "The module is made for another platform.",
    -1370: "The module has a form that the device does not take.",
    UPDATES_DISABLED: "The application on the device does not take updates now.",
    -1390: "The device could not update itself.",
    -1801: "Update denied - device protection active",
}
"""By the error number of Device OS (device-protocol.md §5.6). Clients know the last one
(rest-api-core.md §8.5)."""


def sentence_of(code: int | None, said: str) -> str:
    """Why a device refused, for people; `said` where its number tells nothing."""
    if code is None:
        return said
    known = _SENTENCES.get(code)
    return f"The device refused with error {code}." if known is None else f"{known} ({code})"


def is_met(goal: ModuleGoal, system: SystemDescribe) -> bool:
    """Whether a device that describes itself so has what an update was to bring."""
    if goal.function == ASSET:
        return any(asset.hash.hex() == goal.hash for asset in system.assets)
    found = _find(goal, system)
    if found is None:
        return False
    if goal.function == USER_PART and goal.hash and found.hash is not None:
        return found.hash.hex() == goal.hash
    # Only applications are described with a hash (§3.3.3).
    return found.version == goal.version


def report_of(goal: ModuleGoal, system: SystemDescribe) -> str:
    """What the device has instead, for people."""
    if goal.function == ASSET:
        return f"the device has {len(system.assets)} assets and {goal.name!r} is not one of them"
    found = _find(goal, system)
    name = FUNCTION_NAMES.get(goal.function, f"function {goal.function}")
    if found is None:
        return f"the device reports no {name} {goal.index}"
    told = f"the device reports {name} {goal.index} version {found.version}"
    return told if found.hash is None else f"{told} with the SHA-256 {found.hash.hex()}"


def _find(goal: ModuleGoal, system: SystemDescribe) -> Module | None:
    for module in system.modules:
        if (
            module.store == MAIN
            and module.function == goal.function
            # Some firmware numbers its only user part 1, some 0 or 2.
            and (module.index == goal.index or goal.function == USER_PART)
        ):
            return module
    return None
