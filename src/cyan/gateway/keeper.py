"""Keeping stored sessions up to date: batches for the journal, presence, the holder's lease."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from sqlalchemy import Connection

from cyan.core.ids import DeviceId
from cyan.devices import presence
from cyan.devices.presence import PresenceRow
from cyan.gateway import store
from cyan.gateway.commits import Commits
from cyan.gateway.datagrams import DatagramLink
from cyan.gateway.effects import Work
from cyan.gateway.journal import Journal
from cyan.gateway.link import Link

FLUSH_S: Final = 1.0
"""Something is written at most this often."""

LAZY_TURNS: Final = 10
"""A session whose counters moved is written so many flushes later, so that a message costs no entry
of its own. What is lost with them in a crash is harmless: a record of those seconds can be
replayed, its message is a duplicate (DESIGN.md §6, decisions/0007). A new address is written with
the next flush."""

LAZY_ROWS: Final = 2000
"""Of these in one flush at most, the oldest first: in a fleet of any size it is the same work. A
hundred thousand devices that ping each 25 s are written within 50 s, which the log, whose last 95 s
are read at a start, still covers."""

SETTLE_S: Final = 3.0
"""Quiet after the last describe or subscription. A device sends them in one burst."""


class Keeper:
    """Notes what changed, and writes it down: once a second what cannot wait, the rest in turns."""

    def __init__(self, commits: Commits, holder: str, links: Mapping[bytes, DatagramLink]) -> None:
        self._commits = commits
        self._holder = holder
        self._journal = Journal(links)
        # The first is written with the next flush, each of the others one later.
        self._dirty: deque[list[Link]] = deque([] for _ in range(LAZY_TURNS))
        self._last = self._dirty[-1]
        # Those whose turn has come, oldest first.
        self._due: deque[Link] = deque()
        self._urgent: dict[Link, None] = {}
        self._unsettled: set[DatagramLink] = set()
        # To be written with the next flush, and being written: the latest of each device.
        self._rows: dict[DeviceId, PresenceRow] = {}
        self._rows_under_way: dict[DeviceId, PresenceRow] = {}
        self._next_flush_s = 0.0
        self._next_lease_s = 0.0
        self.is_flushing = False

    def mark_dirty(self, link: Link) -> None:
        """Its counters moved. Hot path."""
        if not link.is_dirty:
            link.is_dirty = True
            self._last.append(link)

    def mark_urgent(self, link: Link) -> None:
        """Something of it changed that a restart must know."""
        self._urgent[link] = None

    def watch_setup(self, link: DatagramLink) -> None:
        """The session is being set up; see when that is over."""
        self._unsettled.add(link)

    def drop(self, link: DatagramLink) -> None:
        self._unsettled.discard(link)

    def note_presence(self, row: PresenceRow) -> None:
        self._rows[row.device_id] = row

    def supersede_presence(self, row: PresenceRow) -> None:
        """This row is stored already. An earlier one that is still to be written, or may just be
        written behind it, must not have the last word."""
        if row.device_id in self._rows or row.device_id in self._rows_under_way:
            self._rows[row.device_id] = row

    def is_due(self, now_s: float) -> bool:
        return now_s >= self._next_flush_s and not self.is_flushing

    def flush(self, now_s: float, now_ms: int) -> None:
        """Write what changed since the last time, and renew the lease if that is due."""
        self._next_flush_s = now_s + FLUSH_S
        self._collect_settled(now_s)
        self._due.extend(self._dirty.popleft())
        self._last = []
        self._dirty.append(self._last)
        count = min(LAZY_ROWS, len(self._due))
        links, rows = self._take([self._due.popleft() for _ in range(count)], now_s)
        renew = now_s >= self._next_lease_s
        if not (links or rows or renew):
            return
        if renew:
            self._next_lease_s = now_s + presence.LEASE_RENEWAL_S
        write, written = self._writing(links, rows)
        self.is_flushing = True
        self._rows_under_way = rows

        def work(connection: Connection) -> None:
            write(connection)
            if renew:
                presence.renew_lease(connection, self._holder, now_ms)

        def flushed(ok: bool) -> None:
            self.is_flushing = False
            self._rows_under_way = {}
            if not ok:
                self._rows = {**rows, **self._rows}
                self._urgent.update(dict.fromkeys(written))

        self._commits.submit(work, flushed)

    def write_now(self, links: list[DatagramLink], then: Callable[[bool], None]) -> None:
        """Write these sessions without waiting for the next flush; `then(ok)` after the commit."""
        write, written = self._writing([*links], {})

        def stored(ok: bool) -> None:
            if not ok:
                self._urgent.update(dict.fromkeys(written))
            then(ok)

        self._commits.offer(write, stored)

    def last_flush(self, now_s: float) -> Work:
        """Everything that is still to be written, when the gateway stops."""
        self._collect_settled(now_s)
        left = [*self._due, *(link for turn in self._dirty for link in turn)]
        write, _ = self._writing(*self._take(left, now_s))
        return write

    def _collect_settled(self, now_s: float) -> None:
        """Sessions whose set-up is over: after a restart, nothing of it can have been missed."""
        for link in list(self._unsettled):
            session = link.session
            if link.is_dirty:
                # How far a set-up has come is what decides about it after a restart.
                self.mark_urgent(link)
            if (
                session.has_system
                and session.has_application
                and session.subscriptions
                and link.is_complete
                and now_s - session.last_setup_s >= SETTLE_S
            ):
                session.settled = True
                self._unsettled.discard(link)
                self.mark_urgent(link)

    def _take(
        self, dirty: list[Link], now_s: float
    ) -> tuple[list[Link], dict[DeviceId, PresenceRow]]:
        rows, self._rows = self._rows, {}
        for link in dirty:
            link.is_dirty = False
            link.rest(now_s)
        urgent, self._urgent = self._urgent, {}
        urgent.update(dict.fromkeys(dirty))
        return [link for link in urgent if link.ended is None], rows

    def _writing(
        self, links: list[Link], rows: dict[DeviceId, PresenceRow]
    ) -> tuple[Work, list[Link]]:
        """One unit of work, sessions and who came and went, and all whose counters are in it."""
        sessions = [link for link in links if isinstance(link, DatagramLink)]
        batch = self._journal.write(sessions) if sessions else None
        # Of a session the journal says when its device was heard.
        streams = [link for link in links if not isinstance(link, DatagramLink)]
        heard = [
            (link.session.device_id, link.last_heard_ms)
            for link in streams
            if link.session.device_id is not None
        ]
        holder = self._holder

        def write(connection: Connection) -> None:
            if batch is not None:
                store.save_batch(connection, holder, batch)
            presence.touch(connection, heard)
            ours = (row for row in rows.values() if not store.is_taken_over(connection, row))
            presence.store(connection, ours)

        return write, [*sessions, *streams]
