"""SQL of the gateway: one row a session."""

from collections.abc import Iterable, Iterator
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

MESSAGE_ID_MARGIN = 4096
"""Our message ids go on from the last stored one plus more than one flush interval can use; they
must not come again within 45 s (device-protocol.md §2.1)."""

ROWS_IN_ONE_STEP = 250
"""Rows of a flush that go to SQLite as one statement: the writer thread gives up the interpreter
lock at each step, and waits for it while the loop is busy."""

_insert = Prepared(insert(sessions))
_of_holder = Prepared(select(sessions).where(sessions.c.holder == bindparam("of_holder")))
_adopt = (
    update(sessions)
    .where(sessions.c.holder == bindparam("of_holder"))
    .values(
        adoption=sessions.c.adoption + 1,
        # In the row, not only in memory: the next crash may come before the first flush.
        next_message_id=(sessions.c.next_message_id + MESSAGE_ID_MARGIN) % 0x10000,
    )
)
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


class Hot(msgspec.Struct, frozen=True, gc=False):
    """What a flush writes of a session."""

    connection_id: bytes
    adoption: int
    highest_received: int
    replay_window: bytes
    device_message_id: int
    next_message_id: int
    address: bytes
    settled: bool
    heard_at_ms: int


def add(connection: Connection, row: StoredSession) -> None:
    _insert.run(connection, msgspec.structs.asdict(row))


def adopt_all(connection: Connection, holder: str) -> None:
    """Take over every session of `holder` (this process after a restart): the adoption number rises
    before the first record is sent, so that no nonce is used twice."""
    connection.execute(_adopt, {"of_holder": holder})


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


def save_hot(connection: Connection, rows: list[Hot]) -> None:
    """Write the hot columns of many sessions; rows of an older adoption change nothing."""
    driver: Any = connection.connection.driver_connection
    for chunk in _chunks(rows):
        values = ",".join(["(?,?,?,?,?,?,?,?,?)"] * len(chunk))
        driver.execute(
            "WITH fresh(connection_id, adoption, highest_received, replay_window,"  # noqa: S608
            " device_message_id, next_message_id, address, settled, heard_at_ms)"
            f" AS (VALUES {values})"
            " UPDATE gateway_session SET"
            " highest_received = fresh.highest_received, replay_window = fresh.replay_window,"
            " device_message_id = fresh.device_message_id,"
            " next_message_id = fresh.next_message_id, address = fresh.address,"
            " settled = fresh.settled, heard_at_ms = fresh.heard_at_ms"
            " FROM fresh WHERE gateway_session.connection_id = fresh.connection_id"
            " AND gateway_session.adoption = fresh.adoption",
            [value for row in chunk for value in msgspec.structs.astuple(row)],
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


def _chunks(rows: list[Hot]) -> Iterable[list[Hot]]:
    def generate() -> Iterator[list[Hot]]:
        for start in range(0, len(rows), ROWS_IN_ONE_STEP):
            yield rows[start : start + ROWS_IN_ONE_STEP]

    return generate()
