"""The attempts of all devices: begun, brought forward by facts, ended at their deadlines."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

import structlog

from cyan.core.bus import Bus
from cyan.core.ids import DeviceId, UserId
from cyan.devices.model import (
    DeviceClaimed,
    DeviceDescribed,
    DeviceReleased,
    DeviceStarted,
    UpdatesSwitched,
)
from cyan.devices.presence import DeviceOnline, DeviceResumed
from cyan.devices.registry import find_device
from cyan.firmware.driving import (
    FAILED,
    FLASH_EVENT,
    OFFLINE,
    PENDING_EVENT,
    Drive,
    Means,
    is_switched_off,
)
from cyan.firmware.model import (
    Attempt,
    AttemptEndedError,
    Cause,
    NewAttempt,
    Reason,
    State,
)

BEGIN_MS: Final = 60_000
"""For what a person sent to a connected device to begin, counting a restart of the server: nobody
expects it any more later."""

WAIT_MS: Final = 24 * 3600 * 1000
"""For everything else to get to the device, from its last change on; ours."""

VERIFY_MS: Final = 600_000
"""For a device to restart and tell what it runs: firmware may hold its restart back, and a board
that updates its boot loader too takes some minutes (platform-semantics.md §9.8, 9.9)."""

SWEEP_S: Final = 20.0
"""Between two looks for deadlines that have passed."""

SETTLE_MS: Final = 30_000
"""A device that has a whole file is about to restart with it: nothing new begins meanwhile."""

MAY_RUN: Final = "The device had the whole file by then, and may run it."
"""Of an attempt that is ended when nothing can hold the device back any more: the legacy protocol
has no word for it, and after its confirmation no device listens to one."""

_HAS_ALL: Final = frozenset({State.SENT, State.VERIFYING})

_log = structlog.get_logger(__name__)


class Attempts:
    """Used on the loop only. `start` once devices can connect; `close` before the gateway stops."""

    def __init__(self, means: Means, bus: Bus) -> None:
        self._means = means
        self._bus = bus
        self.records = means.records
        # Devices for which something is still to be done: most facts are about none of them.
        self._open: set[DeviceId] = set()
        self._drives: dict[DeviceId, Drive] = {}
        self._tasks: dict[DeviceId, asyncio.Task[None]] = {}
        self._begun: dict[str, list[asyncio.Future[Attempt]]] = {}
        self._is_closed = False

    # -- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Go on with what was under way, and listen to facts."""
        bus = self._bus
        bus.subscribe(DeviceOnline, lambda fact: self._on_start(fact.device_id))
        bus.subscribe(DeviceStarted, lambda fact: self._on_start(fact.device_id))
        bus.subscribe(DeviceResumed, self._on_resumed)
        bus.subscribe(DeviceDescribed, self._on_described)
        bus.subscribe(UpdatesSwitched, lambda fact: self._wake_open(fact.device_id))
        bus.subscribe(DeviceReleased, lambda fact: self._on_owner(fact.device_id))
        bus.subscribe(DeviceClaimed, self._on_claimed)
        self._open.update(self.records.open_devices())
        for device_id in self._open:
            self._wake(device_id)
        if self._open:
            _log.info("updates.go_on", devices=len(self._open))

    async def run(self) -> None:
        """End what has passed its deadline, for as long as the server runs."""
        self.start()
        try:
            while True:
                await asyncio.sleep(SWEEP_S)
                try:
                    await self.sweep()
                except Exception:
                    _log.exception("updates.sweep_failed")
        finally:
            await self.close()

    async def close(self) -> None:
        """Stop; rows stay as they are."""
        self._is_closed = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- what can be done ----------------------------------------------------------------------

    async def add(
        self, device_id: DeviceId, user_id: UserId | None, news: Sequence[NewAttempt]
    ) -> list[Attempt]:
        """Send these files to a device, one after the other. What still waits for it gives way."""
        for each in self.records.open_of(device_id):
            with contextlib.suppress(AttemptEndedError):
                await self.cancel(each, Reason.SUPERSEDED, "Something newer is sent to the device.")
        made = await self.records.add(device_id, user_id, news)
        self._open.add(device_id)
        self._wake(device_id)
        return made

    def is_busy(self, device_id: DeviceId) -> bool:
        """Whether an update of the device runs, or has run just now."""
        drive = self._drives.get(device_id)
        if drive is not None and drive.is_sending:
            return True
        since_ms = self._means.clock.now_ms() - SETTLE_MS
        return any(
            each.state in _HAS_ALL and each.changed_at_ms > since_ms
            for each in self.records.open_of(device_id)
        )

    def takes_no_updates(self, device_id: DeviceId) -> bool:
        """Whether the application on the device has switched updates off, and nobody forces it."""
        device = find_device(self._means.db, device_id)
        return device is not None and is_switched_off(device)

    async def begun(self, attempt: Attempt, within_s: float) -> Attempt:
        """The attempt once bytes flow, it has ended, or something keeps it from going on.

        Raises TimeoutError.
        """
        news: asyncio.Future[Attempt] = asyncio.get_running_loop().create_future()
        waiting = self._begun.setdefault(attempt.id, [])
        waiting.append(news)
        try:
            now = self.records.get(attempt.device_id, attempt.id)
            if _has_news(now):
                return now
            async with asyncio.timeout(within_s):
                return await news
        finally:
            waiting.remove(news)
            if not waiting:
                self._begun.pop(attempt.id, None)

    async def cancel(
        self, attempt: Attempt, reason: Reason, detail: str, by: UserId | None = None
    ) -> Attempt:
        """End an attempt. Raises AttemptEndedError."""
        while True:
            now = self.records.get(attempt.device_id, attempt.id)
            if not now.is_open:
                raise AttemptEndedError
            why = f"{detail} {MAY_RUN}" if now.state in _HAS_ALL else detail
            # It may move on meanwhile.
            failed = await self.records.fail(now, reason, why, by=by)
            if failed is not None:
                break
        device_id = attempt.device_id
        drive = self._drives.get(device_id)
        if drive is not None and drive.is_sending and now.state is not State.QUEUED:
            self._means.link.cancel_update(device_id)
        if now.tries:
            self._means.emit(FLASH_EVENT, FAILED, device_id, self._means.owner_of(device_id))
        if not self.records.open_of(device_id):
            self._means.tell(device_id, PENDING_EVENT, b"false")
        self._on_news(failed)
        self._wake(device_id)
        return failed

    async def sweep(self) -> None:
        """End what has passed its deadline, and go on where a fact was lost."""
        now_ms = self._means.clock.now_ms()
        for device_id in self._open - self._drives.keys():
            if self._means.is_online(device_id):
                self._wake(device_id)
        for attempt in self.records.unchanged_since(now_ms - min(BEGIN_MS, VERIFY_MS, WAIT_MS)):
            late = _lateness(attempt, now_ms)
            if late is not None:
                await self._expire(attempt, *late)

    # -- facts ---------------------------------------------------------------------------------

    def _on_start(self, device_id: DeviceId) -> None:
        drive = self._drives.get(device_id)
        if drive is not None:
            drive.on_start()
        else:
            self._wake_open(device_id)

    def _on_resumed(self, fact: DeviceResumed) -> None:
        drive = self._drives.get(fact.device_id)
        if drive is not None:
            drive.on_resumed()
        else:
            self._wake_open(fact.device_id)

    def _on_described(self, fact: DeviceDescribed) -> None:
        drive = self._drives.get(fact.device_id)
        if drive is None and (fact.device_id in self._open or not fact.is_fit):
            drive = self._wake(fact.device_id)
        if drive is not None:
            drive.on_describe(fact.system, fact.is_fit)

    def _on_claimed(self, fact: DeviceClaimed) -> None:
        if fact.previous is not None and fact.previous != fact.user_id:
            self._on_owner(fact.device_id)

    def _on_owner(self, device_id: DeviceId) -> None:
        """What somebody began is not for the next one."""
        if device_id in self._open:
            task = asyncio.ensure_future(self._release(device_id))
            self._tasks[DeviceId(f"{device_id} released")] = task
            task.add_done_callback(
                lambda _: self._tasks.pop(DeviceId(f"{device_id} released"), None)
            )

    async def _release(self, device_id: DeviceId) -> None:
        for attempt in self.records.open_of(device_id):
            if attempt.cause is not Cause.REPAIR:
                with contextlib.suppress(AttemptEndedError):
                    await self.cancel(attempt, Reason.RELEASED, "The device has another owner.")

    # -- drives --------------------------------------------------------------------------------

    def _wake_open(self, device_id: DeviceId) -> None:
        if device_id in self._open:
            self._wake(device_id)

    def _wake(self, device_id: DeviceId) -> Drive | None:
        if self._is_closed:
            return None
        drive = self._drives.get(device_id)
        if drive is None:
            drive = self._drives[device_id] = Drive(self._means, self._on_news, device_id)
            self._tasks[device_id] = asyncio.ensure_future(self._drive(device_id, drive))
        drive.wake()
        return drive

    async def _drive(self, device_id: DeviceId, drive: Drive) -> None:
        try:
            await drive.run()
        finally:
            del self._drives[device_id], self._tasks[device_id]
        if self.records.open_of(device_id):
            self._open.add(device_id)
        else:
            self._open.discard(device_id)

    def _on_news(self, attempt: Attempt) -> None:
        for waiting in self._begun.get(attempt.id, ()):
            if not waiting.done() and _has_news(attempt):
                waiting.set_result(attempt)

    async def _expire(self, attempt: Attempt, reason: Reason, why: str) -> None:
        failed = await self.records.fail(attempt, reason, why)
        if failed is None:
            return
        if attempt.tries:
            self._means.emit(
                FLASH_EVENT, FAILED, attempt.device_id, self._means.owner_of(attempt.device_id)
            )
        drive = self._drives.get(attempt.device_id)
        if drive is not None and drive.is_sending:
            self._means.link.cancel_update(attempt.device_id)
        self._on_news(failed)
        self._wake(attempt.device_id)


def _has_news(attempt: Attempt) -> bool:
    """Whether it has begun, ended, or is kept from going on."""
    return attempt.state not in (State.QUEUED, State.WAITING) or attempt.obstacle is not None


def _lateness(attempt: Attempt, now_ms: int) -> tuple[Reason, str] | None:
    """Why an attempt's time is over; None while it is not."""
    age_ms = now_ms - attempt.changed_at_ms
    if attempt.state is State.VERIFYING:
        if age_ms > VERIFY_MS:
            why = (
                "The device had the whole file, but did not report that it runs it within"
                f" {VERIFY_MS // 60_000} minutes."
            )
            found = "" if attempt.obstacle is None else f" {attempt.obstacle}"
            return Reason.NOT_VERIFIED, why + found
        return None
    is_flash = attempt.cause is Cause.FLASH and attempt.state in (State.QUEUED, State.WAITING)
    if is_flash and age_ms > BEGIN_MS and attempt.obstacle is not None:
        return Reason.OFFLINE if attempt.obstacle == OFFLINE else Reason.EXPIRED, attempt.obstacle
    if age_ms > WAIT_MS:
        why = attempt.obstacle or "Its turn did not come."
        return Reason.EXPIRED, f"It could not be sent within {WAIT_MS // 3_600_000} hours. {why}"
    return None
