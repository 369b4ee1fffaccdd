"""SQL of the doctor: it looks at every feature's tables, and takes its own traces out of them."""

from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Table, bindparam, delete, func, select

import cyan.app  # noqa: F401 - brings the tables of all features together
from cyan.accounts.store import users
from cyan.audit import store as audit
from cyan.core.db.engine import Database
from cyan.core.db.schema import metadata
from cyan.core.ids import DeviceId
from cyan.devices.presence import lease_table, presence_table
from cyan.devices.store import devices_device
from cyan.events import store as events
from cyan.events.store import events_event
from cyan.gateway.store import sessions

_c = devices_device.c

_COUNT_USERS: Final = select(func.count()).select_from(users)
_COUNT_DEVICES: Final = select(func.count()).select_from(devices_device)
_COUNT_SESSIONS: Final = select(func.count()).select_from(sessions)

_OLDEST_EVENT: Final = select(events_event.c.position).order_by(events_event.c.position).limit(1)
_STAMP_FROM: Final = (
    select(events_event.c.published_at_ms)
    .where(events_event.c.position >= bindparam("position"))
    .order_by(events_event.c.position)
    .limit(1)
)
_NEWEST_EVENT: Final = (
    select(events_event.c.published_at_ms).order_by(events_event.c.position.desc()).limit(1)
)
_NEWEST_DEED: Final = (
    select(audit.audit_entry.c.at_ms).order_by(audit.audit_entry.c.id.desc()).limit(1)
)
_NEWEST_HEARD: Final = select(func.max(presence_table.c.last_heard_ms))
_NEWEST_LEASE: Final = select(func.max(lease_table.c.until_ms))

_NEVER_ONLINE: Final = (
    select(_c.id, _c.name, _c.owner_id, _c.public_key.is_not(None).label("has_key"))
    .where(_c.first_online_at_ms.is_(None), _c.registered_at_ms < bindparam("before_ms"))
    .order_by(_c.registered_at_ms.desc())
    .limit(bindparam("page"))
)
_COUNT_NEVER_ONLINE: Final = (
    select(func.count())
    .select_from(devices_device)
    .where(_c.first_online_at_ms.is_(None), _c.registered_at_ms < bindparam("before_ms"))
)
_EVER_ONLINE: Final = select(_c.platform_id).where(_c.first_online_at_ms.is_not(None)).distinct()
_LAST_HANDSHAKE: Final = select(_c.last_handshake_at_ms).where(_c.id == bindparam("device_id"))
_OF_TEST: Final = select(_c.id, _c.registered_at_ms).where(
    _c.name == bindparam("test_name"),
    _c.owner_id.is_(None),
    _c.registered_at_ms < bindparam("before_ms"),
)
_A_SESSION: Final = (
    select(sessions.c.connection_id, sessions.c.cold)
    .order_by(sessions.c.heard_at_ms.desc())
    .limit(1)
)
_SESSIONS_OF_DEVICE: Final = (
    select(func.count()).select_from(sessions).where(sessions.c.device_id == bindparam("device_id"))
)
_ONLINE: Final = select(presence_table.c.online).where(
    presence_table.c.device_id == bindparam("device_id")
)
_EVENTS_OF_DEVICE: Final = select(events_event.c.data).where(
    events_event.c.position > bindparam("after"), events_event.c.origin == bindparam("device_id")
)
_DELETE_EVENTS: Final = delete(events_event).where(
    events_event.c.position > bindparam("after"), events_event.c.origin == bindparam("of_device")
)


class Counts(msgspec.Struct, frozen=True):
    """How much there is. `events` is what the log's positions tell, without counting."""

    accounts: int
    devices: int
    sessions: int
    events: int


class NeverOnline(msgspec.Struct, frozen=True):
    """A device that was registered and never came."""

    id: str
    name: str | None
    owner_id: str | None
    has_key: bool


def count_all(db: Database) -> Counts:
    oldest = db.row(_OLDEST_EVENT)
    newest, _ = events.tip(db)
    return Counts(
        accounts=_number(db, _COUNT_USERS),
        devices=_number(db, _COUNT_DEVICES),
        sessions=_number(db, _COUNT_SESSIONS),
        events=0 if oldest is None else newest - int(oldest[0]) + 1,
    )


def newest_stamps(db: Database) -> dict[str, int]:
    """The newest stamp of each kind that the server writes, in ms, by what it tells."""
    found = {
        "an event was published": db.row(_NEWEST_EVENT),
        "an entry of the audit was written": db.row(_NEWEST_DEED),
        "a device was heard": db.row(_NEWEST_HEARD),
    }
    return {what: int(row[0]) for what, row in found.items() if row and row[0] is not None}


def newest_lease_ms(db: Database) -> int | None:
    """Until when the server says that it lives."""
    row = db.row(_NEWEST_LEASE)
    return None if row is None or row[0] is None else int(row[0])


def list_never_online(db: Database, before_ms: int, limit: int) -> tuple[list[NeverOnline], int]:
    """Devices registered before then that never came, the youngest first; and how many in all."""
    rows = db.rows(_NEVER_ONLINE, {"before_ms": before_ms, "page": limit})
    total = _number(db, _COUNT_NEVER_ONLINE, {"before_ms": before_ms})
    return [NeverOnline(row.id, row.name, row.owner_id, bool(row.has_key)) for row in rows], total


def last_handshake_ms(db: Database, device_id: str) -> int | None:
    """When the device said Hello last and was let in; None when it never was."""
    row = db.row(_LAST_HANDSHAKE, {"device_id": device_id})
    return None if row is None or row[0] is None else int(row[0])


def platforms_seen(db: Database) -> set[int]:
    """The platform ids of all devices that have ever come online."""
    return {int(row[0]) for row in db.rows(_EVER_ONLINE) if row[0] is not None}


def find_sealed_session(db: Database) -> tuple[bytes, bytes] | None:
    """(connection id, what is sealed) of the session that was heard last."""
    row = db.row(_A_SESSION)
    return None if row is None else (bytes(row.connection_id), bytes(row.cold))


def events_of(db: Database, device_id: DeviceId, after: int) -> list[bytes]:
    """The data of a device's events after a position of the log."""
    rows = db.rows(_EVENTS_OF_DEVICE, {"after": after, "device_id": device_id})
    return [bytes(row.data) for row in rows if row.data is not None]


def is_connected(db: Database, device_id: DeviceId) -> bool:
    """Whether the server has a session of the device, or counts it as online."""
    online = db.row(_ONLINE, {"device_id": device_id})
    sessions_left = _number(db, _SESSIONS_OF_DEVICE, {"device_id": device_id})
    return sessions_left > 0 or (online is not None and bool(online[0]))


def list_left_behind(db: Database, name: str, before_ms: int) -> list[tuple[DeviceId, int]]:
    """(id, when it was registered) of devices without an owner that bear the name of a test and
    are older than any test takes."""
    rows = db.rows(_OF_TEST, {"test_name": name, "before_ms": before_ms})
    return [(DeviceId(row.id), int(row.registered_at_ms)) for row in rows]


def position_at(db: Database, at_ms: int) -> int:
    """A position of the log after which everything is that was published from then on.

    Found by halving, since the log is in the order of time and has no index by it.
    """
    oldest = db.row(_OLDEST_EVENT)
    low, (high, _) = (0 if oldest is None else int(oldest[0]) - 1), events.tip(db)
    while low < high:
        middle = (low + high + 1) // 2
        row = db.row(_STAMP_FROM, {"position": middle})
        if row is None or int(row[0]) >= at_ms:
            high = middle - 1
        else:
            low = middle
    return low


def remove_device(
    connection: Connection, device_id: DeviceId, *, events_after: int, actor: str, at_ms: int
) -> int:
    """Take a device out of every table but the audit; how many rows went.

    Of the log only what came after a position is looked through: all of it would keep the server
    from writing for too long.
    """
    removed = 0
    for table in metadata.sorted_tables:
        column = table.c.id if table is devices_device else table.c.get("device_id")
        if column is not None:
            removed += connection.execute(_delete_of(table, column), {"gone": device_id}).rowcount
    of_log = {"after": events_after, "of_device": device_id}
    removed += connection.execute(_DELETE_EVENTS, of_log).rowcount
    if removed:
        audit.record(connection, actor, "device.removed", f"device:{device_id}", at_ms=at_ms)
    return removed


def _delete_of(table: Table, column: Any) -> Any:
    return delete(table).where(column == bindparam("gone"))


def _number(db: Database, statement: Any, parameters: dict[str, Any] | None = None) -> int:
    row = db.row(statement, parameters)
    assert row is not None
    return int(row[0])
