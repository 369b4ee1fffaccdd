"""Helping a device out of safe mode: the next module that its application needs, from what the
operator imported (device-protocol.md §5.8)."""

from typing import Final, Protocol

import structlog

from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.core.ids import DeviceId, UserId
from cyan.devices.ownership import Ownership
from cyan.devices.registry import find_device
from cyan.firmware.deviceos import DeviceOs
from cyan.firmware.model import Cause, ModuleGoal, NewAttempt
from cyan.firmware.records import Records
from cyan.wire.describe import SystemDescribe

UPDATING_EVENT: Final = "spark/safe-mode-updater/updating"
"""Its data is the index of the module; it comes from the cloud itself (rest-api-core.md §11)."""

MAX_FAILED: Final = 3
FAILED_WITHIN_MS: Final = 24 * 3600 * 1000
"""So many failed repairs in this time, and no more until somebody flashes the device; ours."""

_log = structlog.get_logger(__name__)


class Emit(Protocol):
    """A system event for the streams of people; `EventService.emit`."""

    def __call__(
        self, name: str, data: bytes | None, device_id: DeviceId | None, owner_id: UserId | None
    ) -> None: ...


class Repair:
    """Chooses; `Attempts` sends. One module at a time: after each the device restarts and describes
    itself anew."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        records: Records,
        deviceos: DeviceOs,
        ownership: Ownership,
        emit: Emit,
    ) -> None:
        self._db = db
        self._clock = clock
        self._records = records
        self._deviceos = deviceos
        self._ownership = ownership
        self._emit = emit

    async def next(self, device_id: DeviceId, system: SystemDescribe) -> NewAttempt | None:
        """What the device needs next; None when nothing can be done, which is logged."""
        device = find_device(self._db, device_id)
        if device is None or device.platform_id is None:
            return None
        plan = self._deviceos.plan_repair(system, device.platform_id)
        if not plan.steps:
            if plan.unavailable:
                _log.warning(
                    "repair.modules_missing",
                    device_id=device_id,
                    platform_id=device.platform_id,
                    missing=[_told(each.function, each.index, each.version)
                             for each in plan.unavailable],
                )  # fmt: skip
            return None
        since_ms = self._clock.now_ms() - FAILED_WITHIN_MS
        failed = self._records.failed_repairs(device_id, since_ms)
        if failed >= MAX_FAILED:
            _log.warning("repair.given_up", device_id=device_id, failed=failed)
            return None
        step = plan.steps[0]
        owner_id = self._ownership.owner_of(device_id)
        self._emit(UPDATING_EVENT, str(step.index).encode(), None, owner_id)
        return NewAttempt(
            cause=Cause.REPAIR,
            file_name=step.file_name,
            image_sha256=step.image.sha256,
            size_bytes=step.image.size_bytes,
            goal=ModuleGoal(function=step.function, index=step.index, version=step.version),
        )


def _told(function: int, index: int, version: int) -> str:
    return f"function {function} index {index} version {version}"
