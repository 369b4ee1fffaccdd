"""The parts behind updates, put together as the program does it, with boards of this process."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from cyan.core.bus import Bus
from cyan.core.db.engine import Database
from cyan.core.ids import DeviceId, UserId
from cyan.devices import description, registry
from cyan.devices.ownership import Ownership
from cyan.firmware.attempts import Attempts
from cyan.firmware.driving import Means, Patience
from cyan.firmware.images import Images
from cyan.firmware.model import (
    Attempt,
    Cause,
    ModuleGoal,
    NewAttempt,
    State,
    UpdateProgressed,
)
from cyan.firmware.records import Records
from cyan.wire.describe import SystemDescribe
from cyan.wire.describe.system import USER_PART
from cyan.wire.module import encode_module, parse_module
from tests.cast import Cast, Person
from tests.clock import HandClock
from tests.firmware.boards import Board, Boards, Shelf

LAMP = DeviceId("e00fce680000000000000001")
BORON = 13

QUICK = Patience(first_pause_s=0.01, longest_pause_s=0.02, ask_after_s=0.05, ask_soon_s=0.02)


def make_application(text: str = "blink", *, platform_id: int = BORON, version: int = 1) -> bytes:
    """A user part whose body says `text`."""
    return encode_module(
        text.encode() * 50,
        platform_id=platform_id,
        function=USER_PART,
        version=6,
        product_version=version,
    )


async def reach(condition: Callable[[], bool]) -> None:
    """Returns when it holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - it looks at the database
            await asyncio.sleep(0.005)


@dataclass
class Works:
    """Everything, and what was told of it."""

    db: Database
    clock: HandClock
    bus: Bus
    ada: Person
    means: Means
    attempts: Attempts
    boards: Boards
    shelf: Shelf
    events: list[tuple[str, bytes | None, UserId | None]] = field(default_factory=list)
    progress: list[UpdateProgressed] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)
    """The product versions of these events."""
    repairs: list[NewAttempt] = field(default_factory=list)

    @property
    def records(self) -> Records:
        return self.attempts.records

    def board(self, device_id: DeviceId = LAMP) -> Board:
        """A device of Ada's, online."""
        registry.register_device(self.db, self.clock, device_id, owner=self.ada.user_id)
        at_ms = self.clock.now_ms()
        self.db.write_blocking(
            lambda connection: description.store_hello(
                connection, device_id, platform_id=BORON, product_id=BORON,
                product_version=0xFFFF, system_version=6200, at_ms=at_ms, ip_address="192.0.2.7",
            )
        )  # fmt: skip
        return self.boards.add(device_id)

    def new(self, data: bytes, cause: Cause = Cause.FLASH, name: str = "a.bin") -> NewAttempt:
        """An attempt to send this module, its file kept."""
        module = parse_module(data)
        return NewAttempt(
            cause=cause,
            file_name=name,
            image_sha256=self.shelf.put(data),
            size_bytes=len(data),
            goal=ModuleGoal(
                function=module.function,
                index=module.index,
                version=module.version,
                hash=module.sha256.hex() if module.function == USER_PART else "",
            ),
        )

    async def flash(self, data: bytes, cause: Cause = Cause.FLASH) -> Attempt:
        """Begin to send this module to the lamp."""
        (made,) = await self.attempts.add(LAMP, self.ada.user_id, [self.new(data, cause)])
        return made

    async def until(self, attempt: Attempt, *states: State) -> Attempt:
        """The attempt once it is in one of these states."""
        await reach(lambda: self.now(attempt).state in states)
        return self.now(attempt)

    async def ended(self, attempt: Attempt) -> Attempt:
        """The attempt once it has ended, and all that follows is done."""
        ended = await self.until(attempt, State.DONE, State.FAILED)
        await reach(lambda: not self.attempts._tasks)
        return ended

    def now(self, attempt: Attempt) -> Attempt:
        return self.records.get(attempt.device_id, attempt.id)

    def states(self, attempt: Attempt) -> list[State]:
        """Every state that was told, each once."""
        told = [fact.state for fact in self.progress if fact.attempt_id == attempt.id]
        return list(dict.fromkeys(told))

    def says(self) -> list[str]:
        """The data of the events about updates."""
        return [
            (data or b"").decode() for name, data, _ in self.events if name == "spark/flash/status"
        ]

    def use(self, images: Images) -> None:
        """Take files from there, too."""
        self.shelf.real = images

    def again(self) -> "Works":
        """What a restarted server makes of the same database; boards and files stay."""
        made = make_works(self.db, self.clock, self.bus, self)
        made.boards.all = self.boards.all
        made.shelf.all = self.shelf.all
        return made


def make_works(db: Database, clock: HandClock, bus: Bus, cast: "Cast | Works") -> Works:
    boards, shelf, ownership = Boards(bus, db), Shelf(), Ownership(db)
    records = Records(db, clock, bus)
    events: list[tuple[str, bytes | None, UserId | None]] = []
    repairs: list[NewAttempt] = []
    versions: list[int] = []

    def emit(
        name: str,
        data: bytes | None,
        device_id: DeviceId | None,
        owner_id: UserId | None,
        *,
        version: int = 0,
    ) -> None:
        versions.append(version)
        events.append((name, data, owner_id))

    async def repair(device_id: DeviceId, system: SystemDescribe) -> NewAttempt | None:
        return repairs.pop(0) if repairs else None

    def owner_of(device_id: DeviceId) -> UserId | None:
        ownership.refresh(device_id)
        return ownership.owner_of(device_id)

    means = Means(
        db=db,
        clock=clock,
        records=records,
        link=boards,
        files=shelf,
        emit=emit,
        tell=boards.tell,
        is_online=boards.is_online,
        owner_of=owner_of,
        repair=repair,
        patience=QUICK,
    )
    attempts = Attempts(means, bus)
    attempts.start()
    works = Works(
        db=db,
        clock=clock,
        bus=bus,
        ada=cast.ada,
        means=means,
        attempts=attempts,
        boards=boards,
        shelf=shelf,
        events=events,
        repairs=repairs,
        versions=versions,
    )
    bus.subscribe(UpdateProgressed, works.progress.append)
    return works
