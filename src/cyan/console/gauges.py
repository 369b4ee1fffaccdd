"""Figures of the server over the last hour, for the operator's page.

They are kept in memory only: whoever wants them for longer has Prometheus ask `/metrics`.
"""

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from cyan.console.live import LiveStream
from cyan.core.clock import Clock
from cyan.core.metrics import REGISTRY
from cyan.devices.presence import Presence

INTERVAL_S: Final = 10.0
KEPT: Final = 360
"""Samples: one hour."""

_COUNTERS: Final = {
    "cyan_events_total": "events",
    "cyan_http_requests_total": "requests",
    "cyan_handshakes_total": "handshakes",
    "cyan_devices_refused_total": "refused",
    "cyan_datagrams_dropped_total": "dropped",
}
"""Metrics of which the difference of two samples is shown, summed over their labels."""

_STREAMS: Final = "cyan_streams"


class Sample(msgspec.Struct, frozen=True):
    """The state at one moment. Counters are totals since the start."""

    at_ms: int
    online: int
    streams: int
    events: float
    requests: float
    handshakes: float
    refused: float
    dropped: float
    cpu_s: float
    """Seconds of one core that the process has used."""
    memory_bytes: int
    database_bytes: int
    """The database with its log."""


class Gauges:
    """Takes a sample now and then, and tells the pages that watch."""

    def __init__(self, clock: Clock, presence: Presence, database: Path) -> None:
        self._clock = clock
        self._presence = presence
        self._database = database
        self._streams: dict[LiveStream, Callable[[], None]] = {}
        self.samples: deque[Sample] = deque(maxlen=KEPT)

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            self.sample()
            await asyncio.sleep(INTERVAL_S)

    def sample(self) -> None:
        totals = dict.fromkeys(_COUNTERS.values(), 0.0)
        streams = 0.0
        for family in REGISTRY.collect():
            for one in family.samples:
                if one.name in _COUNTERS:
                    totals[_COUNTERS[one.name]] += one.value
                elif one.name == _STREAMS:
                    streams += one.value
        self.samples.append(
            Sample(
                at_ms=self._clock.now_ms(),
                online=self._presence.online_count(),
                streams=int(streams),
                cpu_s=time.process_time(),
                memory_bytes=_memory_bytes(),
                database_bytes=size_of(self._database),
                **totals,
            )
        )
        for tell in tuple(self._streams.values()):
            tell()

    def open(self, name: str, render: Callable[[], str]) -> LiveStream:
        """A stream of what `render` makes after each sample, sent under `name`."""

        def forget() -> None:
            del self._streams[stream]

        stream = LiveStream(forget)
        self._streams[stream] = lambda: stream.put(name, render())
        return stream

    def close(self) -> None:
        """End every stream: the server stops."""
        for stream in tuple(self._streams):
            stream.close()

    def rates(self, name: str) -> list[float]:
        """How much of a counter there was in a second, between each two samples."""
        pairs = zip(self.samples, list(self.samples)[1:], strict=False)
        return [
            (getattr(after, name) - getattr(before, name))
            * 1000
            / max(after.at_ms - before.at_ms, 1)
            for before, after in pairs
        ]


def size_of(database: Path) -> int:
    """Bytes of a database and the files beside it."""
    total = 0
    for suffix in ("", "-wal"):
        with contextlib.suppress(OSError):
            total += os.stat(f"{database}{suffix}").st_size
    return total


def _memory_bytes() -> int:
    """What the process has in memory; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
