"""Interfaces that a lower part needs and a higher one supplies; `app.py` joins them."""

from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import Protocol

import msgspec
from sqlalchemy import Connection

from cyan.core.errors import CyanError
from cyan.core.ids import DeviceId, UserId


class DeviceOfflineError(CyanError):
    """The device is not connected."""


class DeviceTimeoutError(CyanError):
    """The device is connected but did not answer in time."""


class DeviceRefusedError(CyanError):
    """The device answered with an error."""

    def __init__(self, message: str | None = None, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        """The error number of Device OS, like -1380 (device-protocol.md §5.6), if it gave one."""


class DeviceBusyError(DeviceRefusedError):
    """Too many calls wait for this device already. Try again when they have ended."""


class UpdateInterruptedError(CyanError):
    """The connection was lost, or the device fell silent, during the update."""


class UpdateCancelledError(CyanError):
    """The update was cancelled by a person."""


class LinkState(msgspec.Struct, frozen=True):
    """What the holder of a live link knows of it now."""

    last_heard_at: datetime
    last_handshake_at: datetime
    ip_address: str


class DeviceLink(Protocol):
    """The way to a connected device. Every call that waits ends within 30 s by answer or error.

    Raises DeviceOfflineError at once when the device is not connected, DeviceTimeoutError when it
    does not answer, DeviceRefusedError when it answers with a CoAP error, DeviceBusyError when too
    many calls wait for it.
    """

    def state(self, device_id: DeviceId) -> LinkState | None:
        """The live link of a device that counts as online, else None. Never waits."""
        ...

    async def call_function(self, device_id: DeviceId, name: str, argument: str) -> int:
        """The function's result, a signed 32-bit integer."""
        ...

    async def read_variable(self, device_id: DeviceId, name: str) -> bytes:
        """The variable's value as it came over the wire; its declared type tells how to read it."""
        ...

    async def ping(self, device_id: DeviceId) -> None:
        """Returns when the device has answered."""
        ...

    async def signal(self, device_id: DeviceId, on: bool) -> None:
        """Start or stop the device's rainbow LED; returns when it has confirmed."""
        ...

    def send_event(self, device_id: DeviceId, name: str, data: bytes | None) -> bool:
        """Send a cloud event to this one device, without waiting; False if not connected."""
        ...

    def request_vitals(self, device_id: DeviceId) -> None:
        """Ask for vitals, without waiting: the answer goes the way of those that a device sends by
        itself, and firmware that has none gives none."""
        ...


class Image(msgspec.Struct, frozen=True, eq=False):
    """A file for devices: one value for all transfers of it, so that no device costs a copy."""

    data: memoryview
    """The bytes as they are sent; usually of a mapped file, shared."""
    sha256: bytes
    module_function: int
    """Of the first module in it (device-protocol.md §7.1); 9 for an asset."""


class UpdateStage(Enum):
    """Where the sending of one file is."""

    ASKING = "asking"
    """The device was asked whether it takes the file, and may erase its memory for it."""
    SENDING = "sending"
    """Chunks flow."""
    CHECKING = "checking"
    """The device has them all and checks them."""


class UpdateLimits(msgspec.Struct, frozen=True):
    """What a connected device takes (device-protocol.md §3.2, §5.1, §5.2)."""

    is_current: bool
    """Whether it speaks the current protocol, which resumes; else the legacy one."""
    chunk_bytes: int
    max_image_bytes: int | None
    """None: it did not say."""
    takes_compressed: bool


UpdateProgress = Callable[[UpdateStage, int], None]
"""The stage, and how many bytes the device has for certain."""


class FirmwareLink(Protocol):
    """The way of firmware to a connected device. One file at a time for a device."""

    async def update(self, device_id: DeviceId, image: Image, on_progress: UpdateProgress) -> None:
        """Send one file; return when the device has confirmed the end of it. It then resets.

        `on_progress` is called at each new stage, and at most a few times a second beside that.

        Raises DeviceOfflineError when it is not connected, DeviceBusyError when an update of it
        runs, DeviceRefusedError with the code that it gave, UpdateInterruptedError when the
        connection was lost or is silent (calling again resumes), DeviceTimeoutError when it does
        not answer at all, UpdateCancelledError after `cancel_update`.
        """
        ...

    def cancel_update(self, device_id: DeviceId) -> bool:
        """End the update of a device; whether there was one."""
        ...

    def request_describe(self, device_id: DeviceId) -> None:
        """Ask for the system describe, without waiting: the answer goes the way of those that a
        device sends by itself. Nothing happens when the device is not connected."""
        ...

    def update_limits(self, device_id: DeviceId) -> UpdateLimits | None:
        """What the device takes; None when it is not connected."""
        ...


class Mail(msgspec.Struct, frozen=True):
    """One mail in plain text. `kind` is a word for the log."""

    to: str
    subject: str
    text: str
    kind: str


class Mailer(Protocol):
    """The way to a person's mailbox."""

    async def send(self, mail: Mail) -> None:
        """Returns when the mail was taken over; raises OSError or the mail library's errors."""
        ...


class AccountUse(Protocol):
    """What a feature has of an account, for when the account is to be deleted."""

    def reason_to_stay(self, connection: Connection, user_id: UserId) -> str | None:
        """What must be released first, as a sentence; None when nothing is in the way."""
        ...

    def forget(self, connection: Connection, user_id: UserId) -> None:
        """Delete what is left of the account, in the transaction that deletes it."""
        ...


class DescribedDevice(msgspec.Struct, frozen=True):
    """What a device said of itself in its describes: names and types."""

    functions: tuple[str, ...] = ()
    variables: dict[str, int] = {}
    """Name to type: 1 bool, 2 int32, 4 string, 9 double (device-protocol.md §3.3.2)."""
