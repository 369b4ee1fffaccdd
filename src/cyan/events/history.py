"""Looking back: events of the log by name, device and time, a page at a time.

The log has no index by owner (each commit would pay for it, `store.events_event`), so it is looked
through, in a thread, piece by piece and one search at a time: a search costs its caller time, and
others nothing.
"""

import asyncio
from typing import Final

import msgspec

from cyan.core.db.engine import Database
from cyan.core.ids import DeviceId, is_device_id
from cyan.events import store
from cyan.events.log import Batch
from cyan.events.model import Event, Wanted
from cyan.events.subscriptions import Owners

SPAN: Final = 50_000
"""Positions of one piece: 10 to 50 ms of a thread, then others have their turn."""

PAGE_BYTES: Final = 1024 * 1024
"""Data of one page, about; the events that are left are on the next one."""

PATIENCE_S: Final = 2.0
"""A search that found too little by then gives what it has, and where to go on."""

CLOCK_MS: Final = 60_000
"""Events near the ends of a time are looked for this far around them: stamps are not quite in the
order of positions when the clock was set."""


class Page(msgspec.Struct, frozen=True):
    """Events with their positions, and where to go on: None when there are no more now."""

    events: Batch
    go_on_from: int | None


class EventHistory:
    """What is in the log of a person's events."""

    def __init__(self, database: Database, owners: Owners) -> None:
        self._database = database
        self._owners = owners
        self._turn = asyncio.Lock()

    async def search(self, wanted: Wanted, limit: int, after: int | None = None) -> Page:
        """The next events that fit, at most `limit`, behind the position `after` in the wanted
        order.

        The owner's at the time of publishing, and of devices that are theirs now. The page may be
        short, even empty, and still have a next one.
        """
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + PATIENCE_S
        async with self._turn:
            low, high = await asyncio.to_thread(self._bounds, wanted, after)
        found: Batch = []
        size_bytes = looked = 0
        while low <= high:
            looked_from = max(low, high - SPAN + 1) if wanted.newest_first else low
            looked_to = high if wanted.newest_first else min(high, low + SPAN - 1)
            async with self._turn:
                some, looked = await asyncio.to_thread(
                    self._look,
                    wanted,
                    looked_from,
                    looked_to,
                    limit - len(found),
                    PAGE_BYTES - size_bytes,
                )
            found += [pair for pair in some if self._is_still_theirs(wanted, pair[1])]
            size_bytes += sum(len(event.data or b"") for _, event in some)
            if wanted.newest_first:
                high = looked - 1
            else:
                low = looked + 1
            if len(found) == limit or size_bytes >= PAGE_BYTES or loop.time() >= give_up_at:
                break
        return Page(found, looked if low <= high else None)

    def _bounds(self, wanted: Wanted, after: int | None) -> tuple[int, int]:
        """The positions to look through, first and last."""
        with store.open_beside(self._database.path) as connection:
            low, high = store.ends(connection)
            if after is not None and wanted.newest_first:
                high = min(high, after - 1)
            elif after is not None:
                low = max(low, after + 1)
            first = store.position_since(connection, wanted.from_ms - CLOCK_MS, low, high)
            behind = store.position_since(connection, wanted.to_ms + CLOCK_MS, first, high)
        return first, min(high, behind)

    def _look(
        self, wanted: Wanted, low: int, high: int, limit: int, max_bytes: int
    ) -> tuple[Batch, int]:
        with store.open_beside(self._database.path) as connection:
            return store.search(connection, wanted, low, high, limit, max_bytes)

    def _is_still_theirs(self, wanted: Wanted, event: Event) -> bool:
        if not is_device_id(event.origin):
            return True
        return self._owners.owner_of(DeviceId(event.origin)) == wanted.owner_id
