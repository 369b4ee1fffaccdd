"""A server with all its sessions, and the load that it gets from them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from bench.child import Child
from bench.counters import EVENTS, EVENTS_REFUSED, read_counters
from bench.fleet import SETTLE_S, Fleet
from bench.machine import BenchError
from bench.reader import Reader
from bench.settings import Settings
from bench.world import World, make_world
from cyan.wire.messages import Publish, encode_publish

HOST = "127.0.0.1"

COUNTED_WITHIN_S = 5.0
"""After the last answer; on a quiet machine all are counted by then."""


@dataclass(slots=True)
class Field:
    """`server` knows `fleet`, whose devices are registered in `world`."""

    settings: Settings
    folder: Path
    server: Child
    world: World
    fleet: Fleet
    _numbers: Iterator[int] = field(default_factory=count)

    @property
    def http_port(self) -> int:
        return int(self.server.ready["http_port"])

    @property
    def udp_port(self) -> int:
        return int(self.server.ready["udp_port"])

    def events(self, name: str, size: int) -> list[bytes]:
        """Datagrams: events of all members in turn, sealed; the data of each is its number."""
        datagrams = []
        members = self.fleet.members
        for i in range(size):
            member = members[i % len(members)]
            event = Publish(name, b"%016d" % next(self._numbers))
            content = encode_publish(member.next_message_id(), event)
            datagrams.append(member.records.seal_data(content))
        return datagrams

    def counters(self) -> dict[str, float]:
        return read_counters(self.http_port)

    @contextmanager
    def checked(self, size: int, reader: Reader | None = None) -> Iterator[Callable[[], bool]]:
        """Whether the server counts as many events as were sent, and the reader has each once."""
        before = self.counters()
        if reader is not None:
            reader.clear()
        yield lambda: reader is None or reader.frames >= size
        deadline = time.monotonic() + COUNTED_WITHIN_S
        while (after := self.counters())[EVENTS] != before[EVENTS] + size:
            if time.monotonic() > deadline:
                changes = {name: n - before.get(name, 0) for name, n in after.items()}
                raise BenchError(f"{size} events sent, but the server counts {changes}")
            time.sleep(0.1)
        if after[EVENTS_REFUSED]:
            raise BenchError(f"{after[EVENTS_REFUSED]:.0f} events were refused")
        if reader is not None and (reader.frames != size or len(reader.arrivals()) != size):
            raise BenchError(f"{size} events sent, the reader got {reader.frames}")


@contextmanager
def open_field(
    settings: Settings,
    folder: Path,
    kind: str,
    devices: int,
    subscriptions: Callable[[int], tuple[str, ...]],
) -> Iterator[Field]:
    """A server of this kind (`real` or `noop`) with so many devices online."""
    folder.mkdir(exist_ok=True)
    world = make_world(folder / "data", devices)
    core = str(settings.server_core)
    with (
        Child("bench.server", str(world.data), core, kind, log=folder / "server.log") as server,
        Fleet(world, (HOST, int(server.ready["udp_port"])), subscriptions) as fleet,
    ):
        fleet.grow(devices)
        fleet.rest(SETTLE_S)
        yield Field(settings, folder, server, world, fleet)
