"""Bringing firmware to one device: what is to be done for it, one thing after the other, until it
has reported that it runs it.

A drive lives while there is something to do now. Facts (the device came online, described itself,
takes updates again) wake it or begin a new one; where it is stands in the row of the attempt, so
that a restarted server goes on from there.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.core.ids import DeviceId, UserId
from cyan.core.ports import (
    DeviceBusyError,
    DeviceOfflineError,
    DeviceRefusedError,
    DeviceTimeoutError,
    FirmwareLink,
    Image,
    UpdateCancelledError,
    UpdateInterruptedError,
    UpdateStage,
)
from cyan.devices import description
from cyan.devices.model import Device
from cyan.devices.registry import find_device
from cyan.firmware.images import ImageLostError
from cyan.firmware.model import Attempt, Cause, NewAttempt, Reason, State, may_follow
from cyan.firmware.records import Records
from cyan.firmware.verdicts import DAMAGED, UPDATES_DISABLED, is_met, report_of, sentence_of
from cyan.wire.describe import SystemDescribe
from cyan.wire.module import NO_PRODUCT

FLASH_EVENT: Final = "spark/flash/status"
STARTED: Final = b"started "
SUCCESS: Final = b"success "
FAILED: Final = b"failed "
"""With a blank at the end where no file is named (rest-api-core.md §11)."""

STATUS_EVENT: Final = "spark/status"
AUTO_UPDATE: Final = b"auto-update"
PENDING_EVENT: Final = "particle/device/updates/pending"

MAX_IDLE_TRIES: Final = 6
"""Times in a row that an update was begun or gone on with and brought no byte; ours."""

MAX_DAMAGED: Final = 2
"""Times that a file is sent anew which was whole here and arrived damaged. In the legacy protocol
that happens when the board had a part of another file, whose update was cancelled."""

STORE_EVERY_S: Final = 5.0
"""Progress is written this often while bytes flow; a restart shows a little less than was sent."""

DISABLED: Final = "The application on the device does not take updates now."
OFFLINE: Final = "The device is not connected."

_log = structlog.get_logger(__name__)


class Files(Protocol):
    """Where the files are; `cyan.firmware.images.Images`."""

    async def open(self, sha256_hex: str) -> Image: ...


class Emit(Protocol):
    """A system event of a device, for the streams of people; `EventService.emit`."""

    def __call__(
        self,
        name: str,
        data: bytes | None,
        device_id: DeviceId | None,
        owner_id: UserId | None,
        *,
        version: int = 0,
    ) -> None: ...


class Tell(Protocol):
    """A cloud event to one device; False when it is not connected."""

    def __call__(self, device_id: DeviceId, name: str, data: bytes | None) -> bool: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds between one step and the next; ours."""

    first_pause_s: float = 2.0
    longest_pause_s: float = 300.0
    """Between two tries; doubled each time that brought no byte. A device that comes back describes
    itself within two seconds (device-protocol.md §3.11), which may show that it has all it
    needs."""
    ask_after_s: float = 30.0
    """A device that confirmed an update restarts and describes itself; one whose session goes on
    says nothing when nothing has changed (device-protocol.md §5.2.3), so it is asked."""
    ask_soon_s: float = 4.0
    """The same once it is known to have started."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a drive works with."""

    db: Database
    clock: Clock
    records: Records
    link: FirmwareLink
    files: Files
    emit: Emit
    tell: Tell
    is_online: Callable[[DeviceId], bool]
    owner_of: Callable[[DeviceId], UserId | None]
    repair: Callable[[DeviceId, SystemDescribe], Awaitable[NewAttempt | None]]
    """What a device that cannot run its application needs next; None when nothing can be done."""
    patience: Patience = Patience()


class Drive:
    """What is done for one device. `run` ends when there is nothing to do before the next fact."""

    def __init__(
        self, means: Means, on_news: Callable[[Attempt], None], device_id: DeviceId
    ) -> None:
        """`on_news` is called when an attempt has moved or something keeps it from going on."""
        self._means = means
        self._on_news = on_news
        self._device_id = device_id
        self._nudge = asyncio.Event()
        self._rested: tuple[str, int] | None = None
        self._had_it = False
        self._was_held = False
        self._has_come = False
        self._sent = 0
        self.is_sending = False
        self.has_restarted = False
        """Since it had all bytes of the update."""
        self.has_resumed = False
        """It has come back since then, by resumption of its session, and may have restarted."""
        self.described: SystemDescribe | None = None
        """Since it had all bytes of the update, or since this began."""
        self.unfit: SystemDescribe | None = None
        """Its describe, while its application cannot run."""

    def wake(self) -> None:
        """Look again."""
        self._nudge.set()

    def on_start(self) -> None:
        """The device has started, or come online with a new session."""
        self._has_come = True
        if not self.has_restarted:
            # What it described before was before.
            self.has_restarted, self.described = True, None
        self.wake()

    def on_resumed(self) -> None:
        """The device goes on with its session after it was away."""
        self._has_come = self.has_resumed = True
        if not self.has_restarted:
            self.described = None
        self.wake()

    def on_describe(self, system: SystemDescribe, is_fit: bool) -> None:
        """The device has told which modules it runs."""
        self.described = system
        self.unfit = None if is_fit else system
        self.wake()

    async def run(self) -> None:
        """Do all that can be done now."""
        while True:
            self._nudge.clear()
            try:
                goes_on = await self._step()
            except Exception:
                # The row stays as it is, and the next fact about the device begins anew.
                _log.exception("update.drive_failed", device_id=self._device_id)
                return
            if not goes_on and not self._nudge.is_set():
                return

    async def _step(self) -> bool:
        """One step; False when there is nothing to do before the next fact."""
        means, device_id = self._means, self._device_id
        todo = means.records.open_of(device_id)
        if not todo:
            return await self._repair()
        attempt = todo[0]
        if attempt.state is State.VERIFYING:
            return await self._verify(attempt)
        device = find_device(means.db, device_id)
        if device is None:
            await means.records.fail(attempt, Reason.RELEASED, "The device is not known any more.")
            return True
        if not means.is_online(device_id):
            return await self._hold(attempt, OFFLINE)
        if is_switched_off(device):
            if attempt.obstacle != DISABLED:
                self._tell_pending()
            return await self._hold(attempt, DISABLED)
        if attempt.tries and self._rested != (attempt.id, attempt.tries):
            self._rested = (attempt.id, attempt.tries)
            await self._rest(attempt)
            return True
        may_have_it = attempt.state is State.SENT or attempt.cause is Cause.ASSET
        if may_have_it and await self._has_it(attempt):
            await self._change(attempt, State.DONE)
            return True
        return await self._send(attempt)

    async def _repair(self) -> bool:
        """Whether a device that is in safe mode gets a module now."""
        if self.unfit is None:
            return False
        system, self.unfit = self.unfit, None
        new = await self._means.repair(self._device_id, system)
        if new is None:
            return False
        await self._means.records.add(self._device_id, None, [new])
        return True

    # -- sending -------------------------------------------------------------------------------

    async def _send(self, attempt: Attempt) -> bool:
        records = self._means.records
        try:
            image = await self._means.files.open(attempt.image_sha256)
        except ImageLostError as error:
            await self._fail(attempt, Reason.IMAGE_LOST, error.message)
            return True
        self._was_held = attempt.obstacle == DISABLED
        if attempt.state is State.QUEUED:
            waiting = await records.move(attempt, State.WAITING)
            if waiting is None:
                return True
            attempt = waiting
        begun = await records.note(attempt, tries=attempt.tries + 1)
        if begun is None:
            return True
        known = description.find_application_hash(self._means.db, self._device_id)
        self._had_it = bool(attempt.goal.hash) and known == attempt.goal.hash
        self._rested = None
        return await self._transfer(begun, image)

    async def _transfer(self, attempt: Attempt, image: Image) -> bool:
        means = self._means
        news: asyncio.Queue[UpdateStage | None] = asyncio.Queue()
        stage: UpdateStage | None = None
        stored_s = means.clock.monotonic()
        current = attempt
        self._sent = sent_before = attempt.sent_bytes

        def on_progress(now: UpdateStage, sent: int) -> None:
            nonlocal stage, stored_s
            if now is not UpdateStage.ASKING:
                self._sent = sent
            if now is not stage:
                stage = now
                if now is UpdateStage.SENDING and may_follow(State.SENDING, attempt.state):
                    # At once, not after a commit: the board may be quicker to restart.
                    if self._was_held:
                        self._say(STATUS_EVENT, AUTO_UPDATE)
                    self._say(FLASH_EVENT, STARTED)
                if now is UpdateStage.CHECKING:
                    # The restart may be heard of before the row is written.
                    self.has_restarted = self.has_resumed = False
                    self.described = None
                news.put_nowait(now)
            elif now is UpdateStage.SENDING:
                means.records.tell(current, sent)
                if means.clock.monotonic() - stored_s >= STORE_EVERY_S:
                    stored_s = means.clock.monotonic()
                    news.put_nowait(now)

        async def send() -> None:
            await means.link.update(self._device_id, image, on_progress)
            self._say(FLASH_EVENT, SUCCESS)

        sending = asyncio.ensure_future(send())
        sending.add_done_callback(lambda _: news.put_nowait(None))
        self.is_sending = True
        try:
            while (told := await news.get()) is not None:
                current = await self._on_stage(current, told)
            sending.result()
        except UpdateCancelledError:
            return True
        except DeviceBusyError as error:
            return await self._interrupted(current, Reason.REFUSED, error.message, False)
        except DeviceRefusedError as error:
            return await self._refused(current, error)
        except DeviceOfflineError as error:
            return await self._interrupted(current, Reason.OFFLINE, error.message, False)
        except (UpdateInterruptedError, DeviceTimeoutError) as error:
            reason = Reason.TIMEOUT if isinstance(error, DeviceTimeoutError) else Reason.INTERRUPTED
            # The legacy protocol begins at the first byte each time: only what no try before has
            # brought leads to the end.
            has_moved = self._sent > sent_before
            self._sent = max(self._sent, sent_before)
            return await self._interrupted(current, reason, error.message, has_moved)
        finally:
            self.is_sending = False
            if not sending.done():
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
        moved = await means.records.move(current, State.VERIFYING, sent_bytes=attempt.size_bytes)
        if moved is not None:
            self._on_news(moved)
        return True

    async def _on_stage(self, attempt: Attempt, stage: UpdateStage) -> Attempt:
        records = self._means.records
        moved: Attempt | None = None
        if stage is UpdateStage.SENDING:
            moved = await records.move(attempt, State.SENDING, sent_bytes=self._sent)
            if moved is not None:
                self._on_news(moved)
            else:
                moved = await records.note(attempt, sent_bytes=self._sent)
        elif stage is UpdateStage.CHECKING:
            moved = await records.move(attempt, State.SENT, sent_bytes=self._sent)
        return attempt if moved is None else moved

    async def _refused(self, attempt: Attempt, error: DeviceRefusedError) -> bool:
        sentence = sentence_of(error.code, error.message)
        if error.code == UPDATES_DISABLED:
            # It has not said so itself, or the word was lost.
            await self._means.db.write(
                lambda connection: description.store_updates(
                    connection, self._device_id, enabled=False, forced=None
                )
            )
            if not _is_awaited(attempt):
                self._tell_pending()
                return await self._hold(attempt, DISABLED)
            await self._fail(attempt, Reason.DISABLED, sentence, error.code)
            return True
        if error.code in DAMAGED and attempt.idle_tries < MAX_DAMAGED:
            return await self._interrupted(attempt, Reason.REFUSED, sentence, False)
        await self._fail(attempt, Reason.REFUSED, sentence, error.code)
        return True

    async def _interrupted(
        self, attempt: Attempt, reason: Reason, why: str, has_moved: bool
    ) -> bool:
        """Go on later, or give up."""
        idle_tries = 0 if has_moved else attempt.idle_tries + 1
        if _is_awaited(attempt) or idle_tries > MAX_IDLE_TRIES:
            await self._fail(attempt, reason, why)
            return True
        noted = await self._means.records.note(
            attempt, sent_bytes=self._sent, idle_tries=idle_tries, obstacle=why
        )
        if noted is not None:
            self._on_news(noted)
        return True

    async def _hold(self, attempt: Attempt, obstacle: str) -> bool:
        if attempt.obstacle != obstacle:
            noted = await self._means.records.note(attempt, obstacle=obstacle)
            if noted is not None:
                self._on_news(noted)
        return False

    def _tell_pending(self) -> None:
        self._means.tell(self._device_id, PENDING_EVENT, b"true")

    # -- what the device reports then ----------------------------------------------------------

    async def _verify(self, attempt: Attempt) -> bool:
        """Wait for the device's describe; the attempt ends here, or at its deadline.

        A device that had this very application before has to be known to have started, too.
        """
        system = self.described
        is_back = self.has_restarted or self.has_resumed
        if system is not None and (is_back or not self._had_it):
            if is_met(attempt.goal, system):
                await self._change(attempt, State.DONE)
                return True
            if is_back:
                found = report_of(attempt.goal, system)
                how = "restarted" if self.has_restarted else "come back"
                why = f"The device has {how} without the update: {found}."
                await self._fail(attempt, Reason.NOT_VERIFIED, why)
                return True
            await self._hold(attempt, f"So far {report_of(attempt.goal, system)}.")
        if not await self._is_nudged(
            self._means.patience.ask_soon_s if is_back else self._means.patience.ask_after_s
        ):
            self._means.link.request_describe(self._device_id)
        return True

    async def _has_it(self, attempt: Attempt) -> bool:
        """Whether the device has what the attempt brings, though it did not get to say so."""
        if self.described is None:
            self._means.link.request_describe(self._device_id)
        now_s = asyncio.get_running_loop().time
        until_s = now_s() + self._means.patience.ask_soon_s
        while self.described is None:
            left_s = until_s - now_s()
            self._nudge.clear()
            if left_s <= 0 or not await self._is_nudged(left_s):
                return False
        return is_met(attempt.goal, self.described)

    # -- small things --------------------------------------------------------------------------

    async def _rest(self, attempt: Attempt) -> None:
        """Until it may be tried again, or something else is to be done first."""
        now_s, patience = asyncio.get_running_loop().time, self._means.patience
        until_s = now_s() + min(
            patience.first_pause_s * 2**attempt.idle_tries, patience.longest_pause_s
        )
        while (left_s := until_s - now_s()) > 0:
            self._nudge.clear()
            if not await self._is_nudged(left_s):
                return
            todo = self._means.records.open_of(self._device_id)
            if not todo or todo[0].id != attempt.id:
                return
            if self._has_come:
                self._has_come = False
                until_s = min(until_s, now_s() + patience.first_pause_s)

    async def _is_nudged(self, within_s: float) -> bool:
        try:
            async with asyncio.timeout(within_s):
                await self._nudge.wait()
        except TimeoutError:
            return False
        return True

    async def _change(self, attempt: Attempt, state: State) -> None:
        moved = await self._means.records.move(attempt, state)
        if moved is not None:
            self._on_news(moved)

    async def _fail(
        self, attempt: Attempt, reason: Reason, detail: str, code: int | None = None
    ) -> None:
        failed = await self._means.records.fail(attempt, reason, detail, code=code)
        if failed is not None:
            self._say(FLASH_EVENT, FAILED)
            self._on_news(failed)

    def _say(self, name: str, data: bytes) -> None:
        device = find_device(self._means.db, self._device_id)
        version = NO_PRODUCT if device is None else device.product_version
        self._means.emit(
            name,
            data,
            self._device_id,
            self._means.owner_of(self._device_id),
            version=0 if version in (None, NO_PRODUCT) else version,
        )


def is_switched_off(device: Device) -> bool:
    """Whether the application on the device takes no updates, not even forced ones."""
    return device.updates_enabled is False and not device.updates_forced


def _is_awaited(attempt: Attempt) -> bool:
    """Whether a person waits for the answer to the request that began it: it is told to them, and
    nothing is done behind their back later."""
    return attempt.cause is Cause.FLASH and attempt.state in (State.QUEUED, State.WAITING)
