"""The device as JSON, and what can be changed in it: the resource that several features share.

A feature that knows something about a device registers a reader, whose struct's fields join the
JSON; one that changes something registers a key of `PUT /v1/devices/{device}`. Both happen where
the program is put together, so that this module knows none of them.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec
from sqlalchemy import Connection

from cyan.core.clock import Clock, iso_ms
from cyan.core.db.engine import Database
from cyan.core.errors import InvalidError
from cyan.core.ids import DeviceId
from cyan.devices.model import CELLULAR_PLATFORMS, Device, ListedDevice
from cyan.devices.releases import release_of
from cyan.rest.auth import Caller
from cyan.rest.responses import join_objects

TYPE_NAMES: Final = {1: "bool", 2: "int32", 4: "string", 9: "double"}
"""Variable types as clients spell them (rest-api-core.md §8.1)."""

UNKNOWN_TYPE: Final = "unknown"

UNBUILT_KEYS: Final = frozenset(
    {
        "app_example_id",
        "app_id",
        "desired_firmware_version",
        "flash",
        "groups",
    }
)
"""Keys that clients send and this server knows, but does not do yet (rest-api-core.md §8.4, 8.5).
A feature that registers one of them takes it over."""


class Seen(Protocol):
    """What is known of a connection. Stamps are milliseconds since 1970."""

    @property
    def last_heard_ms(self) -> int: ...

    @property
    def last_handshake_ms(self) -> int: ...

    @property
    def ip_address(self) -> str: ...


class PresenceView(Protocol):
    """What this feature asks of presence. Stamps are milliseconds since 1970."""

    def is_online(self, device_id: DeviceId) -> bool: ...

    def seen(self, device_id: DeviceId) -> Seen | None:
        """Its connection, or its last one."""
        ...

    def last_heard_ms(self, device_id: DeviceId) -> int | None: ...

    def last_handshake_ms(self, device_id: DeviceId) -> int | None: ...

    def last_ip(self, device_id: DeviceId) -> str | None: ...


class DeviceSummary(msgspec.Struct, frozen=True):
    """A device in a list, as clients read it (rest-api-core.md §8.1)."""

    id: str
    name: str | None
    last_app: None
    last_ip_address: str | None
    last_heard: str | None
    last_handshake_at: str | None
    product_id: int | None
    online: bool
    connected: bool
    platform_id: int | None
    cellular: bool
    notes: str | None
    development: bool
    functions: tuple[str, ...]
    variables: dict[str, str]
    status: str
    system_firmware_version: str | msgspec.UnsetType = msgspec.UNSET
    imei: str | msgspec.UnsetType = msgspec.UNSET
    iccid: str | msgspec.UnsetType = msgspec.UNSET


class DeviceDetail(msgspec.Struct, frozen=True):
    """What only the single device shows, beside its summary."""

    owner: str
    firmware_updates_enabled: bool
    firmware_updates_forced: bool
    device_protection: dict[str, str]
    current_build_target: str | msgspec.UnsetType = msgspec.UNSET
    default_build_target: str | msgspec.UnsetType = msgspec.UNSET
    last_iccid: str | msgspec.UnsetType = msgspec.UNSET
    modem_firmware_version: str | msgspec.UnsetType = msgspec.UNSET
    cc3000_patch_version: str | msgspec.UnsetType = msgspec.UNSET


class NothingToChangeError(InvalidError):
    """There is nothing to change in the request."""


class NotBuiltError(Exception):
    """A key of the request is known but not built; `key` names it."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


Reader = Callable[[Device], msgspec.Struct | None]

StoredChange = Callable[[Connection, Device, Caller, int], Mapping[str, object]]
"""Writes a checked value (connection, device, caller, stamp in ms); returns the reply's fields."""

LiveChange = Callable[[Device, Caller], Awaitable[Mapping[str, object]]]
"""Asks the connected device for it; returns the reply's fields."""


FlashDoor = Callable[[Device, Caller, Mapping[str, object]], Awaitable[Mapping[str, object]]]
"""Sends the firmware that the fields of a request hold or name; returns the reply's fields."""

FLASH_KEYS: Final = frozenset({"app", "binary_id", "file", "file_type"})
"""What asks for firmware to be sent, beside files (rest-api-core.md §8.5)."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key that changes rows. `prepare` checks the value (raises InvalidError) and keeps it;
    `on_stored` gets its fields of the reply after the commit."""

    name: str
    prepare: Callable[[object], StoredChange]
    on_stored: Callable[[Device, Mapping[str, object]], None] | None = None


@dataclass(frozen=True, slots=True)
class LiveKey:
    """A key that the device itself must do."""

    name: str
    prepare: Callable[[object], LiveChange]


class DeviceResource:
    """The shape of a device, and the keys that change it."""

    def __init__(self, db: Database, clock: Clock, presence: PresenceView) -> None:
        self._db = db
        self._clock = clock
        self._presence = presence
        self._readers: list[Reader] = []
        self._detail_readers: list[Reader] = []
        self._stored: dict[str, StoredKey] = {}
        self._live: dict[str, LiveKey] = {}
        self._flash: FlashDoor | None = None

    def add_reader(self, reader: Reader, *, detail_only: bool = False) -> None:
        """Let `reader`'s struct, if it gives one, add its fields to the JSON of devices."""
        if not detail_only:
            self._readers.append(reader)
        self._detail_readers.append(reader)

    def add_key(self, key: StoredKey | LiveKey) -> None:
        """Let PUT take `key.name`. Raises ValueError when another feature has it."""
        if key.name in self._stored or key.name in self._live:
            raise ValueError(f"{key.name} is registered twice.")
        if isinstance(key, StoredKey):
            self._stored[key.name] = key
        else:
            self._live[key.name] = key

    def encode_each(self, devices: Iterable[Device]) -> list[bytes]:
        """Summaries as JSON, in this order."""
        return [
            join_objects([self._summary(device), *_read(self._readers, device)])
            for device in devices
        ]

    def encode(self, device: Device, owner: str) -> bytes:
        """One device with everything, as JSON; `owner` is the user name of its owner."""
        more = _read(self._detail_readers, device)
        return join_objects([self._summary(device), *more, _detail(device, owner)])

    def set_flash(self, door: FlashDoor) -> None:
        """Let PUT take firmware."""
        self._flash = door

    async def flash(
        self, caller: Caller, device: Device, fields: Mapping[str, object]
    ) -> Mapping[str, object]:
        """Send the firmware of a request; what else is in it is left aside.

        Raises NotBuiltError when nothing here sends firmware, and what the door raises.
        """
        if self._flash is None:
            raise NotBuiltError("file")
        return await self._flash(device, caller, fields)

    async def change(
        self, caller: Caller, device: Device, values: Mapping[str, object]
    ) -> dict[str, object]:
        """Apply the known keys of `values` together; returns the fields of the reply.

        All values are checked before anything happens. What the device must do comes first, so
        that nothing is stored when it does not; then all rows change in one transaction.

        Raises InvalidError for a value, NotBuiltError, NothingToChangeError, what a key raises.
        """
        known = self._stored.keys() | self._live.keys()
        for name in values:
            if name in UNBUILT_KEYS and name not in known:
                raise NotBuiltError(name)
        if known.isdisjoint(values):
            raise NothingToChangeError(
                f"The request changes nothing; it may have: {', '.join(sorted(known))}."
            )
        live = [key.prepare(values[name]) for name, key in self._live.items() if name in values]
        keys = [key for name, key in self._stored.items() if name in values]
        stored = [key.prepare(values[key.name]) for key in keys]
        reply: dict[str, object] = {"id": device.id}
        for act in live:
            reply.update(await act(device, caller))
        if stored:
            at_ms = self._clock.now_ms()
            written = await self._db.write(
                lambda connection: [change(connection, device, caller, at_ms) for change in stored]
            )
            for key, fields in zip(keys, written, strict=True):
                reply.update(fields)
                if key.on_stored is not None:
                    key.on_stored(device, fields)
            reply["updated_at"] = iso_ms(at_ms)
        return reply

    def _summary(self, device: Device) -> DeviceSummary:
        online = self._presence.is_online(device.id)
        seen = self._presence.seen(device.id)
        version = device.system_version
        handshake_ms = seen.last_handshake_ms if seen else None
        return DeviceSummary(
            id=device.id,
            name=device.name,
            last_app=None,
            last_ip_address=(seen and seen.ip_address) or device.last_ip_address,
            last_heard=iso_ms(seen.last_heard_ms) if seen else None,
            last_handshake_at=_stamp(handshake_ms or device.last_handshake_at_ms),
            # The platform stands for "no product" (rest-api-core.md §8.1).
            product_id=device.platform_id,
            online=online,
            connected=online,
            platform_id=device.platform_id,
            cellular=device.platform_id in CELLULAR_PLATFORMS,
            notes=device.notes,
            development=bool(device.development),
            functions=device.functions,
            variables={
                name: TYPE_NAMES.get(code, UNKNOWN_TYPE) for name, code in device.variables.items()
            },
            status="safe_mode" if device.is_in_safe_mode else "normal",
            system_firmware_version=msgspec.UNSET if version is None else release_of(version),
            imei=device.imei or msgspec.UNSET,
            iccid=device.iccid or msgspec.UNSET,
        )

    def last_handshake_ms(self, device: Device | ListedDevice) -> int | None:
        """When its session began, milliseconds since 1970; None if it was never online."""
        return self._presence.last_handshake_ms(device.id) or device.last_handshake_at_ms


def _read(readers: Iterable[Reader], device: Device) -> list[msgspec.Struct]:
    """What those readers tell that know something about this device."""
    parts = []
    for read in readers:
        part = read(device)
        if part is not None:
            parts.append(part)
    return parts


def _detail(device: Device, owner: str) -> DeviceDetail:
    release = msgspec.UNSET if device.system_version is None else release_of(device.system_version)
    return DeviceDetail(
        owner=owner,
        # A device that did not say otherwise takes updates (device-protocol.md §5.7).
        firmware_updates_enabled=device.updates_enabled is not False,
        # What its owner wants; without a word from them, what it said of itself.
        firmware_updates_forced=bool(
            device.updates_forced if device.forces_updates is None else device.forces_updates
        ),
        device_protection={"status": "disabled"},
        current_build_target=release,
        default_build_target=release,
        last_iccid=device.iccid or msgspec.UNSET,
        modem_firmware_version=device.modem_firmware or msgspec.UNSET,
        cc3000_patch_version=device.cc3000_patch_version or msgspec.UNSET,
    )


def _stamp(epoch_ms: int | None) -> str | None:
    return None if epoch_ms is None else iso_ms(epoch_ms)
