"""What the owner wants of a device: that it is for development, that it takes updates in any case.

`firmware_updates_forced` is told to the device at once, and again whenever it comes online while it
is set, because a device forgets it at a reset (platform-semantics.md §10).
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from sqlalchemy import Connection, Update

from cyan.audit import store as audit
from cyan.core.db.engine import Database
from cyan.core.errors import InvalidError
from cyan.core.ids import DeviceId, UserId
from cyan.devices import store
from cyan.devices.model import UnknownDeviceError, UpdatesForced
from cyan.devices.presence import DeviceOnline

FORCED_EVENT: Final = "particle/device/updates/forced"
"""`true` or `false` (device-protocol.md §3.11)."""

_TRUE: Final = (True, "true", "1", 1)
_FALSE: Final = (False, "false", "0", 0)
"""Forms carry text (rest-api-core.md §1.1)."""


class NotAFlagError(InvalidError):
    """A flag is true or false."""


class EventSender(Protocol):
    """What this module asks of the link to devices."""

    def send_event(self, device_id: DeviceId, name: str, data: bytes | None) -> bool: ...


def read_flag(name: str, value: object) -> bool:
    """Raises NotAFlagError."""
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise NotAFlagError(f"{name} is true or false.")


def set_development(
    connection: Connection, device_id: DeviceId, owner_id: UserId, value: bool, *, at_ms: int
) -> Mapping[str, object]:
    """Mark the owner's device as one for development, or not; returns what changed.

    Raises UnknownDeviceError when it is not the owner's any more.
    """
    _set(connection, store.SET_DEVELOPMENT, device_id, owner_id, value, at_ms)
    audit.record(
        connection,
        f"user:{owner_id}",
        "device.development_set",
        f"device:{device_id}",
        {"development": value},
        at_ms=at_ms,
    )
    return {"development": value}


def set_updates_forced(
    connection: Connection, device_id: DeviceId, owner_id: UserId, value: bool, *, at_ms: int
) -> Mapping[str, object]:
    """Let the owner's device take updates in any case, or not; returns what changed.

    Raises UnknownDeviceError when it is not the owner's any more.
    """
    _set(connection, store.SET_FORCES_UPDATES, device_id, owner_id, value, at_ms)
    audit.record(
        connection,
        f"user:{owner_id}",
        "device.updates_forced_set",
        f"device:{device_id}",
        {"updates_forced": value},
        at_ms=at_ms,
    )
    return {"firmware_updates_forced": value}


class ForcedUpdates:
    """Tells devices that they shall take updates in any case."""

    def __init__(self, db: Database, sender: EventSender) -> None:
        self._db = db
        self._sender = sender

    def on_changed(self, fact: UpdatesForced) -> None:
        self._tell(fact.device_id, fact.forced)

    def on_online(self, fact: DeviceOnline) -> None:
        rows = store.FORCES_UPDATES.rows(self._db, {"id": fact.device_id})
        if rows and rows[0][0]:
            self._tell(fact.device_id, True)

    def _tell(self, device_id: DeviceId, forced: bool) -> None:
        self._sender.send_event(device_id, FORCED_EVENT, b"true" if forced else b"false")


def _set(
    connection: Connection,
    statement: Update,
    device_id: DeviceId,
    owner_id: UserId,
    value: bool,
    at_ms: int,
) -> None:
    values: dict[str, Any] = {"value": value, "at_ms": at_ms}
    done = connection.execute(
        statement, {"device_id": device_id, "for_owner_id": owner_id, **values}
    )
    if done.rowcount != 1:
        raise UnknownDeviceError
