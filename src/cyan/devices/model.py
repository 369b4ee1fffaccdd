"""What a device is, the facts told about it, and the rules that need no database."""

from dataclasses import dataclass
from typing import Final

import msgspec

from cyan.core.errors import InvalidError, NotFoundError
from cyan.core.ids import DeviceId, UserId, is_device_id
from cyan.wire.describe import SystemDescribe

MAX_NAME_CHARACTERS: Final = 64
"""Ours. Long enough for what people type; a name also travels to the device as an event of at
most 64 bytes of name and 1024 of data (platform-semantics.md §6.1)."""

MAX_NOTES_CHARACTERS: Final = 4096
"""Ours: a page of text."""

UNADDRESSABLE_NAMES: Final = frozenset({"events", ".", ".."})
"""`/v1/devices/<name>` could not reach these: the first is a route, the others are taken out of a
path by every HTTP client."""

CELLULAR_PLATFORMS: Final = frozenset({10, 13, 15, 23, 25, 26, 28, 35, 37})
"""electron, boron, esomx, bsom, b5som, tracker, trackerm, msom, electron2
(device-protocol.md §7.6)."""


KNOWN_PLATFORMS: Final = CELLULAR_PLATFORMS | {
    0, 3, 6, 8, 11, 12, 14, 22, 24, 31, 32, 38, 42, 43, 82, 88, 103
}  # fmt: skip
"""core, gcc, photon, p1, esp32, argon, xenon, asom, xsom, raspi, p2, sulu, tachyon, linux, oak,
duo, bluz, beside the cellular ones (device-protocol.md §7.6)."""


class Device(msgspec.Struct, frozen=True, array_like=True):
    """A registered device, as stored. Stamps are milliseconds since 1970.

    `product_id` and `product_version` are what the device said in its Hello; membership in a
    product is never read from them (device-protocol.md §3.2).
    """

    id: DeviceId
    registered_at_ms: int
    name: str | None = None
    notes: str | None = None
    owner_id: UserId | None = None
    claimed_at_ms: int | None = None
    updated_at_ms: int | None = None
    platform_id: int | None = None
    product_id: int | None = None
    product_version: int | None = None
    system_version: int | None = None
    first_online_at_ms: int | None = None
    last_handshake_at_ms: int | None = None
    last_ip_address: str | None = None
    functions: tuple[str, ...] = ()
    variables: dict[str, int] = {}
    safe_mode: bool | None = None
    """What it describes cannot run."""
    safe_mode_at_ms: int | None = None
    """It said itself that it is in safe mode, and nothing else since."""
    imei: str | None = None
    iccid: str | None = None
    modem_firmware: str | None = None
    updates_enabled: bool | None = None
    updates_forced: bool | None = None
    application_hash: str | None = None
    """SHA-256 of the application that the device described last, in hex."""
    max_message_bytes: int | None = None
    max_binary_bytes: int | None = None
    ota_chunk_bytes: int | None = None
    cc3000_patch_version: str | None = None
    serial_number: str | None = None
    mobile_secret: bytes | None = None
    """Sealed (`serialnumbers.SECRET_PURPOSE`)."""
    mac_wifi: str | None = None
    development: bool | None = None
    forces_updates: bool | None = None
    """Its owner wants it to take updates even when its application does not."""

    @property
    def is_in_safe_mode(self) -> bool:
        """Whether its system runs without the application."""
        return bool(self.safe_mode) or self.safe_mode_at_ms is not None


class ListedDevice(msgspec.Struct, frozen=True):
    """As much of a device as chooses and sorts the rows of a list."""

    id: DeviceId
    name: str | None
    serial_number: str | None
    product_version: int | None
    last_handshake_at_ms: int | None


@dataclass(frozen=True, slots=True)
class DeviceClaimed:
    """The device has a new owner. `previous` is the owner before, None if it had none."""

    device_id: DeviceId
    user_id: UserId
    previous: UserId | None


@dataclass(frozen=True, slots=True)
class DeviceReleased:
    """The device has no owner any more; `previous` gave it up."""

    device_id: DeviceId
    previous: UserId


@dataclass(frozen=True, slots=True)
class DeviceKeyChanged:
    """Another key proves the device from now on; its present session is not worth anything."""

    device_id: DeviceId


@dataclass(frozen=True, slots=True)
class DeviceDescribed:
    """A device has told which modules it runs; `is_fit` is whether its application can."""

    device_id: DeviceId
    system: SystemDescribe
    is_fit: bool


@dataclass(frozen=True, slots=True)
class DeviceStarted:
    """A device has told why it started last, in its own words; once after each start."""

    device_id: DeviceId
    reason: str


@dataclass(frozen=True, slots=True)
class UpdatesSwitched:
    """A device has told whether it takes updates, or (`forced`) takes them in any case; None: it
    did not say."""

    device_id: DeviceId
    enabled: bool | None
    forced: bool | None


@dataclass(frozen=True, slots=True)
class UpdatesForced:
    """The owner has changed whether the device shall take updates in any case."""

    device_id: DeviceId
    forced: bool


class InvalidDeviceNameError(InvalidError):
    """A device name is 1 to 64 printable characters."""


class InvalidNotesError(InvalidError):
    """Notes are at most 4096 characters of text."""


class UnknownDeviceError(NotFoundError):
    """device not found"""


def check_name(text: str) -> str:
    """The name as it is stored: without blanks around it. Raises InvalidDeviceNameError."""
    name = text.strip()
    if not name:
        raise InvalidDeviceNameError("A device name must not be empty.")
    if len(name) > MAX_NAME_CHARACTERS:
        raise InvalidDeviceNameError(f"A device name has at most {MAX_NAME_CHARACTERS} characters.")
    if not name.isprintable() or "/" in name:
        raise InvalidDeviceNameError("A device name has printable characters only, and no slash.")
    if is_device_id(name):
        raise InvalidDeviceNameError("A device name must not look like a device id.")
    if name in UNADDRESSABLE_NAMES:
        raise InvalidDeviceNameError(f"A device cannot be called {name!r}.")
    return name


def check_notes(text: str) -> str:
    """Raises InvalidNotesError."""
    if len(text) > MAX_NOTES_CHARACTERS or not all(c.isprintable() or c in "\n\r\t" for c in text):
        raise InvalidNotesError
    return text
