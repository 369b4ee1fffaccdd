"""A device with faults around it, the small cloud of `world`, and a clock of the world's own.

Nothing waits: time jumps to the next deadline. What leaves the device's network reaches the cloud
at once, and what the cloud answers is at the device's network at once.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from cyan.sim.behaviour import Behaviour, built_in
from cyan.sim.boards import find_board
from cyan.sim.facts import FaultHappened, HandshakeDone
from cyan.sim.faults import combine_faults, parse_fault
from cyan.sim.field import FieldDevice
from cyan.sim.identity import Identity
from cyan.sim.plan import maker
from cyan.sim.servers import Server
from cyan.wire.dtls.record import connection_id_of
from tests.sim.timeline import Timeline
from tests.sim.world import SEED, SERVER_KEY, Cloud

_SEQUENCE = slice(3, 11)


@dataclass
class RoughCloud(Cloud):
    """A cloud that datagrams may reach twice and late. It fails when a nonce is used twice."""

    nonces: dict[tuple[bytes, bytes], bytes] = field(default_factory=dict)
    key: bytes | None = None
    """If it is set, a device with another key is not answered."""

    def _on_record(self, datagram: bytes, port: int, now: float) -> list[bytes]:
        # Sessions without an id are told apart by their number.
        has_id = self.records is not None and self.records.has_connection_id
        number = self.handshakes.to_bytes(4, "big")
        connection_id = (connection_id_of(datagram) or b"") if has_id else number
        nonce = (connection_id, datagram[_SEQUENCE])
        if nonce in self.nonces:
            assert self.nonces[nonce][1:] == datagram[1:], "a nonce is used twice"
            return []
        self.nonces[nonce] = datagram
        return super()._on_record(datagram, port, now)


class FieldWorld(Timeline[FieldDevice]):
    """One device and its cloud. `facts` are what the device told, with the world's times."""

    def __init__(
        self,
        *faults: str,
        behaviour: Behaviour | None = None,
        seed: str = SEED,
        index: int = 0,
        start: float = 0.0,
        platform: str = "argon",
    ) -> None:
        super().__init__(start)
        self.port = 0
        self.cloud = RoughCloud()
        self.sent: list[tuple[float, bytes]] = []
        self._inbox: deque[bytes] = deque()
        identity = Identity(seed, index)
        quiet = built_in(event_interval_s=None)
        self.device = FieldDevice(
            maker(
                identity,
                find_board(platform),
                quiet if behaviour is None else behaviour,
                Server(("", 0), SERVER_KEY.public_key()),
            ),
            combine_faults(map(parse_fault, faults)),
            self,
            seed=seed,
            name=identity.device_id,
        )
        self.device.start(start)

    # The device's host.

    def send(self, data: bytes) -> None:
        self.sent.append((self.now, data))
        self._inbox.extend(self.cloud.on_datagram(data, self.port, self.now))

    def open_port(self) -> None:
        self.port += 1
        self._inbox.clear()

    # For the tests.

    def ask(self, encode: Callable[[int], bytes]) -> None:
        """Sends a request of the cloud and lets everything happen that it leads to at once."""
        self._inbox.append(self.cloud.request(encode))
        self.settle()

    def settle(self) -> None:
        while self._inbox:
            self.device.on_bytes(self._inbox.popleft(), self.now)

    @property
    def handshakes(self) -> list[tuple[float, bool]]:
        """When they were done, and whether each was a resumption."""
        return [(at, fact.resumed) for at, fact in self.facts if isinstance(fact, HandshakeDone)]

    @property
    def faults(self) -> list[FaultHappened]:
        return [fact for _, fact in self.facts if isinstance(fact, FaultHappened)]
