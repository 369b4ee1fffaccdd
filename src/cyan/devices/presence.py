"""Which device is connected, since when, from where, and when it was last heard.

The row says who holds the device's session; the holder's lease says whether that process lives.
When the lease has ended the device is offline, whatever its row says. A restarted holder renews its
lease and adopts its sessions, so its devices stay online with no offline and online events.
"""

import sys
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Integer,
    Row,
    String,
    Table,
    bindparam,
    select,
)
from sqlalchemy.dialects.sqlite import insert

from cyan.core.db.engine import Database, Prepared
from cyan.core.db.schema import metadata
from cyan.core.ids import DeviceId, share_device_id

LEASE_S = 30.0
"""How long a holder counts as alive after its last renewal; renewed every LEASE_RENEWAL_S."""

LEASE_RENEWAL_S = 5.0

presence_table = Table(
    "devices_presence",
    metadata,
    Column("device_id", String(24), primary_key=True),
    Column("online", Boolean, nullable=False),
    Column("holder", String(64), nullable=False),
    Column("adoption", Integer, nullable=False),
    Column("last_heard_ms", BigInteger, nullable=False),
    Column("last_handshake_ms", BigInteger, nullable=False),
    Column("ip_address", String(45), nullable=False),
)

lease_table = Table(
    "devices_lease",
    metadata,
    Column("holder", String(64), primary_key=True),
    Column("until_ms", BigInteger, nullable=False),
)

_put_presence = insert(presence_table)
_put_presence = _put_presence.on_conflict_do_update(
    index_elements=["device_id"],
    set_={c.name: _put_presence.excluded[c.name] for c in presence_table.c if not c.primary_key},
)
_put_quickly = Prepared(_put_presence)
"""For every Hello."""
_put_lease = insert(lease_table)
_put_lease = _put_lease.on_conflict_do_update(
    index_elements=["holder"], set_={"until_ms": _put_lease.excluded.until_ms}
)
_select_lease = select(lease_table.c.until_ms).where(lease_table.c.holder == bindparam("holder"))
_select_all = select(presence_table)
_select_online = (
    select(presence_table.c.device_id)
    .join(lease_table, lease_table.c.holder == presence_table.c.holder)
    .where(presence_table.c.device_id == bindparam("device_id"))
    .where(presence_table.c.online)
    .where(lease_table.c.until_ms > bindparam("now_ms"))
)

# One step of SQLite for many rows: the writer thread gives up the interpreter lock at each step.
_TOUCH_COLUMNS = 2
_TOUCH_ROWS = 500


class DeviceOnline(msgspec.Struct, frozen=True):
    """A device's session began, or an earlier one goes on after the device counted as offline."""

    device_id: DeviceId


class DeviceResumed(msgspec.Struct, frozen=True):
    """A device goes on with its session over a new connection: it has restarted, slept or lost the
    network, and whatever it was in the middle of is over."""

    device_id: DeviceId


class DeviceOffline(msgspec.Struct, frozen=True):
    """A device said goodbye, fell silent for longer than its limit, or was disconnected."""

    device_id: DeviceId
    reason: str


class Live(Protocol):
    """A live link as presence sees it; its holder keeps these up to date."""

    last_handshake_ms: int

    @property
    def last_heard_ms(self) -> int: ...

    @property
    def ip_address(self) -> str: ...


class PresenceRow(msgspec.Struct):
    """What is known of a device that was connected at least once."""

    device_id: DeviceId
    online: bool
    holder: str
    adoption: int
    last_heard_ms: int
    last_handshake_ms: int
    ip_address: str


class Presence:
    """Presence of every device, for the process that holds their sessions."""

    def __init__(self, db: Database) -> None:
        self._rows = {row.device_id: row for row in map(_read, db.rows(_select_all))}
        # Of these the row is not needed: the holder's link knows better.
        self._live: dict[DeviceId, Live] = {}

    def is_online(self, device_id: DeviceId) -> bool:
        return device_id in self._live

    def seen(self, device_id: DeviceId) -> Live | PresenceRow | None:
        """Its connection, or what is known of its last one; None when there was none."""
        return self._live.get(device_id) or self._rows.get(device_id)

    def last_heard_ms(self, device_id: DeviceId) -> int | None:
        seen = self.seen(device_id)
        return seen.last_heard_ms if seen else None

    def last_handshake_ms(self, device_id: DeviceId) -> int | None:
        seen = self.seen(device_id)
        return seen.last_handshake_ms if seen else None

    def last_ip(self, device_id: DeviceId) -> str | None:
        seen = self.seen(device_id)
        return seen.ip_address if seen else None

    def online_count(self) -> int:
        return len(self._live)

    def was_online(self, device_id: DeviceId) -> bool:
        """What the stored row says, which a restarted holder goes on from."""
        row = self._rows.get(device_id)
        return device_id in self._live if row is None else row.online

    def row(self, device_id: DeviceId) -> PresenceRow | None:
        """The row as it was last written, or is about to be; None of a device that is online."""
        return self._rows.get(device_id)

    def online_devices(self, holder: str) -> list[DeviceId]:
        """Whom this holder's rows call online."""
        return [row.device_id for row in self._rows.values() if row.online and row.holder == holder]

    def came_online(self, device_id: DeviceId, live: Live) -> None:
        self._live[device_id] = live
        self._rows.pop(device_id, None)

    def went_offline(self, device_id: DeviceId) -> None:
        self._live.pop(device_id, None)

    def remember(self, row: PresenceRow) -> None:
        """Take a row into memory that the caller also has stored with `store`."""
        if row.device_id not in self._live:
            self._rows[row.device_id] = row


def store(connection: Connection, rows: Iterable[PresenceRow]) -> None:
    """Write presence rows: a session began or ended."""
    for row in rows:
        _put_quickly.run(connection, msgspec.structs.asdict(row))


def touch(connection: Connection, heard: list[tuple[DeviceId, int]]) -> None:
    """Write when devices were last heard: (device id, stamp in ms), many at once."""
    driver: Any = connection.connection.driver_connection
    for chunk in _chunks(heard, _TOUCH_ROWS):
        values = ",".join(["(?,?)"] * len(chunk))
        driver.execute(
            f"WITH fresh(device_id, heard_ms) AS (VALUES {values}) "  # noqa: S608 - placeholders only
            "UPDATE devices_presence SET last_heard_ms = fresh.heard_ms FROM fresh "
            "WHERE devices_presence.device_id = fresh.device_id",
            [value for pair in chunk for value in pair],
        )


def renew_lease(connection: Connection, holder: str, now_ms: int) -> None:
    """The holder lives until LEASE_S from now."""
    connection.execute(_put_lease, {"holder": holder, "until_ms": now_ms + int(LEASE_S * 1000)})


def last_alive_ms(connection: Connection, holder: str) -> int:
    """When the holder last renewed its lease, within LEASE_RENEWAL_S; 0 when it never had one."""
    until_ms = connection.execute(_select_lease, {"holder": holder}).scalar()
    return 0 if until_ms is None else int(until_ms) - int(LEASE_S * 1000)


def is_held(db: Database, device_id: DeviceId, now_ms: int) -> bool:
    """Whether a living process holds the device online, for processes that are not the holder."""
    return db.row(_select_online, {"device_id": device_id, "now_ms": now_ms}) is not None


def _read(row: Row[Any]) -> PresenceRow:
    return PresenceRow(
        share_device_id(row.device_id),
        row.online,
        # A few words for a whole fleet, and in a fleet of a hundred thousand it shows.
        sys.intern(row.holder),
        row.adoption,
        row.last_heard_ms,
        row.last_handshake_ms,
        sys.intern(row.ip_address),
    )


def _chunks(items: list[tuple[DeviceId, int]], size: int) -> Iterator[list[tuple[DeviceId, int]]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
