"""The event log: what is acknowledged is in it, and it is the queue of all that read later.

Events that arrive while a commit runs wait for the next one, together. So a batch is as large as
the disk is slow, and an event costs no task, timer or thread hop of its own.
"""

import asyncio
from collections.abc import Callable, Iterator

import structlog
from sqlalchemy import Connection

from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.events import store
from cyan.events.model import Event

Done = Callable[[bool], None]
Batch = list[tuple[int, Event]]

MAX_BATCH = 4096
"""Events of one commit at most, so that no commit holds up other writes for long."""

MAX_WAITING = 65_536
"""Events that may wait for a commit; more are refused at once. At 20,000/s it is three seconds."""

COMMIT_INTERVAL_S = 0.004
"""Least time from one commit's start to the next one's. A commit costs a few hundred microseconds
of CPU, however small: under load it is shared by more events, and a lone event does not wait."""

COMMIT_TIMEOUT_S = 10.0
"""When the disk has not answered for this long, publishers are told so. Devices wait 20 s for an
answer (platform-semantics.md §6.1), and lose their session after 60 to 90 s without one."""

WATCH_INTERVAL_S = 1.0
"""How often a wait for the disk is compared with COMMIT_TIMEOUT_S."""

RECENT_PAGE = 2048
"""Rows of one read when the recent messages are loaded."""

SCAN_SPAN = 2000
"""Positions that one read by owner looks at: about a millisecond of the loop."""

_log = structlog.get_logger(__name__)


class EventLog:
    """Appends in batches, with an answer for each event once it is on disk."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._position, self._end_byte = store.tip(database)
        self._committed = self._position
        self._waiting: list[Event] = []
        self._waiting_dones: list[Done | None] = []
        self._waiting_since = 0.0
        self._committing_dones: list[Done | None] | None = None
        self._committing_since = 0.0
        self._flush_is_due = False
        self._next_flush_at = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._idle: list[asyncio.Future[None]] = []
        self.on_committed: list[Callable[[Batch], None]] = []
        """Called on the loop with each batch after its commit and its answers, in order."""

    @property
    def committed_position(self) -> int:
        """The last position whose batch went to `on_committed`."""
        return self._committed

    @property
    def trimmed_position(self) -> int:
        """The last position that retention deleted; 0 while there is none."""
        return store.find_cursor(self._database, store.TRIMMED) or 0

    def append(self, event: Event, done: Done | None = None) -> None:
        """Take an event; `done` gets True on the loop after its commit, or False.

        False: the commit failed, or has not come within COMMIT_TIMEOUT_S (it may still come, then
        without a further call), or too many wait. Called from the loop only.
        """
        if len(self._waiting) >= MAX_WAITING:
            if done is not None:
                done(False)
            return
        if not self._waiting:
            self._waiting_since = self._clock.monotonic()
            self._schedule()
        self._waiting.append(event)
        self._waiting_dones.append(done)

    async def drain(self) -> None:
        """Returns when nothing waits for the disk any more."""
        while self._waiting or self._committing_dones is not None:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._idle.append(future)
            await future

    def read(self, after: int, limit: int) -> Batch:
        """Committed events after a position, in order: how an integration works through the log."""
        return store.read_after(self._database, after, limit)

    def read_of_owner(self, owner_id: str, after: int) -> tuple[Batch, int]:
        """One owner's events in the next stretch of the log, and the position where it ends.

        The stretch is at most SCAN_SPAN long and ends at `committed_position` at the latest.
        """
        after = max(after, self.trimmed_position)
        up_to = min(after + SCAN_SPAN, self._committed)
        if up_to <= after:
            return [], self._committed
        return store.read_of_owner(self._database, owner_id, after, up_to)

    def recent_messages(self, since_ms: int) -> Iterator[tuple[bytes, int]]:
        """(session, message id) of what devices sent since then, newest first; for a start."""
        before = self._position + 1
        while rows := store.messages_before(self._database, before, RECENT_PAGE):
            for row in rows:
                position, published_at_ms, session, message_id = tuple(row)
                if published_at_ms < since_ms:
                    return
                before = position
                if session is not None and message_id is not None:
                    yield session, message_id

    def _schedule(self) -> None:
        if self._committing_dones is not None or self._flush_is_due:
            return
        self._flush_is_due = True
        loop = asyncio.get_running_loop()
        if loop.time() >= self._next_flush_at:
            loop.call_soon(self._flush)
        else:
            loop.call_at(self._next_flush_at, self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        if not self._waiting:
            return
        loop = asyncio.get_running_loop()
        self._next_flush_at = loop.time() + COMMIT_INTERVAL_S
        events, dones = self._waiting, self._waiting_dones
        if len(events) > MAX_BATCH:
            self._waiting, self._waiting_dones = events[MAX_BATCH:], dones[MAX_BATCH:]
            del events[MAX_BATCH:], dones[MAX_BATCH:]
        else:
            self._waiting, self._waiting_dones = [], []
        first = self._position + 1
        self._position += len(events)
        self._committing_dones = dones
        self._committing_since = self._waiting_since
        end_byte = self._end_byte

        def write(connection: Connection) -> int:
            rows, end = _rows(first, end_byte, events)
            store.add(connection, rows)
            return end

        def written(end: int | None, error: BaseException | None) -> None:
            loop.call_soon_threadsafe(self._finish, first, events, end, error)

        if self._watch is None:
            self._watch = loop.call_later(WATCH_INTERVAL_S, self._look_for_a_stall)
        self._database.submit(write, written)

    def _finish(
        self, first: int, events: list[Event], end: int | None, error: BaseException | None
    ) -> None:
        dones = self._committing_dones or []
        self._committing_dones = None
        if end is not None:
            self._end_byte = end
        if self._waiting:
            self._schedule()
        if error is not None:
            _log.error("events.commit_failed", events=len(events), error=repr(error))
        _answer(dones, error is None)
        if error is None:
            self._committed = first + len(events) - 1
            batch = list(enumerate(events, first))
            for handler in self.on_committed:
                try:
                    handler(batch)
                except Exception:
                    _log.exception("events.reader_failed", events=len(batch))
        if not self._waiting and self._committing_dones is None:
            self._tell_idle()

    def _tell_idle(self) -> None:
        idle, self._idle = self._idle, []
        for future in idle:
            if not future.done():
                future.set_result(None)

    def _look_for_a_stall(self) -> None:
        self._watch = None
        if self._committing_dones is None and not self._waiting:
            return
        now = self._clock.monotonic()
        if self._committing_dones and now - self._committing_since >= COMMIT_TIMEOUT_S:
            overdue, self._committing_dones = self._committing_dones, []
            _log.error("events.commit_overdue", events=len(overdue))
            _answer(overdue, False)
        if self._waiting and now - self._waiting_since >= COMMIT_TIMEOUT_S:
            overdue = self._waiting_dones
            self._waiting, self._waiting_dones = [], []
            _log.error("events.dropped_while_stalled", events=len(overdue))
            _answer(overdue, False)
        loop = asyncio.get_running_loop()
        self._watch = loop.call_later(WATCH_INTERVAL_S, self._look_for_a_stall)


def _rows(first: int, end_byte: int, events: list[Event]) -> tuple[list[store.LogRow], int]:
    """The rows of a batch, and the log's byte count after it. Runs in the writer thread."""
    rows: list[store.LogRow] = []
    for position, event in enumerate(events, first):
        data = event.data
        end_byte += store.ROW_OVERHEAD_BYTES + len(event.name) + (len(data) if data else 0)
        rows.append(
            (
                position,
                end_byte,
                event.name,
                data,
                event.published_at_ms,
                event.origin,
                event.owner_id,
                event.content_format,
                event.ttl_s,
                event.product_id,
                event.version,
                event.session,
                event.message_id,
            )
        )
    return rows, end_byte


def _answer(dones: list[Done | None], committed: bool) -> None:
    for done in dones:
        if done is not None:
            try:
                done(committed)
            except Exception:
                _log.exception("events.answer_failed")
