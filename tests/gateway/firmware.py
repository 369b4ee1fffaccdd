"""A device that behaves as firmware does, by the fleet simulator's own device, in this process."""

from cyan.core.ids import DeviceId
from cyan.sim.behaviour import Behaviour, built_in
from cyan.sim.device import Device
from cyan.sim.facts import EventSettled, Fact, HandshakeDone, Outcome, State
from cyan.sim.generations import GENERATIONS
from cyan.sim.identity import Identity
from cyan.sim.platforms import PLATFORMS
from tests.gateway.world import SERVER_KEY, World, make_port

QUIET = built_in(event_interval_s=None)


class Firmware:
    """The simulated device number `index`; time moves it when the world moves."""

    def __init__(
        self,
        world: World,
        index: int = 0,
        *,
        behaviour: Behaviour = QUIET,
        platform: str = "argon",
        generation: str | None = None,
    ) -> None:
        self.world = world
        self.port = 50_000 + 100 * index
        self.facts: list[Fact] = []
        self.identity = Identity("tests", index)
        self.device_id = DeviceId(self.identity.device_id)
        self.device = Device(
            self.identity,
            PLATFORMS[platform],
            behaviour,
            SERVER_KEY.public_key(),
            self,
            seed="tests",
            generation=None if generation is None else GENERATIONS[generation],
        )
        self.device.start(world.clock.monotonic())

    # What the device asks of its host.

    def send(self, datagram: bytes) -> None:
        self.world.arrive(datagram, make_port(self.port))

    def open_port(self) -> None:
        self.world.peers.pop(make_port(self.port), None)
        self.port += 1
        self.world.peers[make_port(self.port)] = self

    def on_fact(self, fact: Fact) -> None:
        self.facts.append(fact)

    # What the world asks of a peer.

    def on_datagram(self, datagram: bytes) -> None:
        self.device.on_datagram(datagram, self.world.clock.monotonic())

    def on_time(self, now_s: float) -> None:
        while self.device.deadline() <= now_s:
            self.device.on_deadline(now_s)

    # What tests ask.

    async def connect(self) -> "Firmware":
        """Until it breathes cyan."""
        self.on_time(self.world.clock.monotonic())
        await self.world.advance(1)
        assert self.device.state is State.ONLINE
        return self

    @property
    def handshakes(self) -> list[bool]:
        """For each one whether it was a resumption."""
        return [fact.resumed for fact in self.facts if isinstance(fact, HandshakeDone)]

    def settled(self, outcome: Outcome) -> list[bytes]:
        """The data of the events that ended so."""
        return [
            fact.data
            for fact in self.facts
            if isinstance(fact, EventSettled) and fact.outcome is outcome
        ]
