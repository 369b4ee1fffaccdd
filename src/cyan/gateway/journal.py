"""The journal of sessions: what changes with every message, in batches of packed entries.

A session's row is some 850 bytes on a page of its own: to write it each time its counters moved
cost 18 µs of the writer, and a fleet of 100,000 moves some with every message. An entry costs 0.3.
The newest entry of a session counts; at a start all are folded into the rows, and the journal
begins anew. So it never holds more than two entries for a session, and SLACK.
"""

import random
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from cyan.gateway.datagrams import DatagramLink
from cyan.gateway.entries import Batch, Hot, pack

SLACK: Final = 10_000
"""Entries that may be outdated, beside one for each session: 0.7 MB."""

CARRIED_AT_ONCE: Final = 2_000
"""Entries of the oldest batches that still count and are written again, in one batch."""


def _entry(link: DatagramLink) -> bytes:
    records = link.records
    return pack(
        Hot(
            connection_id=link.session.connection_id,
            adoption=link.adoption,
            highest_received=records.highest_received,
            replay_window=records.replay_window,
            device_message_id=link.last_device_message_id,
            next_message_id=link.exchange.next_message_id,
            settled=link.session.settled,
            heard_at_ms=link.last_heard_ms,
            address=link.address,
        )
    )


class Journal:
    """What is in the stored journal, and what is to be written next."""

    def __init__(self, links: Mapping[bytes, DatagramLink]) -> None:
        """`links` are the sessions that there are, by connection id."""
        self._links = links
        # Oldest first: the number of a batch and whose entries it has. By id, because a session
        # that is over takes a hundred times the memory of its entry.
        self._batches: deque[tuple[int, Sequence[bytes]]] = deque()
        self._entries = 0
        self._start = random.getrandbits(63)
        self._next = 0

    def write(self, links: list[DatagramLink]) -> Batch:
        """A batch of these. Those whose only entry is in a batch that goes are added to `links`.

        When the batch cannot be stored, all of `links` are to be written again.
        """
        self._carry(links)
        number, self._next = self._next, self._next + 1
        for link in links:
            link.batch = number
        self._batches.append((number, [link.session.connection_id for link in links]))
        self._entries += len(links)
        return Batch(self._start, number, b"".join(map(_entry, links)), self._batches[0][0])

    def _carry(self, links: list[DatagramLink]) -> None:
        most = 2 * len(self._links) + SLACK
        chosen = set(links)
        carried = 0
        while self._batches and self._entries + len(links) > most and carried < CARRIED_AT_ONCE:
            number, oldest = self._batches.popleft()
            self._entries -= len(oldest)
            for connection_id in oldest:
                link = self._links.get(connection_id)
                if link is None or link.batch != number or link.ended is not None:
                    continue
                if link not in chosen:
                    links.append(link)
                    carried += 1
