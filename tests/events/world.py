"""The parts of events put together as the program does it, over a real database file."""

import asyncio
from dataclasses import dataclass, field

from cyan.core.db.engine import Database
from cyan.core.ids import DeviceId, UserId
from cyan.events.cursors import Cursors
from cyan.events.hub import Hub
from cyan.events.log import Batch, EventLog
from cyan.events.model import Event
from cyan.events.publishlimit import PublishLimit
from cyan.events.service import EventService
from cyan.events.store import cursor_key
from cyan.events.streams import Stream, StreamFilter
from tests.clock import HandClock

ADA = UserId("aaaaaaaaaaaaaaaaaaaaaaaa")
CLEO = UserId("cccccccccccccccccccccccc")
LAMP = DeviceId("e00fce68ece1d3d21a73dcc9")
PUMP = DeviceId("e00fce6800000000000000a1")
CLEOS_LAMP = DeviceId("e00fce6800000000000000c1")
SESSION = bytes(range(8))
UNLIMITED = PublishLimit(HandClock(), 0)


class Owners:
    """Who owns what, changed by hand."""

    def __init__(self) -> None:
        self.book: dict[DeviceId, UserId] = {LAMP: ADA, PUMP: ADA, CLEOS_LAMP: CLEO}

    def owner_of(self, device_id: DeviceId) -> UserId | None:
        return self.book.get(device_id)


@dataclass
class World:
    """One server's events. `committed` has all batches as the log handed them on."""

    db: Database
    clock: HandClock
    owners: Owners
    log: EventLog
    hub: Hub
    service: EventService
    cursors: Cursors
    committed: list[Batch] = field(default_factory=list)
    _message_id: int = 0

    def event(
        self,
        name: str = "temperature",
        data: bytes | None = b"21.5",
        *,
        origin: DeviceId = LAMP,
        owner_id: UserId | None = ADA,
    ) -> Event:
        """What a device publishes now."""
        self._message_id += 1
        return Event(
            name,
            data,
            self.clock.now_ms(),
            origin,
            owner_id,
            session=SESSION,
            message_id=self._message_id,
        )

    async def publish(self, *events: Event) -> list[bool]:
        """Take all in one tick of the loop; the answers when everything is committed."""
        answers: list[bool] = []
        for event in events:
            self.service.accept(event, answers.append)
        await self.log.drain()
        return answers

    def open(
        self,
        prefix: str = "",
        *,
        owner_id: UserId = ADA,
        device_id: DeviceId | None = None,
        token_id: str = "token",
        with_ids: bool = False,
        resume_after: int | None = None,
        expires_at_ms: int | None = None,
    ) -> Stream:
        return self.hub.subscribe_stream(
            StreamFilter(owner_id, device_id, prefix),
            token_id=token_id,
            with_ids=with_ids,
            resume_after=resume_after,
            expires_at_ms=expires_at_ms,
        )


def make_world(db: Database, clock: HandClock) -> World:
    owners = Owners()
    log = EventLog(db, clock)
    cursors = Cursors(cursor_key(db))
    service = EventService(log, clock)
    world = World(db, clock, owners, log, Hub(log, owners, cursors, clock), service, cursors)
    log.on_committed.append(world.committed.append)
    return world


async def names_in(stream: Stream) -> list[str]:
    """The names of the events that wait in a stream now; [] when there are none."""
    try:
        async with asyncio.timeout(0.05):
            chunk = await stream.next_chunk()
    except TimeoutError:
        return []
    if chunk is None:
        raise AssertionError("the stream has ended")
    lines = chunk.decode().split("\n")
    return [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
