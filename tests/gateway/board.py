"""A device whose every word is a test's: real DTLS and CoAP, and no behaviour of its own."""

import os
from collections.abc import Callable, Iterable

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cyan.core.ids import DeviceId
from cyan.wire import coap
from cyan.wire.describe import ApplicationDescribe, encode_application
from cyan.wire.dtls import alerts
from cyan.wire.dtls.client import ClientHandshake
from cyan.wire.dtls.record import ALERT, APPLICATION_DATA, DeviceRecords, split_records
from cyan.wire.messages import (
    APPLICATION,
    DescribePost,
    Hello,
    Publish,
    Subscribe,
    encode_describe_post,
    encode_hello,
    encode_publish,
    encode_subscribe,
)
from cyan.wire.messages.hello import DEVICE_INITIATED_DESCRIBE
from tests.gateway.world import SERVER_KEY, World, make_port

ARGON, BORON, ELECTRON = 12, 13, 10
FUNCTIONS = ("led", "brew")
VARIABLES = {"answer": 2, "greeting": 4}


def acknowledge(message: coap.Message) -> Iterable[bytes]:
    """What a board says at once to a confirmable message: that it came."""
    if message.type == coap.CON:
        yield coap.encode_empty_ack(message.message_id)


class Board:
    """The device number `index`. `messages` are what it got, `alerts` the alerts among it."""

    def __init__(self, world: World, index: int = 1, *, platform_id: int = ARGON) -> None:
        self.world = world
        self.device_id = DeviceId(f"e00fce68{index:016x}")
        self.key = ec.derive_private_key(0xD0000 + index, ec.SECP256R1())
        self.platform_id = platform_id
        self.port = 40_000 + index
        self.next_id = 1
        self.next_token = 0x30
        self.max_message_size = 1152
        self.messages: list[coap.Message] = []
        self.raw: list[bytes] = []
        self.datagrams: list[bytes] = []
        self.alerts: list[bytes] = []
        self.respond: Callable[[coap.Message], Iterable[bytes]] = acknowledge
        self.handshake: ClientHandshake | None = None
        self.records: DeviceRecords | None = None
        world.peers[self.address] = self

    @property
    def address(self) -> bytes:
        return make_port(self.port)

    @property
    def public_key(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def connection_id(self) -> bytes:
        assert self.records is not None
        return self.records.connection_id

    def move(self, port: int) -> None:
        """Go on from another port, as after a NAT has forgotten the old one."""
        self.world.peers.pop(self.address, None)
        self.port = port
        self.world.peers[self.address] = self

    def resume(self, port: int) -> None:
        """Go on from another port after a reset, with records of type 253."""
        self.move(port)
        assert self.records is not None
        self.records.moving = True

    # -- network -------------------------------------------------------------------------------

    def send(self, datagram: bytes) -> None:
        self.world.arrive(datagram, self.address)

    def transmit(self, message: bytes) -> bytes:
        """Seal and send one message; the datagram."""
        assert self.records is not None
        datagram = self.records.seal_data(message)
        self.send(datagram)
        return datagram

    def on_time(self, now_s: float) -> None:
        """A board has no timers of its own."""

    def on_datagram(self, datagram: bytes) -> None:
        self.datagrams.append(datagram)
        if self.handshake is not None:
            for answer in self.handshake.feed(datagram):
                self.send(answer)
            if self.handshake.established is not None:
                self.records = self.handshake.established
                self.handshake = None
            return
        if self.records is None:
            return
        for record in split_records(datagram):
            opened = self.records.open(record)
            if opened is None:
                continue
            content_type, content = opened
            if content_type == ALERT:
                self.alerts.append(content)
            elif content_type == APPLICATION_DATA:
                message = coap.decode(content)
                self.messages.append(message)
                self.raw.append(content)
                for answer in self.respond(message):
                    self.transmit(answer)

    # -- saying things -------------------------------------------------------------------------

    def take_id(self) -> int:
        message_id = self.next_id
        self.next_id = (message_id + 1) & 0xFFFF
        return message_id

    def take_token(self) -> bytes:
        self.next_token = (self.next_token + 1) & 0xFF
        return bytes((self.next_token,))

    async def shake_hands(self) -> None:
        """A full handshake, to its end."""
        self.records = None
        self.handshake = ClientHandshake(
            device_key=self.key,
            server_public_key=SERVER_KEY.public_key(),
            entropy=os.urandom(64),
        )
        self.send(self.handshake.start())
        await self.world.settle()
        assert self.records is not None, "no session came of the handshake"

    async def say(self, build: Callable[[int], bytes]) -> coap.Message | None:
        """Send a message under the next id; what answered it, if anything did."""
        message_id = self.take_id()
        self.transmit(build(message_id))
        await self.world.settle()
        return self.answer_to(message_id)

    def answer_to(self, message_id: int) -> coap.Message | None:
        """The last acknowledgement or reset of one of its messages."""
        found = [
            message
            for message in self.messages
            if message.type in (coap.ACK, coap.RST) and message.message_id == message_id
        ]
        return found[-1] if found else None

    def hello_message(self) -> Hello:
        return Hello(
            product_id=self.platform_id,
            product_version=0xFFFF,
            flags=DEVICE_INITIATED_DESCRIBE,
            platform_id=self.platform_id,
            device_id=bytes.fromhex(self.device_id),
            system_version=6200,
            max_message_size=self.max_message_size,
            max_binary_size=1_536_000,
            ota_chunk_size=512,
        )

    async def say_hello(self) -> coap.Message | None:
        return await self.say(lambda id_: encode_hello(id_, self.hello_message()))

    async def describe(self) -> coap.Message | None:
        """Its functions and variables."""
        payload = encode_application(ApplicationDescribe(FUNCTIONS, VARIABLES))
        post = DescribePost(APPLICATION, payload)
        token = self.take_token()
        return await self.say(lambda id_: encode_describe_post(id_, token, post))

    async def publish(self, name: str = "temperature", data: bytes = b"21") -> coap.Message | None:
        return await self.say(lambda id_: encode_publish(id_, Publish(name, data)))

    async def subscribe(self, prefix: str) -> coap.Message | None:
        return await self.say(lambda id_: encode_subscribe(id_, Subscribe(prefix)))

    async def ping(self) -> coap.Message | None:
        return await self.say(coap.encode_ping)

    async def connect(self) -> "Board":
        """Handshake, Hello and describe, all answered."""
        await self.shake_hands()
        assert await self.say_hello() is not None, "Hello was not acknowledged"
        assert await self.describe() is not None
        return self

    # -- what it got ---------------------------------------------------------------------------

    def requests(self) -> list[coap.Message]:
        """Messages of the server that ask or tell something."""
        return [m for m in self.messages if m.type <= coap.NON and coap.EMPTY < m.code < 0x40]

    def event_names(self) -> list[str]:
        """The names of the events that reached it, again ones included."""
        return [
            b"/".join(value for number, value in m.options[1:] if number == coap.URI_PATH).decode()
            for m in self.requests()
            if m.options and m.options[0] in ((coap.URI_PATH, b"E"), (coap.URI_PATH, b"e"))
        ]

    @property
    def was_closed(self) -> bool:
        """Whether the server ended the session."""
        return alerts.CLOSE_NOTIFY in self.alerts
