"""The same seed makes the same run: a fleet with every fault against a real gateway, twice."""

from contextlib import closing
from pathlib import Path

import pytest

from cyan.core.db.engine import Database
from cyan.core.db.schema import metadata
from cyan.sim.behaviour import built_in
from cyan.sim.boards import find_board
from cyan.sim.facts import EventSent, EventSettled, Fact, FaultHappened, Outcome, StateChanged
from cyan.sim.faults import Faults, combine_faults, parse_fault
from cyan.sim.field import FieldDevice
from cyan.sim.identity import Identity
from cyan.sim.journal import Journal
from cyan.sim.plan import maker
from cyan.sim.servers import Server
from tests.clock import HandClock
from tests.gateway.world import SERVER_KEY, World, make_port, make_world

FAULTS = (
    "loss rate=0.1",
    "duplicate rate=0.1",
    "reorder rate=0.2 for_s=3",
    "delay for_s=[0,1]",
    "clock fast=[-0.05,0.05]",
    "move every_s=60",
    "sleep every_s=120 for_s=[1,60]",
    "reboot every_s=120",
    "power-cut every_s=200",
    "wrong-server-key every_s=300 for_s=[5,30]",
)
DEVICES = 4
SECONDS = 150.0


class Fielded:
    """A device in the field. `lines` is what it told, with the times."""

    def __init__(
        self, world: World, index: int, faults: Faults, seed: str, journal: Journal
    ) -> None:
        self.lines: list[str] = []
        self._world = world
        self._journal = journal
        self._port = 10_000 * (index + 1)
        identity = Identity(seed, index)
        self._id = identity.device_id
        server = Server(("", 0), SERVER_KEY.public_key())
        behaviour = built_in(event_interval_s=2.0)
        self.device = FieldDevice(
            maker(identity, find_board("argon"), behaviour, server),
            faults,
            self,
            seed=seed,
            name=identity.device_id,
        )
        self.open_port()
        self.device.start(world.clock.monotonic())

    def send(self, data: bytes) -> None:
        self._world.arrive(data, make_port(self._port))

    def open_port(self) -> None:
        self._world.peers.pop(make_port(self._port), None)
        self._port += 1
        self._world.peers[make_port(self._port)] = self

    def on_fact(self, fact: Fact) -> None:
        match fact:
            case EventSent():
                self._journal.record_sent(self._id, fact.name, fact.data)
            case EventSettled() if fact.outcome is Outcome.ACKNOWLEDGED:
                self._journal.record_acknowledged(self._id, fact.name, fact.data)
            case FaultHappened():
                self._journal.record_fault(self._id, fact)
            case _:
                pass
        if isinstance(fact, StateChanged | EventSent | EventSettled | FaultHappened):
            self.lines.append(f"{self._world.clock.monotonic():.3f} {fact}")

    def on_datagram(self, datagram: bytes) -> None:
        self.device.on_bytes(datagram, self._world.clock.monotonic())

    def on_time(self, now_s: float) -> None:
        while self.device.deadline() <= now_s:
            self.device.on_deadline(now_s)


@pytest.mark.usefixtures("db")  # so that all tables are known
async def test_the_same_seed_makes_the_same_run(tmp_path: Path) -> None:
    first, second = make_folder(tmp_path, "first"), make_folder(tmp_path, "second")
    told = await run("one", first)
    assert await run("one", second) == told
    assert sum("acknowledged" in line.lower() for line in told) > 80
    for name in ("journal", "journal.sent", "journal.faults"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
        assert (first / name).read_bytes()


def make_folder(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir()
    return folder


async def run(seed: str, folder: Path) -> list[str]:
    """Lets a fleet live for a while before a server that knows nothing yet. Its journal is in the
    folder; returns all that the devices told."""
    with (
        closing(Database(folder / "cyan.db")) as db,
        closing(Journal(folder / "journal")) as journal,
    ):
        db.write_blocking(metadata.create_all)
        world = make_world(db, HandClock(), folder)
        await world.start()
        faults = combine_faults(map(parse_fault, FAULTS))
        fleet = [Fielded(world, index, faults, seed, journal) for index in range(DEVICES)]
        await world.advance(SECONDS)
        await world.stop()
        return [line for device in fleet for line in device.lines]
