"""What the journal keeps of a session, packed."""

import struct
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

_ADDRESS_BYTES: Final = 28
_ENTRY: Final = struct.Struct(f"!8sHqQiH?qB{_ADDRESS_BYTES}s")
"""Connection id, adoption, highest received, replay window, the device's last message id, our next
one, settled, heard at (ms since 1970), length of the address and the address, filled up: 70
bytes."""


class Hot(msgspec.Struct, frozen=True, gc=False):
    """What a batch keeps of a session."""

    connection_id: bytes
    adoption: int
    highest_received: int
    replay_window: int
    device_message_id: int
    next_message_id: int
    settled: bool
    heard_at_ms: int
    address: bytes


class Batch(msgspec.Struct, frozen=True):
    """To be written in one transaction: this row is added, those before `oldest` are removed.

    `start` tells the starts of a holder apart: a process that was taken for dead may still write.
    """

    start: int
    number: int
    entries: bytes
    oldest: int


def unpack(entries: bytes) -> Iterator[Hot]:
    """The entries of a batch."""
    for (
        connection_id,
        adoption,
        highest_received,
        replay_window,
        device_message_id,
        next_message_id,
        settled,
        heard_at_ms,
        size,
        address,
    ) in _ENTRY.iter_unpack(entries):
        yield Hot(
            connection_id,
            adoption,
            highest_received,
            replay_window,
            device_message_id,
            next_message_id,
            settled,
            heard_at_ms,
            address[:size],
        )


def newest(batches: Iterable[bytes]) -> dict[tuple[bytes, int], Hot]:
    """The entry that counts, by connection id and adoption. Oldest batch first."""
    return {(hot.connection_id, hot.adoption): hot for each in batches for hot in unpack(each)}


def pack(hot: Hot) -> bytes:
    """One entry."""
    fields = msgspec.structs.astuple(hot)
    return _ENTRY.pack(*fields[:-1], len(hot.address), hot.address)
