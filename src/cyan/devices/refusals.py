"""Devices that were refused, for the operator who wonders why a board does not come online, and
those that come again and again.

Whoever knows the port can make up ids, so the list is bounded; so is how often the gateway writes
it (gateway/notes.py).
"""

from typing import Final

import msgspec
from sqlalchemy import Connection

from cyan.core.db.engine import Database
from cyan.devices import refusalstore as store

MAX_REFUSALS: Final = 1000
"""Of device and reason; the one that was seen last the longest ago gives way."""

MAX_REASON_CHARACTERS: Final = 32
MAX_ADDRESS_CHARACTERS: Final = 45
"""An IPv6 address with an IPv4 one in it."""

AGAIN_AND_AGAIN: Final = "handshakes_again"
"""Not refused at all: the device made a full handshake many times within an hour."""

UDP: Final = "udp"
TCP: Final = "tcp"


class Refusal(msgspec.Struct, frozen=True):
    """Somebody said to be this device and was not let in. Stamps are milliseconds since 1970."""

    device_id: str
    """As claimed; nothing proves it."""
    reason: str
    fingerprint: str | None
    """Of the key that was used last; None when the peer got no further than to name itself."""
    transport: str
    address: str
    first_at_ms: int
    last_at_ms: int
    count: int
    """How often."""


def note(
    connection: Connection,
    claimed_id: str,
    reason: str,
    *,
    fingerprint: str | None,
    transport: str,
    address: str,
    at_ms: int,
    times: int = 1,
) -> None:
    """Remember that a device was refused so many times, the last time at `at_ms` (a unit of work
    for the writer).

    `claimed_id` is 24 hex digits, `reason` one of the words of `devices.keys`, AGAIN_AND_AGAIN or a
    transport's own, `transport` UDP or TCP, `address` the peer's IP address without its port.
    """
    connection.execute(
        store.NOTE,
        {
            "device_id": claimed_id[:24],
            "reason": reason[:MAX_REASON_CHARACTERS],
            "fingerprint": fingerprint,
            "transport": transport,
            "address": address[:MAX_ADDRESS_CHARACTERS],
            "at_ms": at_ms,
            "times": times,
        },
    )
    connection.execute(store.TRIM, {"kept": MAX_REFUSALS})


def list_recent(db: Database, limit: int = 100) -> list[Refusal]:
    """The refusals of all devices, the latest first, at most MAX_REFUSALS."""
    rows = db.rows(store.NEWEST, {"page": max(1, min(limit, MAX_REFUSALS))})
    return [Refusal(**row._mapping) for row in rows]
