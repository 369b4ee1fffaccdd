"""A simulated device, a small cloud made of the server's half of `wire`, and a clock of their own.

Nothing waits: time jumps to the next deadline. Datagrams arrive at once, in order. The small cloud
for TCP is in `stream_world`.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec

from cyan.sim.behaviour import Behaviour, built_in
from cyan.sim.device import Device
from cyan.sim.facts import HandshakeDone, State, StateChanged
from cyan.sim.flash import Flash
from cyan.sim.generations import GENERATIONS
from cyan.sim.identity import Identity
from cyan.sim.platforms import PLATFORMS
from cyan.sim.session import StoredDevice
from cyan.wire import coap
from cyan.wire.dtls import alerts
from cyan.wire.dtls.record import (
    ALERT,
    APPLICATION_DATA,
    ServerRecords,
    connection_id_of,
    split_moved,
)
from cyan.wire.dtls.server import (
    ServerHandshake,
    has_cookie,
    hello_verify_request,
    make_cookie,
    read_client_hello,
)
from cyan.wire.messages import encode_time_answer
from tests.sim.timeline import Timeline

SERVER_KEY = ec.derive_private_key(0xC7A9, ec.SECP256R1())
SEED = "tests"
UNIX_TIME_S = 1_700_000_000

_COOKIE_SECRET = b"tests/sim"
_HANDSHAKE_TYPE = 22


@dataclass(frozen=True)
class Heard:
    """A CoAP message that the cloud got: when, from which port, in a record of which outer type."""

    at: float
    port: int
    outer_type: int
    data: bytes

    @property
    def message(self) -> coap.Message:
        return coap.decode(self.data)


def answer_everything(message: coap.Message) -> bytes | None:
    """What a healthy cloud acknowledges with."""
    if message.type != coap.CON:
        return None
    if message.code == coap.GET and message.options == ((coap.URI_PATH, b"t"),):
        return encode_time_answer(message.message_id, message.token, UNIX_TIME_S)
    return coap.encode_empty_ack(message.message_id)


@dataclass
class Cloud:
    """Answers handshakes and messages. `is_alive` False: it hears and says nothing. `answer` makes
    the acknowledgement of a message, None for none."""

    is_alive: bool = True
    answer: Callable[[coap.Message], bytes | None] = answer_everything
    first_connection_id: int = 0
    handshakes: int = 0
    hellos: list[tuple[float, bytes]] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    records: ServerRecords | None = None
    moved_ids: list[bytes] = field(default_factory=list)
    """Device ids behind records of type 254."""
    _pending: ServerHandshake | None = None
    _next_request_id: int = 40_000

    def on_datagram(self, datagram: bytes, port: int, now: float) -> list[bytes]:
        if datagram[0] == _HANDSHAKE_TYPE and datagram[13] == 1:
            self.hellos.append((now, datagram))
        if not self.is_alive:
            return []
        if datagram[0] == _HANDSHAKE_TYPE:
            return self._on_handshake(datagram, port)
        return self._on_record(datagram, port, now)

    def request(self, encode: Callable[[int], bytes]) -> bytes:
        """A datagram with a message under an id of the cloud's own."""
        self._next_request_id += 1
        return self.seal(encode(self._next_request_id))

    def seal(self, message: bytes) -> bytes:
        assert self.records is not None
        return self.records.seal_data(message)

    def close_notify(self) -> bytes:
        assert self.records is not None
        return self.records.seal(ALERT, alerts.CLOSE_NOTIFY)

    def messages(self) -> list[coap.Message]:
        return [heard.message for heard in self.heard]

    def _on_handshake(self, datagram: bytes, port: int) -> list[bytes]:
        if datagram[13] == 1:
            hello = read_client_hello(datagram)
            address = str(port).encode()
            if not has_cookie(_COOKIE_SECRET, address, hello):
                return [hello_verify_request(hello, make_cookie(_COOKIE_SECRET, address, hello))]
            self._pending = ServerHandshake(
                hello,
                server_key=SERVER_KEY,
                entropy=bytes((self.handshakes,)) * 64,
                connection_id=(self.first_connection_id + self.handshakes).to_bytes(8, "big"),
            )
            return [self._pending.flight]
        if self._pending is None:
            return []
        answer = self._pending.feed(datagram)
        established = self._pending.established
        if established is None:
            return [] if answer is None else [answer]
        self.handshakes += 1
        self._pending = None
        self.records = ServerRecords(
            established.keys,
            established.connection_id,
            has_connection_id=established.has_connection_id,
            highest_received=established.highest_received,
            replay_window=established.replay_window,
        )
        return [established.final_flight(self.records)]

    def _on_record(self, datagram: bytes, port: int, now: float) -> list[bytes]:
        if self.records is None:
            return []
        record = datagram
        if self.records.has_connection_id:
            if connection_id_of(datagram) != self.records.connection_id:
                return []
        elif (moved := split_moved(datagram)) is not None:
            self.moved_ids.append(moved[0])
            record = moved[1]
        opened = self.records.open(record)
        assert opened is not None, "a device never repeats a record"
        content_type, content = opened
        assert content_type == APPLICATION_DATA
        self.heard.append(Heard(now, port, datagram[0], content))
        answer = self.answer(coap.decode(content))
        return [] if answer is None else [self.seal(answer)]


class World(Timeline[Device]):
    """One device and its cloud. `facts` are what the device told, with their times."""

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        *,
        platform: str = "argon",
        generation: str | None = None,
        seed: str = SEED,
        index: int = 0,
        cloud: Cloud | None = None,
        claim_code: str | None = None,
        stored: StoredDevice | None = None,
        flash: Flash | None = None,
        now: float = 0.0,
    ) -> None:
        super().__init__(now)
        self.port = 0
        self.cloud = Cloud() if cloud is None else cloud
        self.sent: list[tuple[float, bytes]] = []
        self._inbox: deque[bytes] = deque()
        self.device = Device(
            Identity(seed, index),
            PLATFORMS[platform],
            built_in(event_interval_s=None) if behaviour is None else behaviour,
            SERVER_KEY.public_key(),
            self,
            seed=seed,
            generation=None if generation is None else GENERATIONS[generation],
            claim_code=claim_code,
            stored=stored,
            flash=flash,
        )
        self.device.start(now)

    # The device's host.

    def send(self, datagram: bytes) -> None:
        self.sent.append((self.now, datagram))
        self._inbox.extend(self.cloud.on_datagram(datagram, self.port, self.now))

    def open_port(self) -> None:
        self.port += 1
        self._inbox.clear()

    # For the tests.

    def ask(self, encode: Callable[[int], bytes]) -> list[coap.Message]:
        """Sends a request of the cloud; returns what the device said to it at once."""
        before = len(self.cloud.heard)
        self.deliver(self.cloud.request(encode))
        return self.cloud.messages()[before:]

    def deliver(self, datagram: bytes) -> None:
        """A datagram arrives at the device."""
        self._inbox.append(datagram)
        self.settle()

    @property
    def states(self) -> list[State]:
        return [fact.state for _, fact in self.facts if isinstance(fact, StateChanged)]

    @property
    def handshakes(self) -> list[bool]:
        """For each one whether it was a resumption."""
        return [fact.resumed for _, fact in self.facts if isinstance(fact, HandshakeDone)]

    def settle(self) -> None:
        while self._inbox:
            self.device.on_bytes(self._inbox.popleft(), self.now)


def online_world(
    behaviour: Behaviour | None = None, *, platform: str = "argon", generation: str | None = None
) -> World:
    """A device that has just come online."""
    world = World(behaviour, platform=platform, generation=generation)
    world.run(0.5)
    assert world.device.state is State.ONLINE
    return world
