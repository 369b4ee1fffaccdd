"""Retention: the log is kept for so many days and so many bytes, whichever ends first.

It never passes the cursor of a reader: what an integration has not delivered stays.
"""

import asyncio

import structlog
from sqlalchemy import Connection

from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.events import store

CHUNK = 2000
"""Events of one delete: some milliseconds of the writer, so that publishers do not notice."""

INTERVAL_S = 60.0
"""Time between two rounds; at 20,000 events/s the log overshoots by 0.2 GiB at most."""

DAY_MS = 24 * 3600 * 1000
MIB = 1024 * 1024

_log = structlog.get_logger(__name__)


class Retention:
    """Deletes from the old end of the log."""

    def __init__(self, database: Database, clock: Clock, *, days: int, mib: int) -> None:
        self._database = database
        self._clock = clock
        self._age_ms = days * DAY_MS
        self._size_bytes = mib * MIB

    async def run_once(self) -> int:
        """Delete all that is due, in chunks that let other writes in between; how many events."""
        deleted = 0
        while count := await self._database.write(self._trim):
            deleted += count
        return deleted

    async def run(self) -> None:
        """Run for as long as the server does."""
        while True:
            try:
                deleted = await self.run_once()
                if deleted:
                    _log.info("events.retention", deleted=deleted)
            except Exception:
                _log.exception("events.retention_failed")
            await asyncio.sleep(INTERVAL_S)

    def _trim(self, connection: Connection) -> int:
        """Delete at most CHUNK events, oldest first, up to the first one that stays."""
        cutoff_ms = self._clock.now_ms() - self._age_ms
        surplus = store.stretch_bytes(connection) - self._size_bytes
        cursor = store.least_cursor(connection)
        rows = store.head(connection, cursor, CHUNK)
        due = 0
        last = start_byte = 0
        for position, published_at_ms, end_byte in map(tuple, rows):
            start_byte = start_byte or end_byte
            if published_at_ms >= cutoff_ms and end_byte - start_byte >= surplus:
                break
            last = position
            due += 1
        if due:
            store.trim(connection, last)
        return due
