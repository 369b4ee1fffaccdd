"""Claiming a device and giving it up (platform-semantics.md §5.2 and §21 row 1).

| the device is | and | result |
|---|---|---|
| not known, or the id is malformed | | UnknownDeviceError |
| the caller's own | online or not | success, nothing changes |
| somebody else's | online or not | BelongsToSomeoneElseError |
| without owner | offline | NotOnlineError |
| without owner | the caller is at the limit of the plan | DeviceLimitError |
| without owner | online | the caller's, at once: the next event is routed to them |
"""

import msgspec
from sqlalchemy import Connection

from cyan.accounts.people import require_account
from cyan.audit import store as audit
from cyan.core.bus import Bus
from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.core.errors import ForbiddenError, NotFoundError
from cyan.core.ids import DeviceId, MalformedDeviceIdError, UserId, parse_device_id
from cyan.devices import store
from cyan.devices.model import Device, DeviceClaimed, DeviceReleased, UnknownDeviceError
from cyan.devices.naming import name_for_owner
from cyan.devices.ownership import Ownership
from cyan.devices.resource import PresenceView
from cyan.plans.service import require_developer_device
from cyan.rest.auth import Caller


class NotOnlineError(NotFoundError):
    """The device is not online. Connect it first: its light breathes cyan when it is."""


class BelongsToSomeoneElseError(ForbiddenError):
    """That belongs to someone else."""


class Claim(msgspec.Struct, frozen=True):
    """The caller owns the device now; `newly` unless it was theirs before."""

    device_id: DeviceId
    online: bool
    newly: bool


class Claiming:
    """Changes owners. Each change is one transaction; the fact is told after its commit."""

    def __init__(
        self, db: Database, clock: Clock, bus: Bus, ownership: Ownership, presence: PresenceView
    ) -> None:
        self._db = db
        self._clock = clock
        self._bus = bus
        self._ownership = ownership
        self._presence = presence

    async def claim(self, caller: Caller, id_text: str) -> Claim:
        """Make the caller the owner. Raises the errors of this module's table."""
        try:
            device_id = parse_device_id(id_text)
        except MalformedDeviceIdError as error:
            raise UnknownDeviceError from error
        online = self._presence.is_online(device_id)
        at_ms = self._clock.now_ms()
        newly = await self._db.write(
            lambda connection: _claim(connection, device_id, caller, online, at_ms)
        )
        if newly:
            self._ownership.refresh(device_id)
            self._bus.publish(DeviceClaimed(device_id, caller.user_id, previous=None))
        return Claim(device_id, online, newly)

    async def release(self, caller: Caller, device: Device) -> None:
        """Give up the caller's device, online or not. Its name and notes go with its owner.

        Raises UnknownDeviceError when it is not the caller's any more.
        """
        at_ms = self._clock.now_ms()
        await self._db.write(lambda connection: _release(connection, device.id, caller, at_ms))
        self._ownership.refresh(device.id)
        self._bus.publish(DeviceReleased(device.id, previous=caller.user_id))


def _claim(
    connection: Connection, device_id: DeviceId, caller: Caller, online: bool, at_ms: int
) -> bool:
    row = connection.execute(store.OWNER_AND_NAME, {"id": device_id}).first()
    if row is None:
        raise UnknownDeviceError
    if row.owner_id == caller.user_id:
        return False
    if row.owner_id is not None:
        raise BelongsToSomeoneElseError
    if not online:
        raise NotOnlineError
    require_account(connection, caller.user_id)
    give(connection, device_id, caller.user_id, previous=None, name=row.name, at_ms=at_ms)
    return True


def give(
    connection: Connection,
    device_id: DeviceId,
    owner_id: UserId,
    *,
    previous: UserId | None,
    name: str | None,
    at_ms: int,
    how: str | None = None,
) -> None:
    """Make `owner_id` the owner of a device that `previous` has, or nobody.

    A device without owner keeps its `name`; one that had an owner leaves name and notes behind.
    `how` is a word for the audit when it was not by asking. Raises DeviceLimitError.
    """
    owned = connection.execute(store.COUNT_OF_OWNER, {"owner_id": owner_id}).scalar_one()
    require_developer_device(connection, owner_id, owned)
    done = connection.execute(
        store.CLAIM,
        {
            "device_id": device_id,
            "for_owner_id": previous,
            "new_owner_id": owner_id,
            "name": name_for_owner(connection, owner_id, name if previous is None else None),
            "at_ms": at_ms,
        },
    )
    if done.rowcount != 1:
        raise BelongsToSomeoneElseError
    known = {"how": how, "previous": previous}
    detail: dict[str, object] = {key: value for key, value in known.items() if value is not None}
    audit.record(
        connection,
        f"user:{owner_id}",
        "device.claimed",
        f"device:{device_id}",
        detail or None,
        at_ms=at_ms,
    )


def _release(connection: Connection, device_id: DeviceId, caller: Caller, at_ms: int) -> None:
    done = connection.execute(
        store.RELEASE,
        {"device_id": device_id, "for_owner_id": caller.user_id, "at_ms": at_ms},
    )
    if done.rowcount != 1:
        raise UnknownDeviceError
    audit.record(
        connection, f"user:{caller.user_id}", "device.released", f"device:{device_id}", at_ms=at_ms
    )
