"""A radio that loses, doubles and reorders datagrams, between one simulated device and a gateway.

Time is the world's. What a way does to its next datagram is decided by the seed alone.
"""

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count, cycle
from random import Random
from typing import Final

from cyan.core.ids import DeviceId
from cyan.sim.behaviour import Behaviour
from cyan.sim.device import Device
from cyan.sim.facts import (
    EndReason,
    EventReceived,
    EventSent,
    EventSettled,
    Fact,
    HandshakeDone,
    Outcome,
    State,
    StateChanged,
)
from cyan.sim.generations import GENERATIONS
from cyan.sim.identity import Identity
from cyan.sim.platforms import PLATFORMS
from tests.gateway.world import SERVER_KEY, World, make_port

LATE_S: Final = 3.0
"""A datagram that is held back arrives up to so much later; the ones after it overtake it. Less
than the first retransmission takes, so that originals overtake copies too."""

NEWEST: Final = "argon:6.2"

FIRST_PORT: Final = 20_000


@dataclass(frozen=True)
class Faults:
    """What happens to a datagram, each as a probability, in each direction."""

    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0


class Way:
    """One direction: arrivals are put in, and happen now, later, twice or never."""

    def __init__(self, faults: Faults, random: Random) -> None:
        self.faults = faults
        self.lost = self.doubled = self.held_back = 0
        self._random = random
        self._under_way: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def put(self, arrive: Callable[[], None], now_s: float) -> None:
        """A datagram sets out. Whatever becomes of it, as many random numbers are drawn."""
        loss, duplication, reordering, late, later = (self._random.random() for _ in range(5))
        if loss < self.faults.loss:
            self.lost += 1
            return
        if duplication < self.faults.duplication:
            self.doubled += 1
            self._plan(now_s + later * LATE_S, arrive)
        if reordering < self.faults.reordering:
            self.held_back += 1
            self._plan(now_s + late * LATE_S, arrive)
        else:
            arrive()

    def on_time(self, now_s: float) -> None:
        """What is due arrives."""
        while self._under_way and self._under_way[0][0] <= now_s:
            heapq.heappop(self._under_way)[2]()

    def _plan(self, due_s: float, arrive: Callable[[], None]) -> None:
        heapq.heappush(self._under_way, (due_s, next(self._numbers), arrive))


class FarDevice:
    """The simulated device number `index` at the end of a bad network.

    It can come from another address without its knowledge (`roam`), and sleep, which firmware
    survives with its session (device-protocol.md §1.4.6).
    """

    _ports = cycle(range(FIRST_PORT, 0x10000))

    def __init__(
        self,
        world: World,
        index: int,
        faults: Faults,
        *,
        seed: str,
        behaviour: Behaviour,
        board: str = NEWEST,
    ) -> None:
        """`board` is a platform and its Device OS."""
        self.world = world
        self.facts: list[Fact] = []
        self.up = Way(faults, Random(f"{seed}/{index}/up"))
        self.down = Way(faults, Random(f"{seed}/{index}/down"))
        self._port = 0
        self._wakes_at_s: float | None = None
        identity = Identity(seed, index)
        self.device_id = DeviceId(identity.device_id)
        platform, generation = board.split(":")
        self.device = Device(
            identity,
            PLATFORMS[platform],
            behaviour,
            SERVER_KEY.public_key(),
            self,
            seed=seed,
            generation=GENERATIONS[generation],
        )
        self.open_port()
        self.device.start(self._now_s)

    # What tests ask and do.

    @property
    def is_online(self) -> bool:
        return self.device.state is State.ONLINE

    @property
    def handshakes(self) -> list[bool]:
        """For each one whether it was a resumption."""
        return [fact.resumed for fact in self.facts if isinstance(fact, HandshakeDone)]

    @property
    def ends(self) -> Counter[EndReason]:
        """Why its connections ended."""
        return Counter(
            fact.reason
            for fact in self.facts
            if isinstance(fact, StateChanged) and fact.reason is not None
        )

    @property
    def sent(self) -> list[bytes]:
        """The data of its events, in their order."""
        return [fact.data for fact in self.facts if isinstance(fact, EventSent)]

    @property
    def received(self) -> list[bytes]:
        """The data of the events that came to it."""
        return [fact.data for fact in self.facts if isinstance(fact, EventReceived)]

    @property
    def messages(self) -> int:
        """How many message ids it has used since it was made; below 65536."""
        return self.device.store().message_id - 1

    def settled(self, outcome: Outcome) -> list[bytes]:
        """The data of the events that ended so."""
        return [
            fact.data
            for fact in self.facts
            if isinstance(fact, EventSettled) and fact.outcome is outcome
        ]

    def leave(self) -> None:
        """For good, without a word."""
        self.device.stop(self._now_s)
        self.world.peers.pop(make_port(self._port), None)

    def change_faults(self, faults: Faults) -> None:
        """From now on the network is like this, both ways."""
        self.up.faults = self.down.faults = faults

    def roam(self) -> None:
        """A NAT on the way forgets the device: it goes on from another address, and what is sent to
        the old one is lost."""
        self.open_port()

    def sleep(self, seconds: float) -> None:
        """Nothing leaves and nothing arrives; then the device resumes its session."""
        self.device.pause(EndReason.SLEEP, self._now_s)
        self._wakes_at_s = self._now_s + seconds

    # What the device asks of its host.

    def send(self, datagram: bytes) -> None:
        self.up.put(partial(self.world.arrive, datagram, make_port(self._port)), self._now_s)

    def open_port(self) -> None:
        self.world.peers.pop(make_port(self._port), None)
        self._port = next(self._ports)
        self.world.peers[make_port(self._port)] = self

    def on_fact(self, fact: Fact) -> None:
        self.facts.append(fact)

    # What the world asks of a peer.

    def on_datagram(self, datagram: bytes) -> None:
        self.down.put(partial(self._arrive, datagram, self._port), self._now_s)

    def on_time(self, now_s: float) -> None:
        self.up.on_time(now_s)
        self.down.on_time(now_s)
        if self._wakes_at_s is not None and now_s >= self._wakes_at_s:
            self._wakes_at_s = None
            self.device.resume(now_s)
        while self.device.deadline() <= now_s:
            self.device.on_deadline(now_s)

    @property
    def _now_s(self) -> float:
        return self.world.clock.monotonic()

    def _arrive(self, datagram: bytes, port: int) -> None:
        # What is late for a port that was given up finds nobody there.
        if self._wakes_at_s is None and port == self._port:
            self.device.on_datagram(datagram, self._now_s)
