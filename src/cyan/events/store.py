"""The tables of the event log, and the statements on them."""

import contextlib
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    LargeBinary,
    Row,
    String,
    Table,
    bindparam,
    delete,
    func,
    select,
)
from sqlalchemy.dialects.sqlite import insert

from cyan.core.db.engine import Database
from cyan.core.db.schema import metadata
from cyan.events.model import Event, Wanted

# INTEGER is what makes it the rowid in SQLite; 64 bits there, but 32 elsewhere.
_POSITION: Final = BigInteger().with_variant(Integer, "sqlite")

OWNER_PAGE: Final = 100
"""Events of one read by owner at most."""

OWNER_PAGE_BYTES: Final = 128 * 1024
"""Data of one read by owner at most, but for a single larger event: about a millisecond of the loop
to read, render and send. A hundred events of 100 KB would hold it up for a tenth of a second."""

events_event = Table(
    "events_event",
    metadata,
    Column("position", _POSITION, primary_key=True, autoincrement=False),
    # Bytes of the log up to and with this event, so that the size of any stretch is a subtraction.
    Column("end_byte", BigInteger, nullable=False),
    Column("name", String(64), nullable=False),
    Column("data", LargeBinary, nullable=True),
    Column("published_at_ms", BigInteger, nullable=False),
    Column("origin", String(24), nullable=False),
    Column("owner_id", String(24), nullable=True),
    Column("content_format", Integer, nullable=False),
    Column("ttl_s", Integer, nullable=False),
    Column("product_id", Integer, nullable=True),
    Column("version", Integer, nullable=False),
    Column("session", LargeBinary, nullable=True),
    Column("message_id", Integer, nullable=True),
    # No further index: position already is time, all readers go forward from a position, and with
    # many owners an index by owner doubled the cost of a commit (one dirty page for each owner).
)

events_cursor = Table(
    "events_cursor",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("position", BigInteger, nullable=False),
)

events_secret = Table(
    "events_secret",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

TRIMMED: Final = "log/trimmed"
"""The row of events_cursor that says up to where retention has deleted; not a reader's cursor."""

ROW_OVERHEAD_BYTES: Final = 88
"""What an event takes on disk beside its name and data: ids, stamps, session (measured)."""

MAX_ROWS_A_STATEMENT: Final = 512
"""Rows of one INSERT: the writer thread gives up the interpreter lock at each step of SQLite, and
gets it back only when the busy loop lets go."""

_LAST_POSITION: Final = 2**63 - 1

_EVENT_COLUMNS: Final = tuple(events_event.c[name] for name in Event.__struct_fields__)
_INSERT_COLUMNS: Final = ("position", "end_byte", *Event.__struct_fields__)

LogRow = tuple[
    int,
    int,
    str,
    bytes | None,
    int,
    str,
    str | None,
    int,
    int,
    int | None,
    int,
    bytes | None,
    int | None,
]
"""A row of events_event in the order of its columns."""

_AFTER = (
    select(events_event.c.position, *_EVENT_COLUMNS)
    .where(events_event.c.position > bindparam("after"))
    .order_by(events_event.c.position)
    .limit(bindparam("page"))
)
_BETWEEN_OF_OWNER = (
    select(events_event.c.position, *_EVENT_COLUMNS)
    .where(events_event.c.position > bindparam("after"))
    .where(events_event.c.position <= bindparam("up_to"))
    .where(events_event.c.owner_id == bindparam("owner_id"))
    .order_by(events_event.c.position)
    .limit(OWNER_PAGE)
)
_SIZES_OF_OWNER = (
    select(events_event.c.position, func.coalesce(func.length(events_event.c.data), 0))
    .where(events_event.c.position > bindparam("after"))
    .where(events_event.c.position <= bindparam("up_to"))
    .where(events_event.c.owner_id == bindparam("owner_id"))
    .order_by(events_event.c.position)
    .limit(OWNER_PAGE)
)
_NEWEST = (
    select(events_event.c.position, events_event.c.end_byte)
    .order_by(events_event.c.position.desc())
    .limit(1)
)
_OLDEST = (
    select(events_event.c.position, events_event.c.end_byte)
    .order_by(events_event.c.position)
    .limit(1)
)
_MESSAGES_BEFORE = (
    select(
        events_event.c.position,
        events_event.c.published_at_ms,
        events_event.c.session,
        events_event.c.message_id,
    )
    .where(events_event.c.position < bindparam("before"))
    .order_by(events_event.c.position.desc())
    .limit(bindparam("page"))
)
_HEAD = (
    select(events_event.c.position, events_event.c.published_at_ms, events_event.c.end_byte)
    .where(events_event.c.position <= bindparam("up_to"))
    .order_by(events_event.c.position)
    .limit(bindparam("page"))
)
_DELETE_UP_TO = delete(events_event).where(events_event.c.position <= bindparam("up_to"))
_LEAST_CURSOR = select(func.min(events_cursor.c.position)).where(events_cursor.c.name != TRIMMED)
_CURSOR = select(events_cursor.c.position).where(events_cursor.c.name == bindparam("cursor_name"))
_PUT_CURSOR = insert(events_cursor)
_PUT_CURSOR = _PUT_CURSOR.on_conflict_do_update(
    index_elements=["name"], set_={"position": _PUT_CURSOR.excluded.position}
)
_SECRET = select(events_secret.c.value).where(events_secret.c.name == bindparam("secret_name"))
_KEEP_SECRET = insert(events_secret).on_conflict_do_nothing()


_SEARCH = (
    f"SELECT position, {', '.join(Event.__struct_fields__)} FROM events_event"  # noqa: S608
    " WHERE position BETWEEN :low AND :high AND owner_id = :owner_id"
    " AND published_at_ms BETWEEN :from_ms AND :to_ms"
    " AND (:origin IS NULL OR origin = :origin)"
    " AND substr(name, 1, length(:prefix)) = :prefix"
    " ORDER BY position"
)
_SEARCH_OLDEST: Final = _SEARCH
_SEARCH_NEWEST: Final = _SEARCH + " DESC"


def add(connection: Connection, rows: Sequence[LogRow]) -> None:
    """Insert events in few steps, by hand-written statements whose texts are cached."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    start, left = 0, len(rows)
    while left:
        # Sizes are powers of two, so that a handful of prepared statements serves every batch.
        count = min(MAX_ROWS_A_STATEMENT, 1 << (left.bit_length() - 1))
        chunk = rows[start : start + count]
        driver.execute(_insert_text(count), [value for row in chunk for value in row])
        start += count
        left -= count


@cache
def _insert_text(count: int) -> str:
    row = f"({','.join('?' * len(_INSERT_COLUMNS))})"
    columns = ",".join(_INSERT_COLUMNS)
    return f"INSERT INTO events_event({columns}) VALUES {','.join([row] * count)}"  # noqa: S608


def read_after(database: Database, position: int, limit: int) -> list[tuple[int, Event]]:
    """At most `limit` events after a position, in order: (position, event)."""
    return [_event(row) for row in database.rows(_AFTER, {"after": position, "page": limit})]


def read_of_owner(
    database: Database, owner_id: str, after: int, up_to: int
) -> tuple[list[tuple[int, Event]], int]:
    """The first events of one owner in a stretch of positions, and how far that looked.

    At most OWNER_PAGE of them with OWNER_PAGE_BYTES of data. The caller keeps the stretch short: it
    is scanned, and on the loop.
    """
    parameters = {"owner_id": owner_id, "after": after, "up_to": up_to}
    sizes = [tuple(row) for row in database.rows(_SIZES_OF_OWNER, parameters)]
    end = sizes[-1][0] if len(sizes) == OWNER_PAGE else up_to
    total, last = 0, None
    for position, size in sizes:
        total += size
        if total > OWNER_PAGE_BYTES and last is not None:
            end = last
            break
        last = position
    if not sizes:
        return [], end
    rows = database.rows(_BETWEEN_OF_OWNER, parameters | {"up_to": end})
    return [_event(row) for row in rows], end


def _event(row: Row[*tuple[Any, ...]] | tuple[Any, ...]) -> tuple[int, Event]:
    return row[0], Event(*row[1:])


@contextlib.contextmanager
def open_beside(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection for reads of a worker thread that take long: the loop's own would be blocked."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        yield connection
    finally:
        connection.close()


def ends(connection: sqlite3.Connection) -> tuple[int, int]:
    """The first and the last position of the log; (1, 0) when it is empty."""
    found = connection.execute("SELECT min(position), max(position) FROM events_event").fetchone()
    return (1, 0) if found[0] is None else found


def position_since(connection: sqlite3.Connection, at_ms: int, low: int, high: int) -> int:
    """The first position from `low` to `high` whose event is not older; `high + 1` without one.

    By halving: stamps rise with positions, but for what a clock that was set makes of them.
    """
    high += 1
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(
            "SELECT position, published_at_ms FROM events_event WHERE position >= ?"
            " ORDER BY position LIMIT 1",
            (middle,),
        ).fetchone()
        if row is None or row[0] >= high or row[1] >= at_ms:
            high = middle
        else:
            low = row[0] + 1
    return low


def search(
    connection: sqlite3.Connection, wanted: Wanted, low: int, high: int, limit: int, max_bytes: int
) -> tuple[list[tuple[int, Event]], int]:
    """Events that fit from `low` to `high`, and the position of the last one looked at.

    At most `limit` of them, and none after data of `max_bytes`. Newest first if wanted.
    """
    found: list[tuple[int, Event]] = []
    size_bytes = 0
    cursor = connection.execute(
        _SEARCH_NEWEST if wanted.newest_first else _SEARCH_OLDEST,
        {
            "low": low,
            "high": high,
            "owner_id": wanted.owner_id,
            "prefix": wanted.prefix,
            "origin": wanted.device_id,
            "from_ms": wanted.from_ms,
            "to_ms": wanted.to_ms,
        },
    )
    with contextlib.closing(cursor):
        for row in cursor:
            position, event = _event(row)
            found.append((position, event))
            size_bytes += len(event.data or b"")
            if len(found) == limit or size_bytes >= max_bytes:
                return found, position
    return found, low if wanted.newest_first else high


def messages_before(
    database: Database, position: int, limit: int
) -> Sequence[Row[*tuple[Any, ...]]]:
    """The newest rows before a position: (position, published_at_ms, session, message_id)."""
    return database.rows(_MESSAGES_BEFORE, {"before": position, "page": limit})


def tip(database: Database) -> tuple[int, int]:
    """The last position that was ever used, and the log's running byte count there."""
    newest = database.row(_NEWEST)
    position, end_byte = (0, 0) if newest is None else tuple(newest)
    return max(position, find_cursor(database, TRIMMED) or 0), end_byte


def stretch_bytes(connection: Connection) -> int:
    """How much the log holds now, about."""
    oldest = connection.execute(_OLDEST).first()
    newest = connection.execute(_NEWEST).first()
    if oldest is None or newest is None:
        return 0
    return int(newest[1] - oldest[1]) + ROW_OVERHEAD_BYTES


def head(connection: Connection, up_to: int | None, limit: int) -> Sequence[Row[*tuple[Any, ...]]]:
    """The oldest rows, not after a position if given: (position, published_at_ms, end_byte)."""
    end = _LAST_POSITION if up_to is None else up_to
    return connection.execute(_HEAD, {"up_to": end, "page": limit}).fetchall()


def trim(connection: Connection, up_to: int) -> None:
    """Delete the log up to and with a position, and remember it: positions are never reused."""
    connection.execute(_DELETE_UP_TO, {"up_to": up_to})
    put_cursor(connection, TRIMMED, up_to)


def least_cursor(connection: Connection) -> int | None:
    """The position of the reader that is furthest behind, or None without readers."""
    found = connection.execute(_LEAST_CURSOR).scalar()
    return None if found is None else int(found)


def put_cursor(connection: Connection, name: str, position: int) -> None:
    """Store how far a reader of the log has come: everything up to `position` is done."""
    connection.execute(_PUT_CURSOR, {"name": name, "position": position})


def find_cursor(database: Database, name: str) -> int | None:
    row = database.row(_CURSOR, {"cursor_name": name})
    return None if row is None else int(row[0])


def cursor_key(database: Database) -> bytes:
    """The 16-byte key that hides positions in cursors given out; made on first use. Blocks once.

    It protects no one's data, only how busy the whole server is, so it may lie in the database.
    """
    row = database.row(_SECRET, {"secret_name": "cursor"})
    if row is None:
        value = secrets.token_bytes(16)
        database.write_blocking(
            lambda connection: connection.execute(_KEEP_SECRET, {"name": "cursor", "value": value})
        )
        row = database.row(_SECRET, {"secret_name": "cursor"})
        assert row is not None
    return bytes(row[0])
