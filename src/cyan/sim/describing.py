"""What a simulated board says of its modules and its vital signs."""

import hashlib
from typing import Final

from cyan.sim.platforms import SYSTEM_VERSION
from cyan.wire.describe import (
    Metric,
    Metrics,
    Module,
    ModuleDependency,
    SystemDescribe,
    encode_metrics,
)

# Modules of a Gen 3 board as the system describe names them (device-protocol.md §3.3.3, §7).
_BOOTLOADER, _SYSTEM_PART, _USER_PART = 2, 4, 5
_BOOTLOADER_VERSION: Final = 3001
_ALL_CHECKS: Final = 0x1E
_BOOTLOADER_BYTES: Final = 49_152
_SYSTEM_BYTES: Final = 671_744
_USER_BYTES: Final = 262_144

# Ids of the metrics describe (device-protocol.md §3.3.4).
_UPTIME, _RETRANSMITTED, _TOTAL_MEMORY, _USED_MEMORY = 6, 21, 25, 26
_MEMORY_BYTES: Final = 171_000


def system_describe(device_id: str) -> SystemDescribe:
    """A bootloader, Device OS and an application, all in order; the application's hash is the
    device's own, over all its boots."""

    def module(
        function: int, index: int, version: int, size: int, depends_on: ModuleDependency | None
    ) -> Module:
        return Module(
            function=function,
            index=index,
            version=version,
            max_size=size,
            checked=_ALL_CHECKS,
            passed=_ALL_CHECKS,
            hash=app_hash if function == _USER_PART else None,
            dependencies=() if depends_on is None else (depends_on,),
        )

    app_hash = hashlib.sha256(f"cyan.sim/application/{device_id}".encode()).digest()
    bootloader = ModuleDependency(_BOOTLOADER, 0, _BOOTLOADER_VERSION)
    device_os = ModuleDependency(_SYSTEM_PART, 1, SYSTEM_VERSION)
    return SystemDescribe(
        (
            module(_BOOTLOADER, 0, _BOOTLOADER_VERSION, _BOOTLOADER_BYTES, None),
            module(_SYSTEM_PART, 1, SYSTEM_VERSION, _SYSTEM_BYTES, bootloader),
            module(_USER_PART, 1, 6, _USER_BYTES, device_os),
        )
    )


def metrics(uptime_s: float, retransmissions: int) -> bytes:
    """The vital signs, as the metrics describe has them."""
    values = {
        _UPTIME: int(uptime_s),
        _RETRANSMITTED: retransmissions,
        _TOTAL_MEMORY: _MEMORY_BYTES,
        _USED_MEMORY: _MEMORY_BYTES // 2,
    }
    return encode_metrics(Metrics(tuple(Metric(id_, value) for id_, value in values.items())))
