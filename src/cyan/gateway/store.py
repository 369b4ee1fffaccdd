"""SQL of the gateway: one row a session, and the journal of what changes with every message."""

from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from cyan.core.db.engine import Database, Prepared
from cyan.core.db.schema import metadata
from cyan.devices.presence import PresenceRow
from cyan.gateway.entries import Batch, Hot, newest

sessions = Table(
    "gateway_session",
    metadata,
    Column("connection_id", LargeBinary(8), primary_key=True),
    Column("device_id", String(24)),
    Column("format", Integer, nullable=False),
    Column("cold", LargeBinary, nullable=False),
    Column("holder", String(64), nullable=False),
    Column("adoption", Integer, nullable=False),
    Column("highest_received", BigInteger, nullable=False),
    Column("replay_window", LargeBinary(8), nullable=False),
    Column("device_message_id", Integer, nullable=False),
    Column("next_message_id", Integer, nullable=False),
    Column("address", LargeBinary(28), nullable=False),
    Column("settled", Boolean, nullable=False),
    Column("heard_at_ms", BigInteger, nullable=False),
    Column("established_at_ms", BigInteger, nullable=False),
    Index(None, "device_id"),
    Index(None, "holder"),
)

journal = Table(
    "gateway_journal",
    metadata,
    Column("holder", String(64), primary_key=True),
    Column("start", BigInteger, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("entries", LargeBinary, nullable=False),
)
"""`entries` are packed by gateway/entries.py."""

MESSAGE_ID_MARGIN = 4096
"""Our message ids go on from the last stored one plus more than one flush interval can use; they
must not come again within 45 s (device-protocol.md §2.1)."""

_add_batch = Prepared(insert(journal))
_remove_batches = Prepared(
    delete(journal)
    .where(journal.c.holder == bindparam("of_holder"))
    .where(journal.c.start == bindparam("of_start"))
    .where(journal.c.number < bindparam("of_oldest"))
)
_read_batches = Prepared(
    select(journal.c.entries)
    .where(journal.c.holder == bindparam("of_holder"))
    .order_by(journal.c.number)
)
_remove_all_batches = delete(journal).where(journal.c.holder == bindparam("of_holder"))
_HOT = (
    "next_message_id",
    "highest_received",
    "replay_window",
    "device_message_id",
    "settled",
    "heard_at_ms",
    "address",
)
"""Columns that are up to date in the journal only."""

_insert = Prepared(insert(sessions))
_of_holder = Prepared(select(sessions).where(sessions.c.holder == bindparam("of_holder")))
_save_cold = Prepared(
    update(sessions)
    .where(sessions.c.connection_id == bindparam("of_connection_id"))
    .where(sessions.c.adoption == bindparam("of_adoption"))
    .values(device_id=bindparam("device_id"), cold=bindparam("cold"), format=bindparam("format"))
)
_delete = (
    delete(sessions)
    .where(sessions.c.connection_id == bindparam("of_connection_id"))
    .where(sessions.c.adoption == bindparam("of_adoption"))
)
_others = Prepared(
    select(sessions.c.connection_id)
    .where(sessions.c.device_id == bindparam("of_device_id"))
    .where(
        (sessions.c.holder != bindparam("of_holder"))
        | (sessions.c.adoption != bindparam("of_adoption"))
    )
    .limit(1)
)
_delete_others = Prepared(
    delete(sessions)
    .where(sessions.c.device_id == bindparam("of_device_id"))
    .where(sessions.c.connection_id != bindparam("of_connection_id"))
)
_delete_unfinished = (
    delete(sessions)
    .where(sessions.c.device_id.is_(None))
    .where(sessions.c.established_at_ms < bindparam("before_ms"))
)


class StoredSession(msgspec.Struct, frozen=True):
    """A row, column by column."""

    connection_id: bytes
    device_id: str | None
    format: int
    cold: bytes
    holder: str
    adoption: int
    highest_received: int
    replay_window: bytes
    device_message_id: int
    next_message_id: int
    address: bytes
    settled: bool | int
    heard_at_ms: int
    established_at_ms: int


def add(connection: Connection, row: StoredSession) -> None:
    _insert.run(connection, msgspec.structs.asdict(row))


def adopt_all(connection: Connection, holder: str) -> None:
    """Take over every session of `holder`, this process after a restart.

    The adoption number rises before the first record is sent, so that no nonce is used twice, and
    our message ids go on behind all that can have been used: both in the row and not only in
    memory, because the next crash may come before the first flush. What the journal says goes into
    the row too, and the journal begins anew. An entry of another adoption than its row's does not
    count: the session had another holder meanwhile.
    """
    batches = _read_batches.run(connection, {"of_holder": holder})
    entries = newest(packed for (packed,) in batches)
    driver: Any = connection.connection.driver_connection
    # In one go and in the order of the pages: each page of a large fleet is written once.
    rows = driver.execute(
        f"SELECT rowid, adoption, connection_id, {', '.join(_HOT)} FROM gateway_session"  # noqa: S608
        " WHERE holder = ? ORDER BY rowid",
        (holder,),
    ).fetchall()
    driver.executemany(
        "UPDATE gateway_session SET adoption = adoption + 1,"  # noqa: S608
        f" {', '.join(f'{name} = ?' for name in _HOT)} WHERE rowid = ?",
        (
            (*_adopted(entries.get((connection_id, adoption)), stored), rowid)
            for rowid, adoption, connection_id, *stored in rows
        ),
    )
    connection.execute(_remove_all_batches, {"of_holder": holder})


def _adopted(entry: Hot | None, stored: list[Any]) -> tuple[object, ...]:
    """What _HOT are after an adoption."""
    if entry is None:
        next_message_id, *rest = stored
    else:
        next_message_id = entry.next_message_id
        rest = [
            entry.highest_received,
            entry.replay_window.to_bytes(8, "big"),
            entry.device_message_id,
            entry.settled,
            entry.heard_at_ms,
            entry.address,
        ]
    return ((next_message_id + MESSAGE_ID_MARGIN) % 0x10000, *rest)


def list_of(database: Database, holder: str) -> Iterator[StoredSession]:
    """The holder's sessions, one by one: all at once take more memory than what they become."""
    for row in _of_holder.each(database, {"of_holder": holder}):
        yield StoredSession(*row)


def save_cold(
    connection: Connection,
    connection_id: bytes,
    adoption: int,
    *,
    device_id: str | None,
    format_number: int,
    cold: bytes,
) -> bool:
    """False when another holder has taken the session over meanwhile."""
    changed = _save_cold.run(
        connection,
        {
            "of_connection_id": connection_id,
            "of_adoption": adoption,
            "device_id": device_id,
            "format": format_number,
            "cold": cold,
        },
    )
    return changed.rowcount == 1


def save_batch(connection: Connection, holder: str, batch: Batch) -> None:
    """Add a batch to the journal, and remove those that no session needs any more."""
    _add_batch.run(connection, {"holder": holder, **msgspec.structs.asdict(batch)})
    _remove_batches.run(
        connection, {"of_holder": holder, "of_start": batch.start, "of_oldest": batch.oldest}
    )


def is_taken_over(connection: Connection, row: PresenceRow) -> bool:
    """Whether the device's session has another holder by now than the one who noted this."""
    parameters = {
        "of_device_id": row.device_id,
        "of_holder": row.holder,
        "of_adoption": row.adoption,
    }
    return _others.run(connection, parameters).fetchone() is not None


def remove(connection: Connection, connection_id: bytes, adoption: int) -> None:
    """Forget a session, unless another holder has taken it over meanwhile."""
    connection.execute(_delete, {"of_connection_id": connection_id, "of_adoption": adoption})


def remove_others(connection: Connection, device_id: str, connection_id: bytes) -> None:
    """The newest handshake wins: every other session of the device is forgotten."""
    _delete_others.run(connection, {"of_device_id": device_id, "of_connection_id": connection_id})


def remove_unfinished(connection: Connection, before_ms: int) -> None:
    """Sessions whose device never said Hello."""
    connection.execute(_delete_unfinished, {"before_ms": before_ms})
