"""Keeping stored sessions up to date: hot columns in batches, presence, the holder's lease."""

from collections.abc import Iterable

from sqlalchemy import Connection

from cyan.core.ids import DeviceId
from cyan.devices import presence
from cyan.gateway import store
from cyan.gateway.link import Link

FLUSH_S = 1.0
"""Hot columns are written at most this often. What is lost with them in a crash is harmless: a
record of the last second can be replayed, its message is a duplicate (DESIGN.md §6)."""


def hot_row(link: Link) -> store.Hot:
    """What a flush writes of this link now."""
    records = link.records
    expected = link.expected_id
    return store.Hot(
        connection_id=link.session.connection_id,
        adoption=link.adoption,
        highest_received=records.highest_received,
        replay_window=records.replay_window.to_bytes(8, "big"),
        device_message_id=-1 if expected is None else (expected - 1) & 0xFFFF,
        next_message_id=link.exchange.next_message_id,
        address=link.address,
        settled=link.session.settled,
        heard_at_ms=link.last_heard_ms,
    )


def write(
    connection: Connection,
    hot: list[store.Hot],
    heard: list[tuple[DeviceId, int]],
    rows: list[presence.PresenceRow],
) -> None:
    """One unit of work: sessions, when their devices were heard, who came and went."""
    store.save_hot(connection, hot)
    presence.touch(connection, heard)
    presence.store(connection, (row for row in rows if not store.is_taken_over(connection, row)))


def hot_rows(links: Iterable[Link]) -> list[store.Hot]:
    return [hot_row(link) for link in links]


def heard_rows(links: Iterable[Link]) -> list[tuple[DeviceId, int]]:
    return [
        (link.session.device_id, link.last_heard_ms)
        for link in links
        if link.session.device_id is not None
    ]
