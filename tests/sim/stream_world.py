"""A simulated TCP device and a small cloud made of the server's half of `wire.lightssl`.

As in `world` nothing waits: what is sent arrives at once and in order, in pieces of `piece_bytes`.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from cryptography.hazmat.primitives.asymmetric import rsa

from cyan.sim.behaviour import Behaviour, built_in
from cyan.sim.device import Device
from cyan.sim.facts import HandshakeDone, State
from cyan.sim.generations import GENERATIONS
from cyan.sim.identity import Identity
from cyan.sim.platforms import PLATFORMS, Transport
from cyan.wire import coap
from cyan.wire.lightssl.frames import Channel
from cyan.wire.lightssl.handshake import (
    REQUEST_BYTES,
    Claim,
    first_device_message_id,
    make_response,
    open_request,
)
from cyan.wire.messages import encode_cloud_hello, encode_time_answer
from tests.sim.timeline import Timeline
from tests.sim.world import SEED, UNIX_TIME_S

_NONCE = bytes(range(40))


@cache
def server_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def answer_everything(message: coap.Message) -> bytes | None:
    """What a healthy cloud says at once."""
    if message.code == coap.POST and message.options == ((coap.URI_PATH, b"h"),):
        return encode_cloud_hello(message.message_id, confirmable=False)
    if message.type != coap.CON:
        return None
    if message.code == coap.GET and message.options == ((coap.URI_PATH, b"t"),):
        return encode_time_answer(message.message_id, message.token, UNIX_TIME_S)
    return coap.encode_empty_ack(message.message_id)


@dataclass
class StreamCloud:
    """Serves one connection at a time. `answer` makes what it says to a message, None for nothing;
    `is_alive` False: it accepts connections and says nothing."""

    is_alive: bool = True
    answer: Callable[[coap.Message], bytes | None] = answer_everything
    claims: list[Claim] = field(default_factory=list)
    sessions: list[bytes] = field(default_factory=list)
    heard: list[tuple[float, bytes]] = field(default_factory=list)
    _channel: Channel | None = None
    _request: bytes = b""
    _next_request_id: int = 40_000

    def on_open(self) -> bytes:
        self._channel = None
        self._request = b""
        return _NONCE if self.is_alive else b""

    def on_bytes(self, data: bytes, now: float) -> bytes:
        if not self.is_alive:
            return b""
        if self._channel is not None:
            return b"".join(self._on_content(one, now) for one in self._channel.feed(data))
        self._request += data
        if len(self._request) < REQUEST_BYTES:
            return b""
        claim = open_request(server_key(), _NONCE, self._request)
        assert claim.public_key is not None
        session = bytes((len(self.sessions) + 1,)) * 40
        self.claims.append(claim)
        self.sessions.append(session)
        self._channel = Channel(session)
        return make_response(server_key(), claim.public_key, session)

    def request(self, encode: Callable[[int], bytes]) -> bytes:
        """A frame with a message under an id of the cloud's own."""
        self._next_request_id += 1
        return self.seal(encode(self._next_request_id))

    def seal(self, message: bytes) -> bytes:
        assert self._channel is not None
        return self._channel.seal(message)

    def messages(self) -> list[coap.Message]:
        return [coap.decode(data) for _, data in self.heard]

    @property
    def last_request_id(self) -> int:
        return self._next_request_id

    @property
    def first_message_id(self) -> int:
        return first_device_message_id(self.sessions[-1])

    def _on_content(self, content: bytes, now: float) -> bytes:
        self.heard.append((now, content))
        answer = self.answer(coap.decode(content))
        return b"" if answer is None else self.seal(answer)


class StreamWorld(Timeline[Device]):
    """One TCP device and its cloud. `facts` are what the device told, with their times."""

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        *,
        platform: str = "photon",
        generation: str | None = None,
        index: int = 0,
        cloud: StreamCloud | None = None,
        piece_bytes: int = 1 << 16,
    ) -> None:
        super().__init__()
        self.cloud = StreamCloud() if cloud is None else cloud
        self.sent: list[bytes] = []
        self.opened = self.closed = 0
        self.is_open = False
        self.is_refused = False
        self._piece_bytes = piece_bytes
        self._inbox: deque[bytes | None] = deque()
        self.device = Device(
            Identity(SEED, index, Transport.TCP),
            PLATFORMS[platform],
            built_in(event_interval_s=None) if behaviour is None else behaviour,
            server_key().public_key(),
            self,
            seed=SEED,
            generation=None if generation is None else GENERATIONS[generation],
        )
        self.device.start(0.0)

    # The device's host.

    def send(self, data: bytes) -> None:
        assert self.is_open
        self.sent.append(data)
        self._arrive(self.cloud.on_bytes(data, self.now))

    def open_port(self) -> None:
        raise AssertionError("a TCP device opens streams")

    def open_stream(self) -> None:
        self.opened += 1
        self._inbox.clear()
        if self.is_refused:
            self._inbox.append(None)
            return
        self.is_open = True
        self._arrive(self.cloud.on_open())

    def close_stream(self) -> None:
        self.closed += self.is_open
        self.is_open = False
        self._inbox.clear()

    # For the tests.

    def ask(self, encode: Callable[[int], bytes]) -> list[coap.Message]:
        """Sends a request of the cloud; returns what the device said to it at once."""
        before = len(self.cloud.heard)
        self.deliver(self.cloud.request(encode))
        return self.cloud.messages()[before:]

    def deliver(self, data: bytes) -> None:
        """Bytes arrive at the device."""
        self._arrive(data)
        self.settle()

    def hang_up(self) -> None:
        """The server closes the stream."""
        self._inbox.append(None)
        self.settle()

    @property
    def handshakes(self) -> int:
        return len(self.of(HandshakeDone))

    def _arrive(self, data: bytes) -> None:
        self._inbox.extend(
            data[at : at + self._piece_bytes] for at in range(0, len(data), self._piece_bytes)
        )

    def settle(self) -> None:
        while self._inbox:
            data = self._inbox.popleft()
            if data is None:
                self.device.on_closed(self.now)
            else:
                self.device.on_bytes(data, self.now)


def online_stream_world(
    behaviour: Behaviour | None = None, *, platform: str = "photon", generation: str | None = None
) -> StreamWorld:
    """A TCP device that has just come online."""
    world = StreamWorld(behaviour, platform=platform, generation=generation)
    world.run(0.5)
    assert world.device.state is State.ONLINE
    return world
