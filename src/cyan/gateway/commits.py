"""Writes of the gateway, and going on after their commit: one wake-up of the loop for a group."""

import asyncio
import threading
from collections.abc import Callable
from typing import Final

import structlog

from cyan.core.db.engine import Database
from cyan.gateway import metrics
from cyan.gateway.effects import Work

Then = Callable[[bool], None]

MAX_WAITING: Final = 16_384
"""Units that wait for the disk. Beyond it, what a device asks for is refused at once, so that it
comes again later; it takes a few seconds to work off."""

_log = structlog.get_logger(__name__)


class Commits:
    """Hands work to the writer; what follows runs on the loop, in order."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._done: list[tuple[Then, BaseException | None]] = []
        self._waiting = 0

    def offer(self, work: Work, then: Then) -> None:
        """As `submit`, unless too much waits already: then `then(False)` at once."""
        if self._waiting >= MAX_WAITING:
            metrics.dropped_overload.inc()
            then(False)
        else:
            self.submit(work, then)

    def submit(self, work: Work, then: Then) -> None:
        """Commit `work`; `then(ok)` on the loop afterwards."""
        loop = asyncio.get_running_loop()
        self._waiting += 1

        def done(_result: None, error: BaseException | None) -> None:
            # In the writer's thread. Whoever finds the list empty wakes the loop, for all that
            # follow until it has taken them.
            with self._lock:
                is_first = not self._done
                self._done.append((then, error))
            if is_first:
                loop.call_soon_threadsafe(self._go_on)

        self._database.submit(work, done)

    def _go_on(self) -> None:
        with self._lock:
            done, self._done = self._done, []
        self._waiting -= len(done)
        for then, error in done:
            if error is not None:
                _log.error("gateway.commit_failed", error=repr(error))
            try:
                then(error is None)
            except Exception:
                _log.exception("gateway.after_commit_failed")
