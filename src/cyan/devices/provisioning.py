"""Making devices known over the API, and giving them keys: who may (DESIGN.md §6).

| the device is | its key | who may set the key |
|---|---|---|
| the caller's own | any or none | the caller: the new key takes the place of the old one |
| unknown | | a registrar: the device is made known, without owner |
| without owner | none yet | a registrar |
| anything | any | the operator |
| else | | nobody: UnknownDeviceError, as for a device that is not there |

A registrar is the operator, an account to which the operator gave the right
(`cyan device registrar`), or anybody while enrolment is open. Nobody else can take ids.
"""

from typing import Final

import msgspec
import structlog
from sqlalchemy import Connection

from cyan.audit import store as audit
from cyan.core.bus import Bus
from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.core.errors import ForbiddenError, InvalidError
from cyan.core.ids import (
    DeviceId,
    MalformedDeviceIdError,
    UserId,
    new_object_id,
    parse_device_id,
)
from cyan.devices import keys, store
from cyan.devices.keys import fingerprint
from cyan.devices.model import (
    KNOWN_PLATFORMS,
    Device,
    DeviceClaimed,
    DeviceKeyChanged,
    UnknownDeviceError,
)
from cyan.devices.naming import name_for_owner
from cyan.devices.ownership import Ownership
from cyan.plans.service import require_developer_device
from cyan.rest.auth import Caller

OPERATOR: Final = "operator"

_log = structlog.get_logger(__name__)


class NotARegistrarError(ForbiddenError):
    """Only the operator of this server, or who has the operator's leave, can make devices known."""


class UnknownPlatformError(InvalidError):
    """A device id is made for a platform, by its number: 13 for Boron, 32 for Photon 2. This server
    has no products yet."""


class KeySet(msgspec.Struct, frozen=True):
    """What setting a key did."""

    device_id: DeviceId
    is_registered: bool
    """The device was made known by it."""
    is_changed: bool
    """False when the device had just this key."""


class Provisioning:
    """Registers devices and sets their keys on behalf of people."""

    def __init__(
        self, db: Database, clock: Clock, bus: Bus, ownership: Ownership, enrolment: str
    ) -> None:
        self._db = db
        self._clock = clock
        self._bus = bus
        self._ownership = ownership
        self._enrolment = enrolment

    def is_registrar(self, caller: Caller) -> bool:
        """Whether the caller may make devices known."""
        return (
            caller.is_operator
            or self._enrolment == keys.OPEN
            or self._db.row(store.REGISTRAR, {"user_id": caller.user_id}) is not None
        )

    async def set_key(
        self, caller: Caller, id_text: str, public_key: bytes, platform_id: int | None = None
    ) -> KeySet:
        """Let `public_key` (SubjectPublicKeyInfo, DER) prove the device from now on.

        A device that is made known by it is of the platform until it says another in its Hello.
        Raises UnknownDeviceError by this module's table, KeyInUseError.
        """
        try:
            device_id = parse_device_id(id_text)
        except MalformedDeviceIdError as error:
            raise UnknownDeviceError from error
        registers = self.is_registrar(caller)
        at_ms = self._clock.now_ms()

        def set_it(connection: Connection) -> KeySet:
            done = _set_key(connection, device_id, caller, public_key, registers, at_ms)
            if done.is_registered and platform_id is not None:
                _set_platform(connection, device_id, platform_id)
            return done

        done = await self._db.write(set_it)
        if done.is_changed:
            self._bus.publish(DeviceKeyChanged(device_id))
            _log.warning("device.key_set", device_id=device_id, fingerprint=fingerprint(public_key))
        return done

    async def create(self, caller: Caller, platform_id: int) -> Device:
        """A new device with an id of ours, the caller's own, for hardware that has none.

        Raises NotARegistrarError, UnknownPlatformError, DeviceLimitError.
        """
        if platform_id not in KNOWN_PLATFORMS:
            raise UnknownPlatformError
        if not self.is_registrar(caller):
            raise NotARegistrarError
        device_id = DeviceId(new_object_id())
        at_ms = self._clock.now_ms()
        made = await self._db.write(
            lambda connection: _create(connection, device_id, platform_id, caller, at_ms)
        )
        self._ownership.refresh(device_id)
        self._bus.publish(DeviceClaimed(device_id, caller.user_id, previous=None))
        return made


def grant_registrar(db: Database, clock: Clock, user_id: UserId) -> None:
    """Let an account make devices known; waits for the commit."""
    at_ms = clock.now_ms()

    def grant(connection: Connection) -> None:
        connection.execute(store.ADD_REGISTRAR, {"user_id": user_id, "at_ms": at_ms})
        subject = f"user:{user_id}"
        audit.record(connection, OPERATOR, "registrar.granted", subject, at_ms=at_ms)

    db.write_blocking(grant)


def revoke_registrar(db: Database, clock: Clock, user_id: UserId) -> None:
    """Take that right away; waits for the commit."""
    at_ms = clock.now_ms()

    def revoke(connection: Connection) -> None:
        connection.execute(store.REMOVE_REGISTRAR, {"of_user_id": user_id})
        subject = f"user:{user_id}"
        audit.record(connection, OPERATOR, "registrar.revoked", subject, at_ms=at_ms)

    db.write_blocking(revoke)


def _set_key(
    connection: Connection,
    device_id: DeviceId,
    caller: Caller,
    public_key: bytes,
    registers: bool,
    at_ms: int,
) -> KeySet:
    actor = f"user:{caller.user_id}"
    device = connection.execute(store.OWNER, {"id": device_id}).first()
    if device is None:
        if not registers:
            raise UnknownDeviceError
        keys.add(connection, device_id, actor=actor, at_ms=at_ms)
        keys.pin(connection, device_id, public_key, actor=actor, at_ms=at_ms)
        return KeySet(device_id, is_registered=True, is_changed=True)
    present = connection.execute(store.KEY, {"id": device_id}).one()
    is_own = device.owner_id == caller.user_id
    is_first_by_registrar = registers and device.owner_id is None and present.public_key is None
    if not (is_own or is_first_by_registrar or caller.is_operator):
        raise UnknownDeviceError
    if present.public_key == public_key:
        return KeySet(device_id, is_registered=False, is_changed=False)
    if present.public_key is None:
        keys.pin(connection, device_id, public_key, actor=actor, at_ms=at_ms)
    else:
        keys.replace(connection, device_id, public_key, actor=actor, at_ms=at_ms)
    return KeySet(device_id, is_registered=False, is_changed=True)


def _create(
    connection: Connection, device_id: DeviceId, platform_id: int, caller: Caller, at_ms: int
) -> Device:
    owned = connection.execute(store.COUNT_OF_OWNER, {"owner_id": caller.user_id}).scalar_one()
    require_developer_device(connection, caller.user_id, owned)
    keys.add(
        connection,
        device_id,
        actor=f"user:{caller.user_id}",
        at_ms=at_ms,
        name=name_for_owner(connection, caller.user_id, None),
        owner_id=caller.user_id,
    )
    _set_platform(connection, device_id, platform_id)
    return store.to_device(connection.execute(store.DEVICE, {"id": device_id}).one())


def _set_platform(connection: Connection, device_id: DeviceId, platform_id: int) -> None:
    connection.execute(store.SET_PLATFORM, {"device_id": device_id, "platform_id": platform_id})
