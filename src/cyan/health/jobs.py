"""Retention: vitals are kept for a month."""

import asyncio
from typing import Final

import structlog

from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.health import store
from cyan.health.model import RETENTION_MS

CHUNK: Final = 2000
"""Rows of one delete: some milliseconds of the writer, so that publishers do not notice."""

INTERVAL_S: Final = 3600.0

_log = structlog.get_logger(__name__)


class VitalsRetention:
    """Deletes the vitals of more than a month ago."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def run_once(self) -> int:
        """Delete all that is due, in chunks that let other writes in between; how many sets."""
        before_ms = self._clock.now_ms() - RETENTION_MS
        deleted = 0
        while count := await self._database.write(
            lambda connection: (
                connection.execute(
                    store.FORGET, {"before_ms": before_ms, "at_most": CHUNK}
                ).rowcount
            )
        ):
            deleted += count
        return deleted

    async def run(self) -> None:
        """Run for as long as the server does."""
        while True:
            try:
                deleted = await self.run_once()
                if deleted:
                    _log.info("health.retention", deleted=deleted)
            except Exception:
                _log.exception("health.retention_failed")
            await asyncio.sleep(INTERVAL_S)
