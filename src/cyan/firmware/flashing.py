"""Flashing a device: what a person sends is checked, kept, and begun; what became of it is read
and ended here, too. The door of the API and the console's."""

import asyncio
from typing import Final

import msgspec

from cyan.core.errors import ConflictError
from cyan.core.ids import DeviceId, UserId
from cyan.core.ports import DeviceOfflineError, DeviceTimeoutError, FirmwareLink, UpdateLimits
from cyan.devices.model import Device
from cyan.devices.releases import release_of
from cyan.firmware.applications import find_application
from cyan.firmware.attempts import Attempts
from cyan.firmware.binaries import Binaries
from cyan.firmware.compiling.sources import clean_sources
from cyan.firmware.driving import OFFLINE
from cyan.firmware.images import Images
from cyan.firmware.model import (
    Attempt,
    AttemptEndedError,
    NewAttempt,
    NotFlashableError,
    Reason,
    State,
    UnknownAttemptError,
)
from cyan.firmware.uploads import (
    File,
    Payload,
    are_binaries,
    check,
    check_size,
    clean_name,
    read_binaries,
)
from cyan.rest.auth import Caller
from cyan.wire.module import may_be_compressed

BEGIN_WITHIN_S: Final = 45.0
"""For a device to agree; with a compilation before it stays under the 60 s that a request may
take."""

MAX_PAGE: Final = 100


class Upload(msgspec.Struct, frozen=True):
    """What is to be flashed: files, or one of the others."""

    files: tuple[File, ...] = ()
    is_binary: bool = False
    """The client says so, whatever the files are called."""
    target: str | None = None
    """The release of Device OS to compile sources for."""
    application: str | None = None
    """The name of a known application."""
    binary_id: str | None = None
    """Of something that was compiled here."""


class UpdateRunsError(ConflictError):
    """An update of this device is under way. Wait for its end, or cancel it."""


class UpdatesDisabledError(ConflictError):
    """The application on the device does not take updates now. It gets one all the same once
    firmware_updates_forced of the device is set to true."""


class NotBegunError(ConflictError):
    """The device did not begin with the update."""


class Flashed(msgspec.Struct, frozen=True):
    """The first attempt, begun; of sources what the compiler said, which may be nothing."""

    attempt: Attempt
    compiler_output: str | None = None


class Flashing:
    """Whose device it is, is decided before, by the door."""

    def __init__(
        self,
        attempts: Attempts,
        images: Images,
        link: FirmwareLink,
        binaries: Binaries,
        *,
        begin_within_s: float = BEGIN_WITHIN_S,
    ) -> None:
        self._attempts = attempts
        self._images = images
        self._link = link
        self._binaries = binaries
        self._begin_within_s = begin_within_s
        self._beginning: set[DeviceId] = set()

    async def flash(self, caller: Caller, device: Device, upload: Upload) -> Flashed:
        """Begin to send; returns once bytes flow.

        Raises DeviceOfflineError, UpdateRunsError, UpdatesDisabledError, NotFlashableError,
        UnknownBinaryError, UnknownApplicationError, ImageLostError, StorageFullError; of sources
        InvalidSourcesError, NoCompilerError, CompileError, CompilerBusyError; DeviceTimeoutError
        when the device does not agree in time, and NotBegunError when it refuses.
        """
        if device.id in self._beginning:
            raise UpdateRunsError
        self._beginning.add(device.id)
        try:
            return await self._flash(caller, device, upload)
        finally:
            self._beginning.discard(device.id)

    async def _flash(self, caller: Caller, device: Device, upload: Upload) -> Flashed:
        self._check_ready(device)
        files, said = await self._files(caller, device, upload)
        limits = self._check_ready(device)
        payloads = await asyncio.to_thread(_read, files, device, limits)
        news = [await self._keep(payload, limits) for payload in payloads]
        self._check_ready(device)
        first, *_ = await self._attempts.add(device.id, caller.user_id, news)
        try:
            begun = await self._attempts.begun(first, self._begin_within_s)
        except TimeoutError:
            why = "The device did not begin with the update in time."
            begun = await self._end(first, Reason.TIMEOUT, why)
        if begun.state in (State.QUEUED, State.WAITING) and begun.obstacle is not None:
            # The device has gone, or switched updates off, since it was looked at.
            reason = Reason.OFFLINE if begun.obstacle == OFFLINE else Reason.DISABLED
            begun = await self._end(begun, reason, begun.obstacle)
        if begun.state is State.FAILED:
            if begun.reason is Reason.OFFLINE:
                raise DeviceOfflineError(begun.detail)
            if begun.reason is Reason.TIMEOUT:
                raise DeviceTimeoutError(begun.detail)
            if begun.reason is Reason.DISABLED:
                raise UpdatesDisabledError
            raise NotBegunError(begun.detail)
        return Flashed(begun, said)

    async def _end(self, attempt: Attempt, reason: Reason, why: str) -> Attempt:
        try:
            return await self._attempts.cancel(attempt, reason, why)
        except AttemptEndedError:
            # In this very moment, for another reason.
            return self._attempts.records.get(attempt.device_id, attempt.id)

    def latest(
        self, device: Device, *, before: Attempt | None = None, limit: int = 20
    ) -> list[Attempt]:
        """What was sent to the device since its owner has it, the newest first; older ones than
        `before`."""
        since_ms = device.claimed_at_ms or 0
        return self._attempts.records.newest(
            device.id, since_ms=since_ms, before=before, limit=max(1, min(limit, MAX_PAGE))
        )

    def get(self, device: Device, attempt_id: str) -> Attempt:
        """One of those that `latest` shows. Raises UnknownAttemptError."""
        found = self._attempts.records.get(device.id, attempt_id)
        if found.created_at_ms < (device.claimed_at_ms or 0):
            raise UnknownAttemptError
        return found

    async def cancel(self, user_id: UserId, device: Device, attempt_id: str) -> Attempt:
        """End an attempt, and what is to follow it. Raises UnknownAttemptError,
        AttemptEndedError."""
        attempt = self.get(device, attempt_id)
        return await self._attempts.cancel(
            attempt, Reason.CANCELLED, "It was cancelled.", by=user_id
        )

    def _check_ready(self, device: Device) -> UpdateLimits:
        """Whether an update can begin now; asked again after everything that takes time."""
        limits = self._link.update_limits(device.id)
        if limits is None:
            raise DeviceOfflineError
        if self._attempts.is_busy(device.id):
            raise UpdateRunsError
        if self._attempts.takes_no_updates(device.id):
            raise UpdatesDisabledError
        return limits

    async def _files(
        self, caller: Caller, device: Device, upload: Upload
    ) -> tuple[list[File], str | None]:
        if upload.binary_id is not None:
            image = await self._binaries.open(caller.user_id, upload.binary_id)
            return [File(f"{clean_name(upload.binary_id)}.bin", bytes(image.data))], None
        files = upload.files
        if upload.application is not None:
            files = find_application(device, upload.application)
        if not files:
            raise NotFlashableError("Send the firmware as a file of a form.")
        if await asyncio.to_thread(are_binaries, files, forced=upload.is_binary):
            return list(files), None
        sources = clean_sources([(file.name, file.data) for file in files])
        _, made = await self._binaries.compile(
            caller, sources, device.platform_id or 0, self._target(device, upload.target)
        )
        return [File(f"{clean_name(files[0].name)}.bin", made.data)], made.output

    def _target(self, device: Device, wanted: str | None) -> str | None:
        """The release to compile for: without a wish that which the device runs, so that nothing
        else has to be updated for it; None for the newest."""
        if wanted is not None or device.system_version is None:
            return wanted
        runs = release_of(device.system_version)
        for target in self._binaries.targets:
            if target.version == runs and device.platform_id in target.platforms:
                return runs
        return None

    async def _keep(self, payload: Payload, limits: UpdateLimits) -> NewAttempt:
        kept = await self._images.keep(payload.data)
        first = payload.modules[0]
        if limits.takes_compressed and len(payload.modules) == 1 and may_be_compressed(first):
            kept = await self._images.keep_compressed(kept.sha256) or kept
        check_size(payload.name, kept.size_bytes, limits)
        return NewAttempt(
            cause=payload.cause,
            file_name=payload.name,
            image_sha256=kept.sha256,
            size_bytes=kept.size_bytes,
            goal=payload.goal,
        )


def _read(files: list[File], device: Device, limits: UpdateLimits) -> list[Payload]:
    """In a thread: checksums of some megabytes."""
    payloads = read_binaries(files, compress=limits.takes_compressed)
    check(payloads, device, limits)
    return payloads
